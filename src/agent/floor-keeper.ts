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

async function firstToken(stateDir: string, log: Log): Promise<FloorToken | null> {
  const bytes = await readFile(join(stateDir, FLOOR_FIRST_TOKEN_FILE)).catch(() => null);
  if (bytes === null) return null;
  try {
    return decodeFloorToken(bytes);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    log.write('error', 'floor', `${FLOOR_FIRST_TOKEN_FILE} is no floor token: ${error.message}`);
    return null;
  }
}

/** Defines what is missing and writes what a token allows. A floor that was deleted stays above everything until then. */
async function provide(floors: VersionFloors, { tpm, stateDir, log }: FloorKeeperParts): Promise<FloorState> {
  let state = await floors.define();
  const token = await firstToken(stateDir, log);
  if (token?.kind === 'first-write') {
    const outcome = await floors.writeFirst(token);
    state = outcome.state;
    if (outcome.written)
      log.write('info', 'floor', `the version floors are set: ${state.state === 'set' ? state.values.join(', ') : ''}`);
    else
      log.write('error', 'floor', `the first-write token was refused: ${outcome.why.join(', ')} ${outcome.tpm ?? ''}`);
  }
  if (state.state === 'set') {
    await removeFileDurably(join(stateDir, FLOOR_FIRST_TOKEN_FILE));
    await removeFileDurably(join(stateDir, FLOOR_REQUEST_FILE));
    return state;
  }
  const { akName } = await tpm.identity();
  const request = { v: 1, akName: toHex(akName), generation: state.generation?.toString() ?? null };
  await writeFileDurably(join(stateDir, FLOOR_REQUEST_FILE), toUtf8(`${JSON.stringify(request, null, 2)}\n`), 0o644);
  const advice = `touchstone floor first-token ${join(stateDir, FLOOR_REQUEST_FILE)}, then start again`;
  log.write(
    'error',
    'floor',
    `the version floors are ${state.state}: nothing can be loaded before a token for this device is in ${FLOOR_FIRST_TOKEN_FILE}: ${advice}`,
  );
  return state;
}

/** The floors, and what evidence says of them. */
export interface ClaimedFloor extends Floor {
  /** What evidence for this challenge (exact bytes, MAC included) says of them. */
  claims(challenge: Uint8Array): Promise<Pick<Claims, 'floors' | 'floorCertificate'>>;
}

/** As evidence has room for: no security version is above that either. */
function claimed(floor: bigint | undefined): number | null {
  if (floor === undefined) return null;
  return floor > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(floor);
}

/** Empty when they are not set. */
async function valuesOf(floors: VersionFloors): Promise<readonly bigint[]> {
  const now = await floors.read();
  return now.state === 'set' ? now.values : [];
}

/** Errors: TpmError; ConfigError when the profile wants floors and the root names no key for them. */
export async function openFloor(parts: FloorKeeperParts): Promise<ClaimedFloor> {
  const { profile, trust, tpm, log } = parts;
  const slots = new Map(
    profile.slots.flatMap(({ name, floor }) => (floor === undefined ? [] : [[name, floor] as const])),
  );
  if (slots.size === 0) return { ...NO_HARDWARE_FLOOR, claims: async () => ({}) };
  const definition = floorDefinitionOf(trust().root);
  if (definition === null) {
    throw new ConfigError(
      'CONFIG_INVALID',
      'the profile has version floors, and the root statement no P-256 floor key',
    );
  }
  const floors = new VersionFloors(tpm, definition, BigInt(profile.floorMaxStep ?? DEFAULT_MAX_STEP));
  await provide(floors, parts);
  const said = new Map<string, string>();
  const held = new SlotFloors({
    floors,
    slots,
    isRevoked: (by) => {
      const { root } = trust();
      const key = by === 'floor' ? root.floor[0] : root.floorRecovery;
      return root.revoked.some((one) => one.id === key?.id);
    },
    onRaise: (slot, outcome) => {
      const words = outcome.raised ? `is ${outcome.floor}` : `was not raised: ${outcome.why.join(', ')}`;
      if (said.get(slot) === words) return;
      said.set(slot, words);
      log.write(outcome.raised ? 'info' : 'error', 'floor', `the version floor of slot ${slot} ${words}`, { slot });
    },
  });
  return {
    claims: async (challenge) => {
      const certified = await floors.certify(floorQualifyingData(challenge));
      const values = certified?.values ?? (await valuesOf(floors));
      return {
        floors: [...slots].map(([slot, number]) => ({ slot, floor: claimed(values[number]) })),
        ...(certified === null ? {} : { floorCertificate: certified.certificate }),
      };
    },
    read: async (slot) => held.read(slot),
    raise: async (slot, version, token) => held.raise(slot, version, token),
    refusals: async (slot, version, token) => held.refusals(slot, version, token),
  };
}
