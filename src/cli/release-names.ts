// What a person means by a release: its id, or a folder that holds one.
import { join } from 'node:path';
import { fromBase64, toHex } from '../bytes/text.ts';
import { STATE_FILES } from '../controller/settings.ts';
import { parseDsse } from '../crypto/dsse.ts';
import { sha256 } from '../crypto/digest.ts';
import { TouchstoneError } from '../errors.ts';
import { PASSPORT_FILE_BYTES } from '../release/open.ts';
import { readPassport } from '../release/passport.ts';
import { PASSPORT_FILE, readBounded } from '../release/release-folder.ts';

export interface NamedRelease {
  readonly id: string;
  /** Both as its passport says, unverified; null where there is none at hand. */
  readonly modelId: string | null;
  readonly securityVersion: number | null;
}

const RELEASE_ID = /^[0-9a-f]{64}$/;

/** The claim of a release folder; null where it holds no passport. Its signature is not checked: it only names. */
async function claimOf(folder: string): Promise<NamedRelease | null> {
  const bytes = await readBounded(join(folder, PASSPORT_FILE), PASSPORT_FILE_BYTES);
  if (bytes === null) return null;
  const payload = fromBase64(parseDsse(bytes, PASSPORT_FILE_BYTES).payload);
  const read = readPassport(payload);
  if (!('passport' in read)) return null;
  const { modelId, securityVersion } = read.passport;
  return { id: toHex(sha256(payload)), modelId, securityVersion };
}

/** Each name as a release. `state`: a controller's state directory, where ids are looked up. Errors: USAGE for what is neither. */
export async function namedReleases(names: readonly string[], state: string | null): Promise<NamedRelease[]> {
  const all: NamedRelease[] = [];
  for (const name of names) {
    if (RELEASE_ID.test(name)) {
      const claim = state === null ? null : await claimOf(join(state, STATE_FILES.releases, name));
      all.push(claim?.id === name ? claim : { id: name, modelId: null, securityVersion: null });
      continue;
    }
    const claim = await claimOf(name);
    if (claim === null) {
      throw new TouchstoneError('USAGE', `${name} is neither a release id (64 hex digits) nor a release folder`);
    }
    all.push(claim);
  }
  return all;
}
