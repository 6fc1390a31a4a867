// Copies a release into the state directory, so that what is verified is what will be used, and nobody can change it in between.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, link, mkdir, open, readlink, realpath, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { fsyncDir, fsyncFile, removeTree, writeFileDurably } from '../files/durable.ts';
import { assertFree, FILE_OVERHEAD } from '../files/space.ts';
import type { TreeFile } from '../files/tree.ts';
import { inLanes } from '../release/lanes.ts';
import { FLOOR_TOKEN_FILE, MODEL_FOLDER, PASSPORT_FILE, SIGNATURE_FILE } from '../release/release-folder.ts';
import { READY, REPLACED, STAGING, releaseFolder } from './places.ts';
import type { Places, StepHook } from './places.ts';

const BLOCK = 1024 * 1024;

/** Errors: ReleaseError DISK_FULL when the release would not fit. Asked before the first byte is copied. */
export async function assertSpace(folder: string, files: readonly TreeFile[], extra: number): Promise<void> {
  await assertFree(
    folder,
    files.reduce((sum, file) => sum + file.size + FILE_OVERHEAD, extra),
  );
}

async function copyBytes(from: FileHandle, to: FileHandle, size: number): Promise<void> {
  const block = Buffer.allocUnsafe(Math.min(BLOCK, size + 1));
  let at = 0;
  for (;;) {
    // Never more than was announced: the space was checked for that.
    const { bytesRead } = await from.read(block, 0, Math.min(block.length, size + 1 - at), at);
    if (bytesRead === 0) return;
    if (at + bytesRead > size) throw new ReleaseError('RELEASE_INVALID', 'the file grows while it is copied');
    for (let written = 0; written < bytesRead;) {
      written += (await to.write(block, written, bytesRead - written, at + written)).bytesWritten;
    }
    at += bytesRead;
  }
}

/** `source` must be where it says: no folder on the way may be a link, also when it became one after the listing. */
async function copyFile(source: string, target: string, size: number): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let from: FileHandle;
  try {
    from = await open(source, flags);
  } catch (cause) {
    throw new ReleaseError('RELEASE_INVALID', `${source} cannot be read`, { cause });
  }
  try {
    const opened = await readlink(`/proc/self/fd/${from.fd}`);
    if (opened !== source || !(await from.stat()).isFile()) {
      throw new ReleaseError('RELEASE_INVALID', `${source} is not a regular file of the release`);
    }
    const to = await open(target, 'wx', 0o600);
    try {
      await copyBytes(from, to, size);
      await to.chmod(0o444);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** Gives a file of a folder that only the agent writes a second name: no bytes, and it stays where it was until it is in. */
async function linkFile(source: string, target: string): Promise<void> {
  await link(source, target);
  await chmod(target, 0o444);
}

export interface StageOptions {
  readonly places: Places;
  readonly id: string;
  /** The release's model folder, untrusted. */
  readonly model: string;
  /** True: the agent itself wrote it where nobody else may, on the same disk. */
  readonly own: boolean;
  /** As listed in `model`: only these are copied. */
  readonly files: readonly TreeFile[];
  /** The signed files as they were judged, never read again. */
  readonly sig: Uint8Array;
  readonly passport: Uint8Array;
  /** The floor token that came with it, unjudged. */
  readonly token: Uint8Array | null;
  readonly step: StepHook;
}

/** Copies into a folder of its own that nobody uses; not yet durable. Errors: ReleaseError; nothing then stays behind. */
export async function stage(options: StageOptions): Promise<string> {
  const { places, id } = options;
  const folder = join(places.releases, `${STAGING}${id.slice(0, 16)}-${randomBytes(6).toString('hex')}`);
  try {
    await fill(folder, options);
  } catch (error) {
    await removeTree(folder);
    throw error;
  }
  return folder;
}

async function fill(folder: string, options: StageOptions): Promise<void> {
  const { files, sig, passport, token, step } = options;
  // With every link in the path of the release itself followed once, what is opened below must be where it says.
  const model = await realpath(options.model);
  await step('make staging');
  await mkdir(join(folder, MODEL_FOLDER), { recursive: true, mode: 0o700 });
  const parents = [...new Set(files.map((file) => dirname(join(folder, MODEL_FOLDER, file.path))))];
  for (const parent of parents) await mkdir(parent, { recursive: true, mode: 0o700 });
  await step('copy files');
  await inLanes(files, async (file) => {
    const [from, to] = [join(model, file.path), join(folder, MODEL_FOLDER, file.path)];
    await (options.own ? linkFile(from, to) : copyFile(from, to, file.size));
  });
  await step('write signatures');
  await writeFileDurably(join(folder, SIGNATURE_FILE), sig, 0o444);
  await writeFileDurably(join(folder, PASSPORT_FILE), passport, 0o444);
  if (token !== null) await writeFileDurably(join(folder, FLOOR_TOKEN_FILE), token, 0o444);
  for (const one of foldersOf(folder, files)) await chmod(one, 0o555);
}

/** Every folder of a copy, the deepest first. */
function foldersOf(folder: string, files: readonly TreeFile[]): string[] {
  const folders = new Set([join(folder, MODEL_FOLDER), folder]);
  for (const { path } of files) {
    for (let at = dirname(join(folder, MODEL_FOLDER, path)); !folders.has(at); at = dirname(at)) folders.add(at);
  }
  return [...folders].toSorted((a, b) => b.length - a.length);
}

/** Makes every byte and name of a copy durable. */
export async function syncStaged(places: Places, folder: string, files: readonly TreeFile[]): Promise<void> {
  await inLanes(files, async (file) => fsyncFile(join(folder, MODEL_FOLDER, file.path)));
  for (const one of foldersOf(folder, files)) await fsyncDir(one);
  await fsyncDir(places.releases);
}

/** Puts verified bytes under their release id, in place of whatever lies there. Every cut leaves something that a start finishes. */
export async function promote(places: Places, staged: string, id: string, step: StepHook): Promise<string> {
  const target = releaseFolder(places.state, id);
  const ready = join(places.releases, `${READY}${id}`);
  await step('clear ready');
  await removeTree(ready);
  await step('name ready');
  await rename(staged, ready);
  await fsyncDir(places.releases);
  await step('move the old aside');
  await finishReady(places, id, step);
  return target;
}

/** The second half of `promote`: also what a start does with a ready release that a cut left behind. */
export async function finishReady(places: Places, id: string, step: StepHook): Promise<void> {
  const old = join(places.releases, `${REPLACED}${id}-${randomBytes(6).toString('hex')}`);
  await rename(releaseFolder(places.state, id), old).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  });
  await step('name the release');
  await rename(join(places.releases, `${READY}${id}`), releaseFolder(places.state, id));
  await fsyncDir(places.releases);
  await step('remove the old');
  await removeTree(old);
}
