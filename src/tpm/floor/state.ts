// Reads the version floors of this TPM, and says what is wrong with them where they cannot be read. Nothing wrong reads as a floor of 0.
import { nvRead, nvReadPublic, type NvIndex } from '../commands/nv.ts';
import type { TpmParts } from '../device-tpm.ts';
import type { CommandQueue } from '../queue.ts';
import { isRefusal } from '../tpm-error.ts';
import { TPMA_NV } from '../wire/constants.ts';
import { readFloorBytes, type FloorDefinition, type IndexNames } from './definition.ts';

/** missing: not defined, or deleted by the owner. unwritten: defined (again) and never written. foreign: another index in its place. */
export type IndexState = 'written' | 'unwritten' | 'missing' | 'foreign';

/**
 * `generation` is the counter's value, null when it cannot be read. Floors that are there count without it; it only decides about a
 * first write.
 */
export type FloorState =
  | { readonly state: 'set'; readonly values: readonly bigint[]; readonly generation: bigint | null }
  | { readonly state: Exclude<IndexState, 'written'>; readonly generation: bigint | null };

/** Response code: no such handle. */
const RC_HANDLE = 0x8b;

/** What the TPM says is there. It is not authenticated: only reading by the Name proves it. */
export async function indexState(tpm: CommandQueue, index: IndexNames): Promise<IndexState> {
  try {
    const { name } = await nvReadPublic(tpm, index.handle);
    if (name.equals(index.written)) return 'written';
    return name.equals(index.unwritten) ? 'unwritten' : 'foreign';
  } catch (error) {
    if (isRefusal(error, RC_HANDLE)) return 'missing';
    throw error;
  }
}

/** Reads by the Name that the index must have, through the session: another index, or another's answer, does not authenticate. */
async function readWritten({ queue, session }: TpmParts, index: IndexNames): Promise<Buffer> {
  const { handle, publicArea, written } = index;
  const attributes = (publicArea.attributes | TPMA_NV.written) >>> 0;
  const known: NvIndex = { handle, name: written, publicArea: { ...publicArea, attributes } };
  return nvRead(queue, known, { authHandle: known, auth: () => session.use() });
}

/** Errors: TpmError, also when what is read does not authenticate. */
export async function readFloors(parts: TpmParts, definition: FloorDefinition): Promise<FloorState> {
  const { queue } = parts;
  const counting = (await indexState(queue, definition.generation)) === 'written';
  const generation = counting ? (await readWritten(parts, definition.generation)).readBigUInt64BE() : null;
  const state = await indexState(queue, definition.floors);
  if (state !== 'written') return { state, generation };
  return { state: 'set', values: readFloorBytes(await readWritten(parts, definition.floors)), generation };
}
