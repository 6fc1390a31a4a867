// Hashes one file, and copies it in the same pass: the next block is read while the last is hashed and written. A file that changes
// meanwhile has no digest.
import type { BigIntStats } from 'node:fs';
import { COPY_BLOCK_BYTES, COPY_BLOCKS, CopyTarget, UnwrittenError, wholePages } from './copy-target.ts';
import { FileFault, faultKind } from './fault.ts';
import { READ_FLAGS } from './file-io.ts';
import type { FileIo } from './file-io.ts';
import { Hashes } from './hashes.ts';
import type { HashName, Parts } from './hashes.ts';

/** What is to be hashed. With `fd` the file is already open, and stays so. */
export interface HashTask {
  readonly path: string;
  readonly fd: number | null;
  /** Of the whole file. */
  readonly algorithms: readonly HashName[];
  /** Also of each part of the file. */
  readonly parts: Parts | null;
  /** Bytes that the file must have; null: any number. */
  readonly size: number | null;
  /** An empty file, open for writing, that gets the very bytes that were hashed. It is not yet durable then. */
  readonly copyTo: number | null;
}

export interface HashOutcome {
  /** In bytes. */
  readonly size: number;
  /** In the order of `algorithms`. */
  readonly digests: Buffer[];
  /** In the order of the file; empty where no parts were asked for. */
  readonly parts: Buffer[];
}

/** One block; two are in use for a large file: one being hashed, one being filled. */
export const BLOCK_BYTES: number = 512 * 1024;
/** The blocks of one lane, made when first needed and kept for the next file, until nothing is left to do. */
export class Blocks {
  #blocks: (Buffer | undefined)[] = [];

  get(index: number, bytes: number): Buffer {
    const held = this.#blocks[index];
    if (held !== undefined && held.length >= bytes) return held;
    // Only copies have such blocks.
    const block = bytes === COPY_BLOCK_BYTES ? wholePages(bytes) : Buffer.allocUnsafeSlow(bytes);
    this.#blocks[index] = block;
    return block;
  }

  free(): void {
    this.#blocks = [];
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

/** Fills `into`, unless the file ends before; how far it got. */
async function fill(fd: number, into: Buffer, position: number, io: FileIo): Promise<number> {
  for (let at = 0; ;) {
    const got = await io.read(fd, into, at, position + at);
    at += got;
    if (got === 0 || at === into.length) return at;
  }
}

async function hashBytes(fd: number, size: number, io: FileIo, blocks: Blocks, task: HashTask, hooks: HashHooks) {
  const hashes = new Hashes(task.algorithms, task.parts);
  const copy = task.copyTo === null ? null : await CopyTarget.open(task.copyTo, size, io);
  const [lanes, laneBytes] = copy === null ? [2, BLOCK_BYTES] : [COPY_BLOCKS, COPY_BLOCK_BYTES];
  const filling: Promise<number>[] = [];
  const writing: Promise<void>[] = [];
  const blockOf = (index: number): Buffer => {
    const length = Math.min(laneBytes, size - index * laneBytes);
    return blocks.get(index % lanes, length).subarray(0, length);
  };
  const begin = (index: number): void => {
    if (index * laneBytes >= size) return;
    const free = writing[index % lanes];
    const from = async (): Promise<number> => {
      if (free !== undefined) await free;
      return fill(fd, blockOf(index), index * laneBytes, io);
    };
    const filled = from();
    // What fails early is told when it is asked for.
    filled.catch(() => undefined);
    filling[index % lanes] = filled;
  };
  try {
    for (let index = 0; index < lanes - 1; index++) begin(index);
    for (let index = 0; index * laneBytes < size; index++) {
      const got = await filling[index % lanes];
      if (hooks.isCancelled?.() === true) throw new HashCancelled();
      const block = blockOf(index);
      if (got !== block.length) throw new FileFault('changed', task.path);
      if (copy !== null) {
        const written = copy.write(block, index * laneBytes);
        written.catch(() => undefined);
        writing[index % lanes] = written;
      }
      begin(index + lanes - 1);
      if (copy !== null && io.beside) await io.turn();
      hashes.update(block);
      hooks.onBytes?.(block.length);
    }
    await Promise.all(writing);
  } finally {
    // A call that is still under way must end before its descriptor is closed and given to another file.
    await Promise.allSettled([...filling, ...writing]);
    await copy?.end();
  }
  return hashes.digest();
}

async function hashOpen(fd: number, task: HashTask, io: FileIo, blocks: Blocks, hooks: HashHooks) {
  const before = await io.stat(fd);
  if (!before.isFile()) throw new FileFault('special', task.path);
  const size = Number(before.size);
  if (task.size !== null && task.size !== size) throw new FileFault('changed', task.path);
  const digests = await hashBytes(fd, size, io, blocks, task, hooks);
  if (!sameFile(before, await io.stat(fd))) throw new FileFault('changed', task.path);
  return { size, ...digests };
}

/** Errors: FileFault; UnwrittenError; HashCancelled. A hole of a sparse file is hashed as the zero bytes it reads as. */
export async function hashOne(task: HashTask, io: FileIo, blocks: Blocks, hooks: HashHooks = {}): Promise<HashOutcome> {
  let fd = task.fd;
  try {
    fd ??= await io.open(task.path, READ_FLAGS);
    return await hashOpen(fd, task, io, blocks, hooks);
  } catch (cause) {
    if (cause instanceof FileFault || cause instanceof UnwrittenError || cause instanceof HashCancelled) throw cause;
    throw new FileFault(faultKind(cause), task.path, { cause });
  } finally {
    if (task.fd === null && fd !== null) await io.close(fd);
  }
}
