// The memory of a process that lies in RAM, as the kernel counts it.
import { readFileSync } from 'node:fs';

/** Resident MiB of a process: now, or at its peak. */
export function resident(pid: number, which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const kib = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}
