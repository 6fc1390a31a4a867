// Giving a device its floors: define the indices, write them once by a token of this device, and burn the token.
import { nvDefine, nvIncrement } from '../commands/nv.ts';
import type { TpmParts } from '../device-tpm.ts';
import { withAuth } from '../hierarchy-auth.ts';
import { TpmResponseError } from '../tpm-error.ts';
import { TPM_RH } from '../wire/constants.ts';
import type { FloorDefinition, IndexNames } from './definition.ts';
import { indexState, readFloors, type FloorState } from './state.ts';
import { isSigned, type FirstWriteOrder, type FloorToken } from './token.ts';
import { writeFloors } from './write.ts';

export type FirstWriteToken = FloorToken<FirstWriteOrder>;

async function defineIndex({ queue, auths }: TpmParts, { publicArea }: IndexNames): Promise<void> {
  await withAuth(queue, auths.owner, async (auth) => nvDefine(queue, publicArea, { auth }));
}

/** Moves the counter on; `written` whether it has counted before. */
async function count({ queue, auths }: TpmParts, index: IndexNames, written: boolean): Promise<void> {
  const entity = { handle: index.handle, name: written ? index.written : index.unwritten };
  const authHandle = TPM_RH.OWNER;
  await withAuth(queue, auths.owner, async (auth) => nvIncrement(queue, entity, { authHandle, auth }));
}

/**
 * Defines what is missing and starts the counter; what is there already, or is another's, is left alone. May be repeated after a cut.
 * The generation of the answer is what a first-write token must name. Errors: TpmError, TpmResponseError without the owner's auth value.
 */
export async function defineFloorIndices(parts: TpmParts, definition: FloorDefinition): Promise<FloorState> {
  const { floors, generation } = definition;
  if ((await indexState(parts.queue, generation)) === 'missing') await defineIndex(parts, generation);
  if ((await indexState(parts.queue, generation)) === 'unwritten') await count(parts, generation, false);
  if ((await indexState(parts.queue, floors)) === 'missing') await defineIndex(parts, floors);
  return readFloors(parts, definition);
}

interface FirstWriteFacts {
  readonly definition: FloorDefinition;
  readonly token: FirstWriteToken;
  readonly state: FloorState;
  readonly akName: Buffer;
}

function sameValues(state: FloorState, token: FirstWriteToken): boolean {
  return state.state === 'set' && state.values.every((value, slot) => value === token.values[slot]);
}

/** Each says whether the token passes; the name of one that does not is its refusal. The TPM asks all of them itself. */
export const FIRST_WRITE_CHECKS = {
  'not-signed': ({ definition, token }: FirstWriteFacts): boolean => isSigned(definition, token),
  'other-device': ({ token, akName }: FirstWriteFacts): boolean => token.akName.equals(akName),
  'other-generation': ({ token, state }: FirstWriteFacts): boolean => token.generation === state.generation,
  'not-unwritten': ({ token, state }: FirstWriteFacts): boolean =>
    state.state === 'unwritten' || sameValues(state, token),
} as const;

export type FirstWriteRefusal = keyof typeof FIRST_WRITE_CHECKS | 'tpm-refused' | 'read-back-differs';

export type FirstWriteOutcome =
  | { readonly written: true; readonly state: FloorState }
  | {
      readonly written: false;
      readonly why: readonly FirstWriteRefusal[];
      readonly state: FloorState;
      readonly tpm: string | null;
    };

/**
 * Writes the floors of this device by its token and burns the token. A cut between the two leaves the token good for one more call,
 * which then only burns it; a floor that it took down is found by who remembers a higher one. Errors: TpmError.
 */
export async function writeFirstFloors(
  parts: TpmParts,
  definition: FloorDefinition,
  token: FirstWriteToken,
): Promise<FirstWriteOutcome> {
  const state = await readFloors(parts, definition);
  const facts = { definition, token, state, akName: parts.ak.name };
  const why = Object.entries(FIRST_WRITE_CHECKS).flatMap(([name, passes]) =>
    passes(facts) ? [] : [name as FirstWriteRefusal],
  );
  if (why.length > 0) return { written: false, why, state, tpm: null };
  if (state.state !== 'set') {
    try {
      await writeFloors(parts.queue, definition, token, parts.ak);
    } catch (error) {
      if (!(error instanceof TpmResponseError)) throw error;
      return { written: false, why: ['tpm-refused'], state, tpm: error.message };
    }
  }
  await count(parts, definition.generation, true);
  const after = await readFloors(parts, definition);
  return sameValues(after, token)
    ? { written: true, state: after }
    : { written: false, why: ['read-back-differs'], state: after, tpm: null };
}
