// What the guest's first file system holds: a static shell, this machine's libraries, the pinned Node and the product as it is shipped.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { builtIn, builtProgram, ROOT } from '../bench/built.ts';
import { startOfUnit } from '../bench/unit-start.ts';
import { CpioWriter } from './cpio.ts';

const run = promisify(execFile);
/** What native/setup/guest.sh leaves. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'guest');
export const KERNEL: string = join(CACHE, 'vmlinuz');

/** Where the package lies in the guest. */
const HOME = '/touchstone';

const { flags, env } = startOfUnit();
/**
 * Node as the shipped unit starts it, which has no compiler at run time: under the emulator V8 loses the books of what it compiled now and
 * then, and ends the process ("Check failed: it->second.Size() > offset").
 */
export const NODE: string = [...Object.entries(env).map((pair) => pair.join('=')), 'node', ...flags].join(' ');
/** The command line. */
export const TOUCHSTONE: string = `${NODE} ${HOME}/dist/src/cli/main.js`;
/** Made from test/guest/inside. */
export const TPM_CALLS: string = `${HOME}/dist/test/guest/inside/tpm-calls.js`;

/** Loaded by name at run time, so that no program lists them. */
const LOADED_LIBRARIES = ['libtss2-tctildr.so.0', 'libtss2-tcti-device.so.0'];

function libraryPath(soname: string): string {
  const found = ['/usr/lib/x86_64-linux-gnu', '/usr/lib', '/usr/lib64', '/usr/local/lib']
    .map((folder) => join(folder, soname))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${soname} is not installed`);
  return found;
}

/** Shared libraries that the dynamic linker finds for `binary`: by the name it looks for, and the loader itself. */
async function librariesOf(binary: string): Promise<string[]> {
  const { stdout } = await run('ldd', [binary]);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
}

/** Packages that run in production, from the lock file; native parts of other platforms are left out. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<
      string,
      { dev?: boolean; devOptional?: boolean; optional?: boolean; os?: string[]; cpu?: string[] }
    >;
  };
  const paths: string[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    const needless = path === '' || entry.dev === true || entry.devOptional === true || path.includes('@typescript');
    const foreign = entry.os?.includes('linux') === false || entry.cpu?.includes('x64') === false;
    if (!needless && !foreign && existsSync(join(ROOT, path))) paths.push(path);
  }
  return paths;
}

/** Native code of other platforms, and what only people or compilers read. */
const NEEDLESS = /\.(?:md|map|d\.ts|c|cc|h|cpp|hpp|gyp)$|(?:darwin|win32|musl|arm64)[^/]*(?:\.node$|\/)|\/deps\//;

async function addTree(
  archive: CpioWriter,
  from: string,
  to: string,
  wanted: (path: string) => boolean,
): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [path, inside] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory() && entry.name !== 'node_modules') await addTree(archive, path, inside, wanted);
    else if (entry.isFile() && wanted(inside)) await archive.copy(path, inside);
  }
}

async function addProject(archive: CpioWriter): Promise<void> {
  const built = await mkdtemp(join(tmpdir(), 'guest-built-'));
  try {
    const dist = builtIn(built);
    builtProgram(dist, 'test/guest/inside/tpm-calls.ts');
    await addTree(archive, dist, join(HOME, 'dist'), (file) => !NEEDLESS.test(file));
  } finally {
    await rm(built, { recursive: true, force: true });
  }
  await archive.copy(join(ROOT, 'package.json'), join(HOME, 'package.json'));
  for (const path of await productionPackages()) {
    await addTree(archive, join(ROOT, path), join(HOME, path), (file) => !NEEDLESS.test(file));
  }
}

async function addPrograms(archive: CpioWriter): Promise<void> {
  await archive.copy('/bin/busybox');
  await archive.copy(join(CACHE, 'e1000.ko'), '/lib/modules/e1000.ko');
  const node = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  await archive.copy(node, '/bin/node');
  const loaded = LOADED_LIBRARIES.map((soname) => libraryPath(soname));
  const libraries = new Set(loaded);
  for (const binary of [node, ...loaded]) for (const path of await librariesOf(binary)) libraries.add(path);
  for (const path of libraries) await archive.copy(path);
}

/** Changes the first byte of the only place where `text` is in the archive. */
export async function changeOneByte(path: string, text: string): Promise<void> {
  const bytes = await readFile(path);
  const at = bytes.indexOf(text);
  if (at === -1 || bytes.includes(text, at + 1)) throw new Error(`${text}: not once in the archive`);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

/** Writes the archive to `path`; `extra` are files by their path in the guest. */
export async function writeImage(path: string, extra: ReadonlyMap<string, Uint8Array | string>): Promise<void> {
  const archive = await CpioWriter.create(path);
  await archive.copy(join(import.meta.dirname, 'init.sh'), '/init', 0o755);
  await addPrograms(archive);
  await addProject(archive);
  for (const [name, content] of extra) await archive.file(name, content);
  await archive.close();
}
