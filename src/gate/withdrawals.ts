// Which releases publishers withdrew, as far as this device was told: kept after the release that said so has gone.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { keyTableOf, openPassport, PASSPORT_FILE_BYTES } from '../release/open.ts';
import { PASSPORT_FILE, readBounded } from '../release/release-folder.ts';
import type { Trust } from '../release/root.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import { placesOf, releaseFolder } from './places.ts';

/** Keeps the passport of a release that withdraws others. Errors: ReleaseError. */
export async function keepWithdrawals(stateDir: string, { signed }: VerifiedRelease): Promise<void> {
  if (signed.passport.withdraws.length === 0) return;
  const bytes = await readBounded(join(releaseFolder(stateDir, signed.id), PASSPORT_FILE), PASSPORT_FILE_BYTES);
  if (bytes === null) throw new ReleaseError('RELEASE_INVALID', `the passport of release ${signed.id} is gone`);
  await writeFileDurably(join(placesOf(stateDir).withdrawals, `${signed.id}.json`), bytes);
}

/** Release id → who withdrew it. A withdrawal counts for releases of the same model id: publishers of others have no say. */
export async function withdrawalsOf(
  modelId: string,
  stateDir: string,
  trust: Trust,
): Promise<ReadonlyMap<string, string>> {
  const { withdrawals } = placesOf(stateDir);
  const withdrawn = new Map<string, string>();
  for (const name of (await readdir(withdrawals)).toSorted()) {
    const bytes = await readBounded(join(withdrawals, name), PASSPORT_FILE_BYTES).catch(() => null);
    const opened = bytes === null ? null : openPassport(bytes, keyTableOf(trust.root));
    if (opened === null || opened.passport.modelId !== modelId) continue;
    for (const other of opened.passport.withdraws) withdrawn.set(other, `release ${opened.id}`);
  }
  return withdrawn;
}
