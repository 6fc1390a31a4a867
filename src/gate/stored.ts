// A release on this device, opened again by what the root says now.
import { openRelease, tableForRunning } from '../release/open.ts';
import type { SignedRelease } from '../release/open.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import type { Trust } from '../release/root.ts';
import { releaseFolder } from './places.ts';

/** Opens what lies under a release id and was let in before; null when it is not that release, or no publisher of the root signed it. */
export async function openStored(stateDir: string, id: string, trust: Trust): Promise<SignedRelease | null> {
  const files = await readSignedFiles(releaseFolder(stateDir, id)).catch(() => null);
  if (files === null) return null;
  const opened = openRelease({ ...files, ...tableForRunning(trust.root) });
  return opened.ok && opened.release.id === id ? opened.release : null;
}
