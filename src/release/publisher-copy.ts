// Copies a publisher's files into a folder that is not there yet, and makes it durable: the folder is whole or it is not there.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, lstat, mkdir, open, rename, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { fsyncDir, removeTree, TEMPORARY_PREFIX, writeFileDurably } from '../files/durable.ts';
import type { TreeFile } from '../files/tree.ts';
import { FLOOR_TOKEN_FILE, MODEL_FOLDER, PASSPORT_FILE, SIGNATURE_FILE } from './release-folder.ts';

const BLOCK = 1024 * 1024;
/** Files copied at once: enough that their flushes to the disk are one, few enough for the memory of a small machine. */
const LANES = 16;

/** How the files of a release come into its folder. */
export interface CopyOptions {
  /** Hard links instead of copies: quick and without more space, but who writes into the model writes into the release. */
  readonly link: boolean;
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function copyBytes(source: string, target: string, options: CopyOptions): Promise<void> {
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const to = await open(target, 'wx', 0o644);
    try {
      const block = Buffer.allocUnsafe(BLOCK);
      for (;;) {
        options.signal?.throwIfAborted();
        const { bytesRead } = await from.read(block, 0, block.length, null);
        if (bytesRead === 0) break;
        for (let at = 0; at < bytesRead;) at += (await to.write(block, at, bytesRead - at)).bytesWritten;
        options.onProgress?.(bytesRead);
      }
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** One file: a link, a clone where the file system shares blocks, or its bytes. */
async function bring(source: string, target: string, size: number, options: CopyOptions): Promise<void> {
  if (options.link) {
    await link(source, target).catch((cause: unknown) => {
      throw new ReleaseError(
        'RELEASE_INVALID',
        `${source} cannot be linked to ${target}: leave out --link to copy it`,
        { cause },
      );
    });
    options.onProgress?.(size);
    return;
  }
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
    options.onProgress?.(size);
  } catch (error) {
    if (!isCode(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY')) throw error;
    await copyBytes(source, target, options);
  }
}

/** Copies `files` of `folder` under `to`. Errors: of the system; the signal's reason. */
async function copyModel(folder: string, files: readonly TreeFile[], to: string, options: CopyOptions): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o755 });
  const parents = new Set([to]);
  for (const { path } of files) {
    for (let at = dirname(join(to, path)); !parents.has(at); at = dirname(at)) parents.add(at);
  }
  for (const parent of [...parents].toSorted()) await mkdir(parent, { recursive: true, mode: 0o755 });
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      options.signal?.throwIfAborted();
      await bring(join(folder, file.path), join(to, file.path), file.size, options);
    }
  };
  // All must have ended before the folder is cleaned up, also when one failed.
  const ended = await Promise.allSettled(Array.from({ length: LANES }, lane));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  for (const parent of parents) await fsyncDir(parent);
}

async function assertSpace(folder: string, files: readonly TreeFile[]): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (bytes <= bavail * bsize) return;
  throw new ReleaseError('DISK_FULL', `${folder}: the release needs ${bytes} bytes, ${bavail * bsize} are free`);
}

/** What goes into a release folder beside the model. */
export interface SignedFiles {
  readonly signature: Uint8Array;
  readonly passport: Uint8Array;
  /** The floor token that came with it. */
  readonly token?: Uint8Array;
}

export interface ReleaseSource {
  readonly folder: string;
  readonly files: readonly TreeFile[];
}

/**
 * Makes `out` from a model and what `seal` signs once it has seen the copied files: it gets the copy's model folder, so that
 * what is signed is what is shipped. Errors: ReleaseError ALREADY_THERE, DISK_FULL; what `seal` throws.
 */
export async function makeReleaseFolder<T extends SignedFiles>(
  out: string,
  source: ReleaseSource,
  options: CopyOptions & { readonly replace?: boolean; readonly workIn?: string },
  seal: (modelFolder: string) => Promise<T>,
): Promise<T> {
  const target = resolve(out);
  if (options.replace !== true && (await exists(target))) {
    throw new ReleaseError('ALREADY_THERE', `${out} is there already`);
  }
  const parent = options.workIn ?? dirname(target);
  await mkdir(parent, { recursive: true });
  if (!options.link) await assertSpace(parent, source.files);
  const work = join(parent, `${TEMPORARY_PREFIX}${basename(target).slice(0, 64)}-${randomBytes(8).toString('hex')}`);
  const aside = `${work}-old`;
  try {
    await mkdir(work, { mode: 0o755 });
    await copyModel(source.folder, source.files, join(work, MODEL_FOLDER), options);
    const signed = await seal(join(work, MODEL_FOLDER));
    await writeFileDurably(join(work, SIGNATURE_FILE), signed.signature, 0o644);
    await writeFileDurably(join(work, PASSPORT_FILE), signed.passport, 0o644);
    if (signed.token !== undefined) await writeFileDurably(join(work, FLOOR_TOKEN_FILE), signed.token, 0o644);
    options.signal?.throwIfAborted();
    if (options.replace === true && (await exists(target))) await rename(target, aside);
    await rename(work, target);
    await fsyncDir(dirname(target));
    return signed;
  } finally {
    await removeTree(work);
    await removeTree(aside);
  }
}
