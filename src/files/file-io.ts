// The system calls that hashing and copying need: blocking ones, and such as go on beside the rest.
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

export interface FileIo {
  open(path: string, flags: number): number | Promise<number>;
  stat(fd: number): BigIntStats | Promise<BigIntStats>;
  read(fd: number, into: Buffer, offset: number, position: number): number | Promise<number>;
  write(fd: number, from: Buffer, position: number): number | Promise<number>;
  /** Writing goes on beside the rest; the three below make sense only then. */
  readonly beside: boolean;
  /** Sends what was written to the disk. */
  flush(fd: number): Promise<void>;
  /** Another descriptor of this file, whose writes go past the system's cache. Fails where the file system has no such thing. */
  direct(fd: number): Promise<number>;
  /** Lets what has ended meanwhile go on. */
  turn(): Promise<void>;
  close(fd: number): void | Promise<void>;
}

/** Never follows a link in the last component, never waits for a writer of a pipe. */
export const READ_FLAGS: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

const openAsync = promisify(open);
const closeAsync = promisify(close);
const flushAsync = promisify(fdatasync);
const turn = promisify(setImmediate);

const fstatAsync: (fd: number) => Promise<BigIntStats> = (fd) =>
  new Promise((resolve, reject) => {
    fstat(fd, { bigint: true }, (error, stats) => {
      if (error === null) resolve(stats);
      else reject(error);
    });
  });

function readAsync(fd: number, into: Buffer, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, offset, into.length - offset, position, (error, bytesRead) => {
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

/** For a thread that must not block. */
export const asyncIo: FileIo = {
  open: (path, flags) => openAsync(path, flags),
  stat: fstatAsync,
  read: readAsync,
  write: writeAsync,
  beside: true,
  flush: flushAsync,
  direct: (fd) => openAsync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_DIRECT),
  turn: () => turn(undefined),
  close: (fd) => closeAsync(fd),
};

/** For a thread of its own while all processors hash: reading ahead would only take one of them from its neighbour. */
export const blockingIo: FileIo = {
  ...asyncIo,
  open: (path, flags) => openSync(path, flags),
  stat: (fd) => fstatSync(fd, { bigint: true }),
  read: (fd, into, offset, position) => readSync(fd, into, offset, into.length - offset, position),
  write: (fd, from, position) => writeSync(fd, from, 0, from.length, position),
  beside: false,
  close: (fd) => {
    closeSync(fd);
  },
};

/** For a thread of its own while a processor is free: the next block is read there meanwhile, and the last ones written. */
export const aheadIo: FileIo = { ...blockingIo, read: readAsync, write: writeAsync, beside: true };
