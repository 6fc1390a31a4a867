// libc's flock(2): a lock on a file that the kernel takes back when its holder dies, however it dies.
import koffi from 'koffi';

/** sys/file.h. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the exclusive lock of an open file for as long as `fd` stays open. False: another process holds it. */
export function lockFile(fd: number): boolean {
  const flock = koffi.load('libc.so.6').func('int flock(int fd, int operation)') as (fd: number, how: number) => number;
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}
