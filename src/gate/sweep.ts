// Removes releases that no slot uses any more.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../files/durable.ts';
import type { SlotRow } from '../store/journal.ts';
import { isReleaseId, placesOf } from './places.ts';

/** Ids of the releases that a row of the journal speaks of. */
export function usedReleases(rows: readonly SlotRow[]): Set<string> {
  return new Set(
    rows.flatMap(({ active, previous, staged }) => [active, previous, staged].filter((id) => id !== null)),
  );
}

export async function sweepReleases(stateDir: string, rows: readonly SlotRow[]): Promise<void> {
  const used = usedReleases(rows);
  const { releases } = placesOf(stateDir);
  for (const name of await readdir(releases)) {
    if (isReleaseId(name) && !used.has(name)) await removeTree(join(releases, name));
  }
}
