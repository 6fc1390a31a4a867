// Whose releases a rehearsal takes: publishers by their public keys, or those that a fleet's own root statement names.
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBase64 } from '../bytes/text.ts';
import { STATE_FILES } from '../controller/settings.ts';
import { parseDsse } from '../crypto/dsse.ts';
import { keyId, publicPem } from '../crypto/ecdsa.ts';
import { ConfigError, WireError } from '../errors.ts';
import { loadProfile } from '../profile/profile.ts';
import { PASSPORT_FILE_BYTES } from '../release/open.ts';
import { readPassport } from '../release/passport.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import { loadTrust } from '../release/root.ts';
import type { Signers } from '../testing/private-fleet.ts';

async function read(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
}

/** The model id that a release names, whoever signed it; none when it cannot be read. */
async function namedModel(folder: string): Promise<string[]> {
  const { passport } = await readSignedFiles(folder);
  if (passport === null) return [];
  try {
    const found = readPassport(fromBase64(parseDsse(passport, PASSPORT_FILE_BYTES).payload));
    return 'passport' in found ? [found.passport.modelId] : [];
  } catch (error) {
    if (error instanceof WireError) return [];
    throw error;
  }
}

/**
 * Each key may sign the models of the profile and of these releases: a key alone does not say what else it may sign, so that a model in
 * the wrong place is refused as misplaced. Errors: ConfigError; ReleaseError.
 */
export async function signersByKey(
  keys: readonly KeyObject[],
  profileFile: string,
  releases: readonly string[],
): Promise<Signers> {
  const { profile } = loadProfile(await read(profileFile), profileFile);
  const named = (await Promise.all(releases.map(namedModel))).flat();
  const modelIds = [...new Set([...profile.slots.flatMap((slot) => slot.modelIds), ...named])];
  const publishers = keys.map((key) => ({ id: keyId(key), publicPem: publicPem(key), modelIds }));
  return { publishers, revoked: [] };
}

/** `dir` holds fleet.json and root.json: what ships in the firmware, or a controller's state directory. Errors: ConfigError. */
export async function signersOfFleet(dir: string, now: number): Promise<Signers> {
  const [fleet, root] = await Promise.all([read(join(dir, STATE_FILES.fleet)), read(join(dir, STATE_FILES.root))]);
  const { publishers, revoked } = loadTrust(fleet, root, now, 0).root;
  return { publishers, revoked };
}
