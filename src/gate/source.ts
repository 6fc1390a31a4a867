// Where the files of a release are: in the inbox, in a folder that the command named, fetched from the web, or here already.
import { lstat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { MODEL_FOLDER, PASSPORT_FILE, SIGNATURE_FILE } from '../release/release-folder.ts';
import { isWebSource } from '../transfer/source-url.ts';
import { inboxFolder, incomingFolder, releaseFolder } from './places.ts';

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** A folder, not a link to one, with at least one part of a release: what is missing of it is for the gate to say. */
async function isRelease(folder: string): Promise<boolean> {
  const stat = await lstat(folder).catch(() => null);
  if (stat?.isDirectory() !== true) return false;
  for (const part of [PASSPORT_FILE, SIGNATURE_FILE, MODEL_FOLDER]) if (await isThere(join(folder, part))) return true;
  return false;
}

/**
 * The folder of release `id`. `source`: an absolute path of the release, or of a folder with releases by their id; an address on the
 * web, from where it was fetched before; null: the inbox, then what is on this device from before. Errors: ReleaseError
 * RELEASE_INVALID, which says what is supported.
 */
export async function sourceFolder(stateDir: string, id: string, source: string | null): Promise<string> {
  if (source !== null && !isWebSource(source) && !isAbsolute(source)) {
    const advice = `an absolute path on the device, an https address, or none for ${join(stateDir, 'inbox')}`;
    throw new ReleaseError('RELEASE_INVALID', `the source ${source} is not supported: it must be ${advice}`);
  }
  const places =
    source === null
      ? [inboxFolder(stateDir, id), releaseFolder(stateDir, id)]
      : isWebSource(source)
        ? [incomingFolder(stateDir, id)]
        : [normalize(source), join(normalize(source), id)];
  for (const place of places) if (await isRelease(place)) return place;
  throw new ReleaseError('RELEASE_INVALID', `there is no release in ${places.join(' or ')}`);
}
