// What an attacker with root does to files of a device, and when a process reads one.
import { chmod, link, readFile, readdir, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Root may write where the agent took writing away; here its owner does it, who may give it to himself. */
async function inFolder(folder: string, change: () => Promise<void>): Promise<void> {
  const { mode } = await stat(folder);
  await chmod(folder, mode | 0o700);
  try {
    await change();
  } finally {
    await chmod(folder, mode).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }
}

/** Changes one bit in the middle of a file, also of one that is not writable: root on the device can do that. */
export async function flipByte(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await inFolder(dirname(file), async () => {
    await writeFile(`${file}.flipped`, bytes);
    await rm(file);
    await link(`${file}.flipped`, file);
    await rm(`${file}.flipped`);
  });
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

/** The smallest file under `folder` that has a byte to change. Errors: RangeError when there is none. */
export async function smallestFile(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        return { path, size: (await stat(path)).size };
      }),
  );
  const [smallest] = files.filter(({ size }) => size > 0).toSorted((a, b) => a.size - b.size);
  if (smallest === undefined) throw new RangeError(`${folder} holds no byte that could be changed`);
  return smallest.path;
}

/** Whether something failed because a file or folder is not there any more. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What was changed, and the way back. */
export interface Tampered {
  readonly file: string;
  /** Puts the bytes back, if the folder is still there. */
  restore(): Promise<void>;
}

/** Changes one bit of a file of `folder`: of `path` in it, by default of its smallest file. */
export async function tamperWith(folder: string, path?: string): Promise<Tampered> {
  const file = path === undefined ? await smallestFile(folder) : join(folder, path);
  const before = await readFile(file);
  await flipByte(file);
  return {
    file,
    restore: async () => {
      const putBack = async (): Promise<void> => {
        await rm(file, { force: true });
        await writeFile(file, before);
      };
      await inFolder(dirname(file), putBack).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
    },
  };
}
