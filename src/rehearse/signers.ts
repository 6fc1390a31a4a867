// Whose releases a rehearsal takes: publishers by their public keys, or those that a fleet's own root statement names.
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromBase64, toHex } from '../bytes/text.ts';
import { STATE_FILES } from '../controller/settings.ts';
import { parseDsse } from '../crypto/dsse.ts';
import { keyId, publicPem } from '../crypto/ecdsa.ts';
import { sha256 } from '../crypto/digest.ts';
import { ConfigError, WireError } from '../errors.ts';
import { loadProfile } from '../profile/profile.ts';
import { PASSPORT_FILE_BYTES } from '../release/open.ts';
import { readPassport } from '../release/passport.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import { floorDefinitionOf } from '../release/floor-definition.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import type { Passport } from '../release/types.ts';
import type { Signers } from '../testing/private-fleet.ts';
import type { FloorDefinition } from '../tpm/floor/definition.ts';

/** A profile's exact bytes; `name`: for messages. */
export interface ProfileFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Who may sign releases, and the devices' version floors, by which floor tokens are judged; null where they are not known. */
export interface RehearsalSigners extends Signers {
  readonly floors: FloorDefinition | null;
}

async function read(file: string): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}`, { cause });
  });
}

/** What a release says of itself, whoever signed it; null when it cannot be read. Errors: ReleaseError. */
export async function namedRelease(
  folder: string,
): Promise<{ readonly id: string; readonly passport: Passport } | null> {
  const { passport } = await readSignedFiles(folder);
  if (passport === null) return null;
  try {
    const payload = fromBase64(parseDsse(passport, PASSPORT_FILE_BYTES).payload);
    const found = readPassport(payload);
    return 'passport' in found ? { id: toHex(sha256(payload)), passport: found.passport } : null;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/**
 * Each key may sign the models of the profile and of these releases: a key alone does not say what else it may sign, so that a model in
 * the wrong place is refused as misplaced. Errors: ConfigError; ReleaseError.
 */
export async function signersByKey(
  keys: readonly KeyObject[],
  file: ProfileFile,
  releases: readonly string[],
): Promise<RehearsalSigners> {
  const { profile } = loadProfile(file.bytes, file.name);
  const named = (await Promise.all(releases.map(namedRelease))).flatMap((one) => one?.passport.modelId ?? []);
  const modelIds = [...new Set([...profile.slots.flatMap((slot) => slot.modelIds), ...named])];
  const publishers = keys.map((key) => ({ id: keyId(key), publicPem: publicPem(key), modelIds }));
  return { publishers, revoked: [], floors: null };
}

/** Whose releases the fleet's own statement `root` takes, and which floor tokens. */
export function signersOf({ root }: Trust): RehearsalSigners {
  const { publishers, revoked } = root;
  return { publishers, revoked, floors: floorDefinitionOf(root) };
}

/** `dir` holds fleet.json and root.json: what ships in the firmware, or a controller's state directory. Errors: ConfigError. */
export async function signersOfFleet(dir: string, now: number): Promise<RehearsalSigners> {
  const [fleet, root] = await Promise.all([read(join(dir, STATE_FILES.fleet)), read(join(dir, STATE_FILES.root))]);
  return signersOf(loadTrust(fleet, root, now, 0));
}
