// Where the engine of a slot lies: put there whole, measured there, and thrown away from there.
import { chmod, mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sha256 } from '../crypto/digest.ts';
import { fsyncDir, removeTree } from '../files/durable.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { engineFolder, releaseFolder } from '../gate/places.ts';
import { findFiles } from '../measure/found-files.ts';
import { canonicalManifest } from '../release/manifest.ts';

/** SHA-256 of the manifest of what lies there, every byte read; null: no engine. Errors: MeasureError; the signal's reason. */
export async function measureEngine(
  stateDir: string,
  id: string,
  slot: string,
  { pool, signal }: { readonly pool: HashPool; readonly signal: AbortSignal },
): Promise<Buffer | null> {
  const { entries, faults } = await findFiles(engineFolder(stateDir, id, slot), { pool, signal });
  if (faults.some(({ path, kind }) => path === '.' && kind === 'missing')) return null;
  return sha256(canonicalManifest(entries));
}

/** Puts the files in `from` in the place of whatever lies there; a cut leaves one of the two, or none. */
export async function placeEngine(stateDir: string, id: string, slot: string, from: string): Promise<void> {
  const [release, target] = [releaseFolder(stateDir, id), engineFolder(stateDir, id, slot)];
  const engines = dirname(target);
  // A release is read-only, also for who put it there.
  await chmod(release, 0o755);
  await mkdir(engines, { recursive: true });
  await chmod(engines, 0o755);
  await removeTree(target);
  await rename(from, target);
  await chmod(target, 0o555);
  await fsyncDir(engines);
  await fsyncDir(release);
  await chmod(release, 0o555);
}

export async function removeEngine(stateDir: string, id: string, slot: string): Promise<void> {
  await removeTree(engineFolder(stateDir, id, slot));
}
