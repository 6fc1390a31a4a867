// TPM2_PCR_Read, _Extend and _Reset.
import { fixed, u16, u32 } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { DIGEST_BYTES } from '../wire/constants.ts';
import { PcrReadAnswer, TpmlPcrSelection, type TpmsPcrSelection } from '../wire/pcr.ts';
import { password, type Authorization } from './authorization.ts';
import { execute, nothing, pack } from './execute.ts';

/** A read that is torn by others' extends this often in a row gives up. */
const MAX_TORN_READS = 16;

async function readOnce(tpm: CommandQueue, selection: TpmsPcrSelection): Promise<PcrReadAnswer> {
  return execute(tpm, {
    command: 'PCR_Read',
    deadline: 'nv',
    parameters: pack([TpmlPcrSelection, [selection]]),
    read: (from) => PcrReadAnswer.read(from),
  });
}

/** One pass over all commands it takes; null when a PCR changed between two of them. */
async function readAllPcrs(
  tpm: CommandQueue,
  hash: number,
  pcrs: readonly number[],
): Promise<Map<number, Buffer> | null> {
  const values = new Map<number, Buffer>();
  let counter: number | null = null;
  for (let left = [...pcrs]; left.length > 0; left = left.filter((pcr) => !values.has(pcr))) {
    const answer = await readOnce(tpm, { hash, pcrs: left });
    const [told] = answer.selection;
    const read = told?.hash === hash ? told.pcrs : [];
    if (read.length === 0 || read.length !== answer.values.length || read.some((pcr) => !left.includes(pcr))) {
      throw new TpmError('TPM_RESPONSE', `TPM2_PCR_Read: PCR ${left.join(', ')} cannot be read: is the bank active?`);
    }
    counter ??= answer.updateCounter;
    if (counter !== answer.updateCounter) return null;
    for (const [index, pcr] of read.entries()) {
      const value = answer.values[index];
      if (value === undefined || value.length !== DIGEST_BYTES.get(hash))
        throw new TpmError('TPM_RESPONSE', `TPM2_PCR_Read: PCR ${pcr}: wrong length`);
      values.set(pcr, value);
    }
  }
  return values;
}

/**
 * Values in the order of `pcrs`, all of one moment: a TPM answers with at most 8 a command, and an extend between two of
 * the commands makes it start again. Errors: TpmError TPM_RESPONSE, also when the bank is not active.
 */
export async function pcrRead(tpm: CommandQueue, hash: number, pcrs: readonly number[]): Promise<Buffer[]> {
  for (let attempt = 0; attempt < MAX_TORN_READS; attempt += 1) {
    const values = await readAllPcrs(tpm, hash, pcrs);
    if (values !== null) return pcrs.map((pcr) => values.get(pcr) ?? Buffer.alloc(0));
  }
  throw new TpmError('TPM_RESPONSE', 'TPM2_PCR_Read: PCRs change faster than they can be read');
}

/** Extends one bank of `pcr`. An inactive bank is silently left out by the TPM. */
export async function pcrExtend(
  tpm: CommandQueue,
  pcr: number,
  hash: number,
  digest: Uint8Array,
  auth: Authorization = password(),
): Promise<void> {
  const length = DIGEST_BYTES.get(hash);
  if (length === undefined || digest.length !== length)
    throw new RangeError(`${digest.length} bytes are no digest of this bank`);
  await execute(tpm, {
    command: 'PCR_Extend',
    deadline: 'nv',
    handles: [pcr],
    auths: [auth],
    parameters: pack([u32, 1], [u16, hash], [fixed(length), Buffer.from(digest)]),
    read: nothing,
  });
}

/** Possible at locality 0 for PCR 16 and 23 only. */
export async function pcrReset(tpm: CommandQueue, pcr: number): Promise<void> {
  await execute(tpm, { command: 'PCR_Reset', handles: [pcr], auths: [password()], read: nothing });
}
