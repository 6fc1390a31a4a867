// Brings a release into the state directory in one pass: each file is hashed while it is copied, so that what is verified is what will be
// used, and nobody can change it in between.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, link, mkdir, open, readlink, realpath, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { fsyncDir, fsyncFile, removeTree, writeFileDurably } from '../files/durable.ts';
import type { HashOutcome } from '../files/hash-file.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { assertFree, FILE_OVERHEAD } from '../files/space.ts';
import type { TreeFile } from '../files/tree.ts';
import { readingIn } from '../release/check-files.ts';
import type { ReadFile } from '../release/check-files.ts';
import { FLOOR_TOKEN_FILE, MODEL_FOLDER, PASSPORT_FILE, SIGNATURE_FILE } from '../release/release-folder.ts';
import { READY, REPLACED, STAGING, releaseFolder } from './places.ts';
import type { Places, StepHook } from './places.ts';

/** Errors: ReleaseError DISK_FULL when the release would not fit. Asked before the first byte is copied. */
export async function assertSpace(folder: string, files: readonly TreeFile[], extra: number): Promise<void> {
  await assertFree(
    folder,
    files.reduce((sum, file) => sum + file.size + FILE_OVERHEAD, extra),
  );
}

/** Copies one file in the pass that hashes it. Errors: ReleaseError; as `HashPool.copyFile`. */
type CopyFile = (from: FileHandle, to: FileHandle) => Promise<HashOutcome>;

/** `source` must be where it says: no folder on the way may be a link, also when it became one after the listing. */
async function copyFile(source: string, target: string, size: number, copy: CopyFile): Promise<HashOutcome> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let from: FileHandle;
  try {
    from = await open(source, flags);
  } catch (cause) {
    throw new ReleaseError('RELEASE_INVALID', `${source} cannot be read`, { cause });
  }
  try {
    const opened = await readlink(`/proc/self/fd/${from.fd}`);
    const stat = await from.stat();
    if (opened !== source || !stat.isFile()) {
      throw new ReleaseError('RELEASE_INVALID', `${source} is not a regular file of the release`);
    }
    // Never more than was announced: the space was checked for that.
    if (stat.size > size) throw new ReleaseError('RELEASE_INVALID', `${source} grows while it is copied`);
    const to = await open(target, 'wx', 0o600);
    try {
      const found = await copy(from, to);
      await to.chmod(0o444);
      await to.sync();
      return found;
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
  await fsyncFile(target);
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
  readonly pool: HashPool;
  readonly step: StepHook;
}

/** A copy under way, in a folder of its own that nobody uses. */
export interface Staging {
  readonly folder: string;
  /** Where the model's files come to lie. */
  readonly model: string;
  /** Brings one file of the listing in, hashes it in the same pass, and makes it durable. Errors: ReleaseError; those of HashPool. */
  readonly read: ReadFile;
}

/** Makes the folder and those in it. Errors: ReleaseError; nothing then stays behind. Whoever got a staging removes it, or seals it. */
export async function beginStaging(options: Omit<StageOptions, 'sig' | 'passport' | 'token'>): Promise<Staging> {
  const { places, id, files, step } = options;
  // With every link in the path of the release itself followed once, what is opened below must be where it says.
  const source = await realpath(options.model);
  const folder = join(places.releases, `${STAGING}${id.slice(0, 16)}-${randomBytes(6).toString('hex')}`);
  const model = join(folder, MODEL_FOLDER);
  await step('make staging');
  try {
    await mkdir(model, { recursive: true, mode: 0o700 });
    const parents = [...new Set(files.map((file) => dirname(join(model, file.path))))];
    for (const parent of parents) await mkdir(parent, { recursive: true, mode: 0o700 });
    await step('copy files');
  } catch (error) {
    await removeTree(folder).catch(() => undefined);
    throw error;
  }
  return {
    folder,
    model,
    read: options.own ? linking(source, model, options.pool) : copying(source, model, options.pool),
  };
}

function copying(source: string, model: string, pool: HashPool): ReadFile {
  return async ({ path, size }, algorithms, asked) =>
    copyFile(join(source, path), join(model, path), size, async (from, to) =>
      pool.copyFile(path, { from: from.fd, to: to.fd }, algorithms, asked),
    );
}

function linking(source: string, model: string, pool: HashPool): ReadFile {
  const read = readingIn(model, pool);
  return async (file, algorithms, asked) => {
    await linkFile(join(source, file.path), join(model, file.path));
    return read(file, algorithms, asked);
  };
}

/** Adds the signed files, and makes every name durable. Nobody may write there any more. */
export async function sealStaging({ folder }: Pick<Staging, 'folder'>, options: StageOptions): Promise<void> {
  const { places, files, sig, passport, token, step } = options;
  await step('write signatures');
  await writeFileDurably(join(folder, SIGNATURE_FILE), sig, 0o444);
  await writeFileDurably(join(folder, PASSPORT_FILE), passport, 0o444);
  if (token !== null) await writeFileDurably(join(folder, FLOOR_TOKEN_FILE), token, 0o444);
  for (const one of foldersOf(folder, files)) {
    await chmod(one, 0o555);
    await fsyncDir(one);
  }
  await fsyncDir(places.releases);
}

/** Every folder of a copy, the deepest first. */
function foldersOf(folder: string, files: readonly TreeFile[]): string[] {
  const folders = new Set([join(folder, MODEL_FOLDER), folder]);
  for (const { path } of files) {
    for (let at = dirname(join(folder, MODEL_FOLDER, path)); !folders.has(at); at = dirname(at)) folders.add(at);
  }
  return [...folders].toSorted((a, b) => b.length - a.length);
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
