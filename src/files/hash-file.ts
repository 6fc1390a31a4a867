// Hashes one file, and copies it in the same pass: the next block is read while the last is hashed and written. A file that changes
// meanwhile has no digest.
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstat,
  fstatSync,
  open,
  openSync,
  read,
  readSync,
  write,
  writeSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { FileFault, faultKind } from './fault.ts';
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

/** The system calls a hash needs, blocking or not. */
export interface FileIo {
  open(path: string, flags: number): number | Promise<number>;
  stat(fd: number): BigIntStats | Promise<BigIntStats>;
  read(fd: number, into: Buffer, length: number, position: number): number | Promise<number>;
  write(fd: number, from: Buffer, position: number): number | Promise<number>;
  /** Sends what was written to the disk, where that can be waited for beside the rest; otherwise nothing. */
  flush(fd: number): Promise<void> | null;
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

function writeAsync(fd: number, from: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, from, 0, from.length, position, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

const flushAsync = promisify(fdatasync);

/** For a thread that must not block. */
export const asyncIo: FileIo = {
  open: (path, flags) => openAsync(path, flags),
  stat: fstatAsync,
  read: readAsync,
  write: writeAsync,
  flush: flushAsync,
  close: (fd) => closeAsync(fd),
};

/** For a thread of its own while all processors hash: reading ahead would only take one of them from its neighbour. */
export const blockingIo: FileIo = {
  open: (path, flags) => openSync(path, flags),
  stat: (fd) => fstatSync(fd, { bigint: true }),
  read: (fd, into, length, position) => readSync(fd, into, 0, length, position),
  write: (fd, from, position) => writeSync(fd, from, 0, from.length, position),
  flush: () => null,
  close: (fd) => {
    closeSync(fd);
  },
};

/** For a thread of its own while a processor is free: the next block is read there meanwhile, and the last one written. */
export const aheadIo: FileIo = { ...blockingIo, read: readAsync, write: writeAsync, flush: flushAsync };

/** One block; two are in use for a large file: one being hashed, one being filled. */
export const BLOCK_BYTES: number = 512 * 1024;
/** A copy hands each block to the system twice: fewer and larger ones. */
const COPY_BLOCK_BYTES = 1024 * 1024;
/** Written bytes that wait for the disk before it is asked to begin. */
const FLUSH_BYTES = 64 * 1024 * 1024;

/** The two blocks of one lane, made when first needed and kept for the next file, until nothing is left to do. */
export class Blocks {
  #blocks: [Buffer | null, Buffer | null] = [null, null];

  get(index: 0 | 1, bytes: number): Buffer {
    const held = this.#blocks[index];
    if (held !== null && held.length >= bytes) return held;
    const block = Buffer.allocUnsafeSlow(bytes);
    this.#blocks[index] = block;
    return block;
  }

  free(): void {
    this.#blocks = [null, null];
  }
}

export interface HashHooks {
  readonly onBytes?: (bytes: number) => void;
  readonly isCancelled?: () => boolean;
}

/** The copy could not be written. `code` is the system's: `ENOSPC`. */
export class UnwrittenError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** Thrown where `isCancelled` said so; the caller knows why. */
export class HashCancelled extends Error {}

function sameFile(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

function unwritten(cause: unknown): UnwrittenError {
  const { message, code } = cause as NodeJS.ErrnoException;
  return new UnwrittenError(message, code ?? '');
}

/** The target of a copy. The disk is put to work while the rest is read and hashed, not when all of it is. */
class Copy {
  readonly #fd: number;
  readonly #io: FileIo;
  #unflushed = 0;
  #flushing: Promise<void> | null = null;

  constructor(fd: number, io: FileIo) {
    this.#fd = fd;
    this.#io = io;
  }

  /** Errors: UnwrittenError. */
  async write(block: Buffer, position: number): Promise<void> {
    try {
      for (let at = 0; at < block.length;) at += await this.#io.write(this.#fd, block.subarray(at), position + at);
    } catch (cause) {
      throw unwritten(cause);
    }
    this.#unflushed += block.length;
    if (this.#unflushed < FLUSH_BYTES || this.#flushing !== null) return;
    this.#unflushed = 0;
    const begun = this.#io.flush(this.#fd);
    if (begun !== null) this.#flushing = this.#untilFlushed(begun);
    // One that failed stays, for the end.
    this.#flushing?.catch(() => undefined);
  }

  async #untilFlushed(begun: Promise<void>): Promise<void> {
    await begun;
    this.#flushing = null;
  }

  /** When nothing is under way any more. Errors: UnwrittenError. */
  async end(): Promise<void> {
    await this.#flushing?.catch((cause: unknown) => {
      throw unwritten(cause);
    });
  }
}

async function hashBytes(fd: number, size: number, io: FileIo, blocks: Blocks, task: HashTask, hooks: HashHooks) {
  const hashes = new Hashes(task.algorithms, task.parts);
  const copy = task.copyTo === null ? null : new Copy(task.copyTo, io);
  const blockBytes = copy === null ? BLOCK_BYTES : COPY_BLOCK_BYTES;
  const begin = (index: 0 | 1, at: number): number | Promise<number> => {
    const length = Math.min(blockBytes, size - at);
    return length === 0 ? 0 : io.read(fd, blocks.get(index, length), length, at);
  };
  let position = 0;
  let current: 0 | 1 = 0;
  let filling = begin(current, position);
  let writing: Promise<void> | undefined;
  try {
    for (;;) {
      const got = await filling;
      filling = 0;
      if (hooks.isCancelled?.() === true) throw new HashCancelled();
      if (got === 0) break;
      const next: 0 | 1 = current === 0 ? 1 : 0;
      filling = begin(next, position + got);
      const full = blocks.get(current, got).subarray(0, got);
      writing = copy?.write(full, position);
      hashes.update(full);
      await writing;
      hooks.onBytes?.(got);
      position += got;
      current = next;
    }
  } finally {
    // A call that is still under way must end before its descriptor is closed and given to another file.
    await Promise.allSettled([filling, writing]);
    await copy?.end();
  }
  if (position !== size) throw new FileFault('changed', task.path);
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
