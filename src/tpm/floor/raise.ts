// Raising a floor: the checks before the TPM is asked, the write, and the only proof of success: the floor read back equals.
import type { TpmParts } from '../device-tpm.ts';
import { TpmResponseError } from '../tpm-error.ts';
import type { FloorDefinition } from './definition.ts';
import { readFloors, type FloorState } from './state.ts';
import { isSigned, lowestBefore, type FloorToken, type RaiseOrder } from './token.ts';
import { writeFloors } from './write.ts';

export type RaiseToken = FloorToken<RaiseOrder>;

interface RaiseFacts {
  readonly definition: FloorDefinition;
  readonly token: RaiseToken;
  /** The floor now. */
  readonly floor: bigint;
  /** Longest step that this device takes from the floor's authority. */
  readonly maxStep: bigint;
}

/**
 * Each says whether the token passes; the name of one that does not is its refusal. The TPM asks all but step-above-limit itself: a
 * thief of the floor key could sign a longer step, and this device's profile stops it here.
 */
export const RAISE_CHECKS = {
  'not-signed': ({ definition, token }: RaiseFacts): boolean => isSigned(definition, token),
  'step-above-limit': ({ token, maxStep }: RaiseFacts): boolean => token.by === 'root' || token.maxStep <= maxStep,
  'floor-above': ({ token, floor }: RaiseFacts): boolean => floor <= token.to,
  'floor-too-far': ({ token, floor }: RaiseFacts): boolean => floor >= lowestBefore(token),
} as const;

export type RaiseRefusal =
  | keyof typeof RAISE_CHECKS
  /** No floors to raise: see the state. */
  | 'no-floors'
  /** The TPM refused the token, or its index; `tpm` says how. */
  | 'tpm-refused'
  /** The write was answered, and the floor is another: higher means somebody else raised it meanwhile. */
  | 'read-back-differs';

export type RaiseOutcome =
  | { readonly raised: true; readonly floor: bigint }
  | {
      readonly raised: false;
      /** All of them. */
      readonly why: readonly RaiseRefusal[];
      readonly state: FloorState;
      readonly tpm: string | null;
    };

/** What of a token would be refused at this floor, before any TPM is asked. */
export function raiseRefusals(facts: RaiseFacts): RaiseRefusal[] {
  return Object.entries(RAISE_CHECKS).flatMap(([name, passes]) => (passes(facts) ? [] : [name as RaiseRefusal]));
}

/** Writes, and gives the TPM's refusal as a value. */
async function tryWrite(parts: TpmParts, definition: FloorDefinition, token: RaiseToken): Promise<string | null> {
  try {
    await writeFloors(parts.queue, definition, token, parts.ak);
    return null;
  } catch (error) {
    if (error instanceof TpmResponseError) return error.message;
    throw error;
  }
}

/**
 * Raises the floor of the token's slot to exactly `token.to`. Raised already: success, so that a cut in the middle may be followed by
 * the same call. Higher: refused, since whoever wants this version activated would activate an old one. Errors: TpmError of a TPM that
 * is not reached; the floor must then be read again.
 */
export async function raiseFloor(
  parts: TpmParts,
  definition: FloorDefinition,
  token: RaiseToken,
  maxStep: bigint,
): Promise<RaiseOutcome> {
  const before = await readFloors(parts, definition);
  const floor = before.state === 'set' ? before.values[token.slot] : undefined;
  if (floor === undefined) return { raised: false, why: ['no-floors'], state: before, tpm: null };
  const why = raiseRefusals({ definition, token, floor, maxStep });
  if (why.length > 0) return { raised: false, why, state: before, tpm: null };
  const tpm = floor === token.to ? null : await tryWrite(parts, definition, token);
  const after = await readFloors(parts, definition);
  if (after.state === 'set' && after.values[token.slot] === token.to) return { raised: true, floor: token.to };
  return { raised: false, why: [tpm === null ? 'read-back-differs' : 'tpm-refused'], state: after, tpm };
}
