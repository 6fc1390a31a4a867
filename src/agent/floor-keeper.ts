// The floors in this device's TPM: given to it once, by a token made for it alone, then read and raised for the gate.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex, toUtf8 } from '../bytes/text.ts';
import { ConfigError, WireError } from '../errors.ts';
import { removeFileDurably, writeFileDurably } from '../files/durable.ts';
import { floorQualifyingData } from '../evidence/binding.ts';
import type { Claims } from '../evidence/claims.ts';
import { NO_HARDWARE_FLOOR } from '../gate/floor.ts';
import type { Floor } from '../gate/floor.ts';
import { DEFAULT_MAX_STEP } from '../profile/profile.ts';
import type { Profile } from '../profile/profile.ts';
import { floorDefinitionOf } from '../release/floor-definition.ts';
import type { Trust } from '../release/root.ts';
import type { DeviceTpm } from '../tpm/device-tpm.ts';
import { VersionFloors } from '../tpm/floor/floors.ts';
import { SlotFloors } from '../tpm/floor/slot-floors.ts';
import type { FloorState } from '../tpm/floor/state.ts';
import { decodeFloorToken } from '../tpm/floor/token-file.ts';
import type { FloorToken } from '../tpm/floor/token.ts';
import type { Log } from '../log.ts';

/** What the device says of itself so that its first-write token can be made; written while its floors are not set. */
export const FLOOR_REQUEST_FILE = 'floor-request.json';
/** Where that token is put. */
export const FLOOR_FIRST_TOKEN_FILE = 'floor-first-token.json';

export interface FloorKeeperParts {
  readonly tpm: DeviceTpm;
  readonly profile: Profile;
  readonly trust: () => Trust;
  readonly stateDir: string;
  readonly log: Log;
}

function decoded(bytes: Uint8Array): FloorToken | { readonly malformed: string } {
  try {
    return decodeFloorToken(bytes);
  } catch (error) {
    if (error instanceof WireError) return { malformed: error.message };
    throw error;
  }
}

async function firstToken(stateDir: string, log: Log): Promise<FloorToken | null> {
  const bytes = await readFile(join(stateDir, FLOOR_FIRST_TOKEN_FILE)).catch(() => null);
  if (bytes === null) return null;
  const token = decoded(bytes);
  if (!('malformed' in token)) return token;
  log.write('error', 'floor', `${FLOOR_FIRST_TOKEN_FILE} is no floor token: ${token.malformed}`);
  return null;
}

/** What of a state may be said to whoever makes the token. */
function generationOf({ generation }: FloorState): number | null {
  return generation === null || generation > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(generation);
}

/** Writes the floors by a token of this device and says what became of it. */
async function write(floors: VersionFloors, token: FloorToken, { stateDir, log }: FloorKeeperParts): Promise<Given> {
  if (token.kind !== 'first-write') return { given: false, why: 'it is a token that raises a floor' };
  const outcome = await floors.writeFirst(token);
  if (!outcome.written) {
    const why = `${outcome.why.join(', ')} ${outcome.tpm ?? ''}`.trim();
    log.write('error', 'floor', `the first-write token was refused: ${why}`);
    return { given: false, why };
  }
  await removeFileDurably(join(stateDir, FLOOR_FIRST_TOKEN_FILE));
  await removeFileDurably(join(stateDir, FLOOR_REQUEST_FILE));
  log.write('info', 'floor', `the version floors are set: ${token.values.join(', ')}`);
  return { given: true, values: token.values };
}

/**
 * Defines what is missing and writes what a token allows: the floors, none while they are not set. A floor that was deleted stays
 * above everything until then.
 */
async function provide(floors: VersionFloors, parts: FloorKeeperParts): Promise<readonly bigint[]> {
  const { tpm, stateDir, log } = parts;
  const before = await floors.define();
  const token = await firstToken(stateDir, log);
  const given = token === null ? null : await write(floors, token, parts);
  if (given?.given === true) return given.values;
  if (before.state === 'set') return before.values;
  const { akName } = await tpm.identity();
  const request = { v: 1, akName: toHex(akName), generation: before.generation?.toString() ?? null };
  await writeFileDurably(join(stateDir, FLOOR_REQUEST_FILE), toUtf8(`${JSON.stringify(request, null, 2)}\n`), 0o644);
  log.write(
    'error',
    'floor',
    `the version floors are ${before.state}: nothing can be loaded before the device has its token: touchstone floor request at its controller, or touchstone floor first-token ${join(stateDir, FLOOR_REQUEST_FILE)} and a new start with ${FLOOR_FIRST_TOKEN_FILE}`,
  );
  return [];
}

/** What became of a token that gives the floors. */
export type Given =
  { readonly given: true; readonly values: readonly bigint[] } | { readonly given: false; readonly why: string };

type FloorClaims = Pick<Claims, 'floors' | 'floorCertificate' | 'floorGeneration'>;

/** The floors, and what evidence says of them. */
export interface ClaimedFloor extends Floor {
  /** What evidence for this challenge (exact bytes, MAC included) says of them. */
  claims(challenge: Uint8Array): Promise<FloorClaims>;
  /** Takes the token (JSON) that gives the floors. Errors: TpmError; those of the file system. */
  give(token: string): Promise<Given>;
  /** Of each slot that has one by the profile, as the TPM was last asked; null: it has none there. */
  readonly known: ReadonlyMap<string, number | null>;
}

/** As evidence has room for: no security version is above that either. */
function claimed(floor: bigint | undefined): number | null {
  if (floor === undefined) return null;
  return floor > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(floor);
}

const NO_FLOORS: Given = { given: false, why: 'the profile of this device has no version floors' };

/** Errors: TpmError; ConfigError when the profile wants floors and the root names no key for them. */
export async function openFloor(parts: FloorKeeperParts): Promise<ClaimedFloor> {
  const { profile, trust, tpm, log } = parts;
  const slots = new Map(
    profile.slots.flatMap(({ name, floor }) => (floor === undefined ? [] : [[name, floor] as const])),
  );
  if (slots.size === 0)
    return { ...NO_HARDWARE_FLOOR, claims: async () => ({}), give: async () => NO_FLOORS, known: new Map() };
  const definition = floorDefinitionOf(trust().root);
  if (definition === null) {
    throw new ConfigError(
      'CONFIG_INVALID',
      'the profile has version floors, and the root statement no P-256 floor key',
    );
  }
  const floors = new VersionFloors(tpm, definition, BigInt(profile.floorMaxStep ?? DEFAULT_MAX_STEP));
  const known = new Map<string, number | null>();
  const learn = (values: readonly bigint[]): FloorClaims => {
    for (const [slot, number] of slots) known.set(slot, claimed(values[number]));
    return { floors: [...known].map(([slot, floor]) => ({ slot, floor })) };
  };
  learn(await provide(floors, parts));
  const told = new Map<string, string>();
  const held = new SlotFloors({
    floors,
    slots,
    isRevoked: (by) => {
      const { root } = trust();
      const key = by === 'floor' ? root.floor[0] : root.floorRecovery;
      return root.revoked.some((one) => one.id === key?.id);
    },
    onRaise: (slot, outcome) => {
      if (outcome.raised) known.set(slot, claimed(outcome.floor));
      const words = outcome.raised ? `is ${outcome.floor}` : `was not raised: ${outcome.why.join(', ')}`;
      if (told.get(slot) === words) return;
      told.set(slot, words);
      log.write(outcome.raised ? 'info' : 'error', 'floor', `the version floor of slot ${slot} ${words}`, { slot });
    },
  });
  return {
    claims: async (challenge) => {
      const certified = await floors.certify(floorQualifyingData(challenge));
      if (certified !== null) return { ...learn(certified.values), floorCertificate: certified.certificate };
      // Deleted under a running agent: it asks anew.
      const now = await floors.define();
      if (now.state === 'set') return learn(now.values);
      const generation = now.state === 'unwritten' ? generationOf(now) : null;
      return { ...learn([]), ...(generation === null ? {} : { floorGeneration: generation }) };
    },
    give: async (json) => {
      const token = decoded(toUtf8(json));
      if ('malformed' in token) return { given: false, why: token.malformed };
      const given = await write(floors, token, parts);
      if (given.given) learn(given.values);
      return given;
    },
    known,
    read: async (slot) => held.read(slot),
    raise: async (slot, version, token) => held.raise(slot, version, token),
    refusals: async (slot, version, token) => held.refusals(slot, version, token),
  };
}
