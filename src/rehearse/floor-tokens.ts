// Floor tokens in a rehearsal: what the fleet's keys signed is judged by them, and signed again for the TPM that plays the device.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WireError } from '../errors.ts';
import { FLOOR_TOKEN_FILE } from '../release/release-folder.ts';
import { floorSigner } from '../testing/first-floors.ts';
import type { Stage } from '../testing/stage.ts';
import type { FloorDefinition } from '../tpm/floor/definition.ts';
import { decodeFloorToken } from '../tpm/floor/token-file.ts';
import { isSigned } from '../tpm/floor/token.ts';
import type { FloorToken } from '../tpm/floor/token.ts';

/** What a device that is given this file will make of it; null: nothing good. */
function raiseIn(bytes: Buffer): FloorToken | null {
  try {
    const token = decodeFloorToken(bytes);
    return token.kind === 'raise' ? token : null;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/**
 * The token in a published release, signed by the floor keys of this stage: slot, version, step and role stay as they are. One that
 * `real`, the floors of the devices' own fleet, would not take stays untouched, so that the device refuses it. Null as `real`: not known.
 */
export async function signAgain(
  stage: Stage,
  release: string,
  real: FloorDefinition | null,
  now: number,
): Promise<void> {
  const file = join(release, FLOOR_TOKEN_FILE);
  const bytes = await readFile(file).catch(() => null);
  const token = bytes === null ? null : raiseIn(bytes);
  if (token === null || token.kind !== 'raise' || (real !== null && !isSigned(real, token))) return;
  const { kind, slot, to, maxStep, by } = token;
  await writeFile(file, await (await floorSigner(stage, now)).sign(by, { kind, slot, to, maxStep }));
}

export interface FloorFacts {
  /** Security versions that the two passports name; `before` null: new devices. */
  readonly release: number;
  readonly before: number | null;
  /** Whether the release brings a token. */
  readonly hasToken: boolean;
}

/** Where the floor of the played slot stands before anything is installed: at what runs, or where a new device's must be for this release. */
export function firstFloor({ release, before, hasToken }: FloorFacts): number {
  if (before !== null) return before;
  return hasToken ? Math.max(0, release - 1) : release;
}
