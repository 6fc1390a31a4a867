// Hashes one file: the next block is read while the last is hashed, and a file that changes meanwhile has no digest.
import { close, closeSync, constants, fstat, fstatSync, open, openSync, read, readSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { FileFault, faultKind } from './fault.ts';

/** The hashes that manifests are made with, in Node's names. */
export type HashName = 'sha256' | 'sha384' | 'sha512' | 'blake2b512';

/** Bytes start ≤ i < end of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What is to be hashed. With `fd` the file is already open, and stays so. */
export interface HashTask {
  readonly path: string;
  readonly fd: number | null;
  readonly algorithms: readonly HashName[];
  readonly range: ByteRange | null;
}

export interface HashOutcome {
  /** Of the whole file, in bytes. */
  readonly size: number;
  /** In the order of `algorithms`. */
  readonly digests: Buffer[];
}

/** The system calls a hash needs, blocking or not. */
export interface FileIo {
  open(path: string, flags: number): number | Promise<number>;
  stat(fd: number): BigIntStats | Promise<BigIntStats>;
  read(fd: number, into: Buffer, length: number, position: number): number | Promise<number>;
  close(fd: number): void | Promise<void>;
}

/** Never follows a link in the last component, never waits for a writer of a pipe. */
export const READ_FLAGS: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fstatAsync: (fd: number) => Promise<BigIntStats> = (fd) =>
  new Promise((resolve, reject) => {
    fstat(fd, { bigint: true }, (error, stats) => {
      if (error === null) resolve(stats);
      else reject(error);
    });
  });

function readAsync(fd: number, into: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });
}

/** For a thread that must not block. */
export const asyncIo: FileIo = {
  open: (path, flags) => openAsync(path, flags),
  stat: fstatAsync,
  read: readAsync,
  close: (fd) => closeAsync(fd),
};

/** For a thread of its own while all processors hash: reading ahead would only take one of them from its neighbour. */
export const blockingIo: FileIo = {
  open: (path, flags) => openSync(path, flags),
  stat: (fd) => fstatSync(fd, { bigint: true }),
  read: (fd, into, length, position) => readSync(fd, into, 0, length, position),
  close: (fd) => {
    closeSync(fd);
  },
};

/** For a thread of its own while a processor is free: the next block is read there meanwhile. */
export const aheadIo: FileIo = { ...blockingIo, read: readAsync };

/** One block; two are in use for a large file: one being hashed, one being filled. */
export const BLOCK_BYTES: number = 512 * 1024;

/** The two blocks of one lane, made when first needed and kept for the next file. */
export class Blocks {
  readonly #blocks: [Buffer | null, Buffer | null] = [null, null];

  get(index: 0 | 1, bytes: number): Buffer {
    const held = this.#blocks[index];
    if (held !== null && held.length >= bytes) return held;
    const block = Buffer.allocUnsafeSlow(bytes);
    this.#blocks[index] = block;
    return block;
  }
}

export interface HashHooks {
  readonly onBytes?: (bytes: number) => void;
  readonly isCancelled?: () => boolean;
}

/** Thrown where `isCancelled` said so; the caller knows why. */
export class HashCancelled extends Error {}

function sameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

async function hashBytes(fd: number, range: ByteRange, io: FileIo, blocks: Blocks, task: HashTask, hooks: HashHooks) {
  const hashes = task.algorithms.map((name) => createHash(name));
  const begin = (index: 0 | 1, at: number): number | Promise<number> => {
    const length = Math.min(BLOCK_BYTES, range.end - at);
    return length === 0 ? 0 : io.read(fd, blocks.get(index, length), length, at);
  };
  let position = range.start;
  let current: 0 | 1 = 0;
  let filling = begin(current, position);
  try {
    for (;;) {
      const got = await filling;
      filling = 0;
      if (hooks.isCancelled?.() === true) throw new HashCancelled();
      if (got === 0) break;
      const next: 0 | 1 = current === 0 ? 1 : 0;
      filling = begin(next, position + got);
      const full = blocks.get(current, got).subarray(0, got);
      for (const hash of hashes) hash.update(full);
      hooks.onBytes?.(got);
      position += got;
      current = next;
    }
  } finally {
    // A read that is still under way must end before its descriptor is closed and given to another file.
    await Promise.resolve(filling).catch(() => 0);
  }
  if (position !== range.end) throw new FileFault('changed', task.path);
  return hashes.map((hash) => hash.digest());
}

async function hashOpen(fd: number, task: HashTask, io: FileIo, blocks: Blocks, hooks: HashHooks) {
  const before = await io.stat(fd);
  if (!before.isFile()) throw new FileFault('special', task.path);
  const size = Number(before.size);
  const range = task.range ?? { start: 0, end: size };
  if (range.start < 0 || range.end < range.start) throw new RangeError(`byte range ${range.start} to ${range.end}`);
  if (range.end > size) throw new FileFault('changed', task.path);
  const digests = await hashBytes(fd, range, io, blocks, task, hooks);
  if (!sameFile(before, await io.stat(fd))) throw new FileFault('changed', task.path);
  return { size, digests };
}

/** Errors: FileFault; HashCancelled. A hole of a sparse file is hashed as the zero bytes it reads as. */
export async function hashOne(task: HashTask, io: FileIo, blocks: Blocks, hooks: HashHooks = {}): Promise<HashOutcome> {
  let fd = task.fd;
  try {
    fd ??= await io.open(task.path, READ_FLAGS);
    return await hashOpen(fd, task, io, blocks, hooks);
  } catch (cause) {
    if (cause instanceof FileFault || cause instanceof HashCancelled || cause instanceof RangeError) throw cause;
    throw new FileFault(faultKind(cause), task.path, { cause });
  } finally {
    if (task.fd === null && fd !== null) await io.close(fd);
  }
}
