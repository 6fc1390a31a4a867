// Which boot of this machine it is, and for how long it has been up: a clock that nobody can turn.
import { readFile } from 'node:fs/promises';

export interface MachineNow {
  /** Random per boot. */
  readonly bootId: string;
  /** ms since the boot, suspended time included (CLOCK_BOOTTIME). */
  readonly uptime: number;
}

/** Reads /proc (proc(5)). */
export async function machineNow(): Promise<MachineNow> {
  const [bootId, uptime] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    readFile('/proc/uptime', 'utf8'),
  ]);
  return { bootId: bootId.trim(), uptime: Math.floor(Number.parseFloat(uptime) * 1000) };
}
