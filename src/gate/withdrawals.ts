// Which releases publishers withdrew, as far as the signed passports on this device say.
import { readdir } from 'node:fs/promises';
import type { SignedRelease } from '../release/open.ts';
import { openRelease } from '../release/open.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import type { Trust } from '../release/root.ts';
import { isReleaseId, placesOf, releaseFolder } from './places.ts';

/** Opens what lies under a release id with the root's present key table; null when it is not that release, or not signed. */
export async function openStored(stateDir: string, id: string, trust: Trust): Promise<SignedRelease | null> {
  const files = await readSignedFiles(releaseFolder(stateDir, id)).catch(() => null);
  if (files === null) return null;
  const { publishers, revoked } = trust.root;
  const opened = openRelease({ ...files, publishers, revoked });
  return opened.ok && opened.release.id === id ? opened.release : null;
}

/** Release id → who withdrew it. A withdrawal counts for releases of the same model id: publishers of others have no say. */
export async function withdrawalsOf(
  modelId: string,
  stateDir: string,
  trust: Trust,
): Promise<ReadonlyMap<string, string>> {
  const withdrawn = new Map<string, string>();
  for (const id of (await readdir(placesOf(stateDir).releases)).filter((name) => isReleaseId(name)).toSorted()) {
    const release = await openStored(stateDir, id, trust);
    if (release === null || release.passport.modelId !== modelId) continue;
    for (const other of release.passport.withdraws) withdrawn.set(other, `release ${id}`);
  }
  return withdrawn;
}
