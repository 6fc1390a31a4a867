// libc's fcntl(2) to keep what libraries have open, a TPM first of all, out of the programs that this process starts.
import { readdirSync } from 'node:fs';
import koffi from 'koffi';

/** fcntl.h. */
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const STDERR = 2;

let fcntl: ((fd: number, command: number, argument: number) => number) | null = null;

/**
 * Every descriptor that is open now, but the standard three, is closed in programs started from here on. Node's own are already;
 * those that a library opened, such as the one to the TPM, are not: who has it could talk to the TPM, or keep it from us.
 */
export function closeOnExec(): void {
  fcntl ??= koffi.load('libc.so.6').func('int fcntl(int fd, int cmd, int arg)') as NonNullable<typeof fcntl>;
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    // One that is closed meanwhile, as the folder's own, is no failure.
    if (fd > STDERR) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}
