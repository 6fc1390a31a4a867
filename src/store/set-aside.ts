// Moves a damaged database out of the way, whole, so that someone can look at it later.
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** The files that SQLite keeps beside a database. */
const PARTS = ['', '-wal', '-shm'] as const;
/** Damaged databases kept; the oldest is removed for a fourth. */
const KEPT = 3;

/** Renames `path` and what belongs to it to `path.corrupt-1`, older ones to -2 and -3; answers the new name. */
export function setAsideDatabase(path: string): string {
  for (const part of PARTS) rmSync(`${path}.corrupt-${KEPT}${part}`, { force: true });
  for (let n = KEPT - 1; n >= 0; n--) {
    const from = n === 0 ? path : `${path}.corrupt-${n}`;
    for (const part of PARTS) {
      if (existsSync(`${from}${part}`)) renameSync(`${from}${part}`, `${path}.corrupt-${n + 1}${part}`);
    }
  }
  // Undone by a power cut, it would lie under the new database, or beside it.
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
  return `${path}.corrupt-1`;
}
