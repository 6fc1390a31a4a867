// libc's fcntl(2) for file leases: proof, kept by the kernel, that nobody has a file open for writing or mapped writable.
import { constants } from 'node:os';
import koffi from 'koffi';

/** linux/fcntl.h: F_LINUX_SPECIFIC_BASE + 0, and the lease types it takes. */
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;

/** busy: someone has the file open for writing. unsupported: the file system has no leases, or the file is another user's. */
export type LeaseResult = 'leased' | 'busy' | 'unsupported';

export interface FileLeases {
  /** Takes a read lease on an open, read-only descriptor. A later writer's open() then blocks until `release` or close. */
  lease(fd: number): LeaseResult;
  /** Gives the lease back; harmless without one. */
  release(fd: number): void;
}

/** Binds fcntl. Where libc cannot be loaded (not Linux), every lease is 'unsupported'. */
export function fileLeases(): FileLeases {
  let fcntl: (fd: number, command: number, argument: number) => number;
  try {
    // Declared with its int argument instead of as variadic: the same registers on x64 and arm64 Linux.
    fcntl = koffi.load('libc.so.6').func('int fcntl(int fd, int cmd, int arg)') as typeof fcntl;
  } catch {
    return { lease: () => 'unsupported', release: () => {} };
  }
  return {
    lease: (fd) => {
      if (fcntl(fd, F_SETLEASE, F_RDLCK) === 0) return 'leased';
      return koffi.errno() === constants.errno.EAGAIN ? 'busy' : 'unsupported';
    },
    release: (fd) => {
      fcntl(fd, F_SETLEASE, F_UNLCK);
    },
  };
}
