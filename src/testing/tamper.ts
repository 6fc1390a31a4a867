// What an attacker with root does to files of a device, and when a process reads one.
import { link, readFile, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** Changes one bit in the middle of a file, also of one that is not writable: root on the device can do that. */
export async function flipByte(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(`${file}.flipped`, bytes);
  await rm(file);
  await link(`${file}.flipped`, file);
  await rm(`${file}.flipped`);
}

/** Waits until process `pid` has `file` open, as it does while it reads it; false when that does not happen within 15 s. */
export async function isRead(pid: number, file: string): Promise<boolean> {
  const target = await realpath(file);
  for (const end = performance.now() + 15_000; performance.now() < end; await delay(2)) {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      // It may be closed already.
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) === target) return true;
    }
  }
  return false;
}
