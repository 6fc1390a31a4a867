// Changes to the file system that are whole or not there after a power cut, and are on the disk when the call returns.
import { randomBytes } from 'node:crypto';
import { chmod, lstat, open, readdir, rename, rm, symlink, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Temporary names start with this, so that a start can sweep what a cut left behind. */
export const TEMPORARY_PREFIX = '.touchstone-tmp-';

function temporaryBeside(path: string): string {
  return join(dirname(path), `${TEMPORARY_PREFIX}${basename(path).slice(0, 64)}-${randomBytes(8).toString('hex')}`);
}

/** Makes the names in a folder durable: without it a rename may be undone by a power cut. */
export async function fsyncDir(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes one file's bytes and size durable. */
export async function fsyncFile(path: string): Promise<void> {
  await fsyncDir(path);
}

/** Writes `bytes` so that a reader, or a start after a power cut, sees the old file or the new one. `mode` is exact, whatever the umask. */
export async function writeFileDurably(path: string, bytes: Uint8Array | string, mode = 0o600): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await fsyncDir(dirname(path));
}

/** Makes `path` a symbolic link to `target`, replacing an older link in one step; a reader always finds one of the two. */
export async function replaceSymlink(path: string, target: string): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await symlink(target, temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await fsyncDir(dirname(path));
}

/** Removes a link or file if it is there, durably. */
export async function removeFileDurably(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    return;
  }
  await fsyncDir(dirname(path));
}

async function makeFoldersWritable(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeFoldersWritable(join(path, entry.name));
  }
}

/** Removes a folder with all it holds (read-only folders too), or nothing where there is none. Never follows a symbolic link. */
export async function removeTree(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  if (stat === null) return;
  if (stat.isDirectory()) await makeFoldersWritable(path);
  await rm(path, { recursive: true, force: true });
  await fsyncDir(dirname(path));
}

/** Removes what `writeFileDurably` and `replaceSymlink` left behind when they were cut. Call once, at start. */
export async function sweepTemporaries(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (entry.startsWith(TEMPORARY_PREFIX)) await rm(join(folder, entry), { force: true });
  }
}
