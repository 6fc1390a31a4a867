// TPM2_GetCapability: what this TPM is and has.
import { list, struct, u16, u32, u8, type Codec, type Reader } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TPM_CAP } from '../wire/constants.ts';
import { TpmlPcrSelection } from '../wire/pcr.ts';
import { execute, pack } from './execute.ts';

/** More entries than fit in a response of 4096 bytes. */
const MAX_ENTRIES = 1024;

interface Property {
  readonly property: number;
  readonly value: number;
}
const TpmsTaggedProperty: Codec<Property> = struct<Property>('TPMS_TAGGED_PROPERTY', { property: u32, value: u32 });

async function capability<T>(
  tpm: CommandQueue,
  kind: number,
  first: number,
  read: (from: Reader) => T,
): Promise<{ more: boolean; data: T }> {
  return execute(tpm, {
    command: 'GetCapability',
    parameters: pack([u32, kind], [u32, first], [u32, MAX_ENTRIES]),
    read: (from) => {
      const more = u8.read(from) === 1;
      const told = u32.read(from);
      if (told !== kind) from.fail('WIRE_RANGE', `capability ${told}, asked for ${kind}`);
      return { more, data: read(from) };
    },
  });
}

/** All handles of one range, such as 0x81000000 (persistent) or 0x80000000 (transient), ascending. */
export async function readHandles(tpm: CommandQueue, first: number): Promise<number[]> {
  const handles: number[] = [];
  for (let next = first; ;) {
    const { more, data } = await capability(tpm, TPM_CAP.HANDLES, next, (from) => list(u32, MAX_ENTRIES).read(from));
    handles.push(...data.filter((handle) => handle >>> 24 === first >>> 24));
    const last = data.at(-1);
    if (!more || last === undefined || last >>> 24 !== first >>> 24) return handles;
    next = last + 1;
  }
}

/** TPM_PT → value, of all properties from `first` on in its group (0x100 fixed, 0x200 variable). */
export async function readProperties(tpm: CommandQueue, first: number): Promise<Map<number, number>> {
  const properties = new Map<number, number>();
  for (let next = first; ;) {
    const { more, data } = await capability(tpm, TPM_CAP.TPM_PROPERTIES, next, (from) =>
      list(TpmsTaggedProperty, MAX_ENTRIES).read(from),
    );
    for (const { property, value } of data) if (property >>> 8 === first >>> 8) properties.set(property, value);
    const last = data.at(-1);
    if (!more || last === undefined || last.property >>> 8 !== first >>> 8) return properties;
    next = last.property + 1;
  }
}

/** Each bank the TPM implements, with the PCRs allocated in it: none means that the bank is not active. */
export async function readPcrBanks(tpm: CommandQueue): Promise<TpmlPcrSelection> {
  return (await capability(tpm, TPM_CAP.PCRS, 0, (from) => TpmlPcrSelection.read(from))).data;
}

/** TPM_ALG_ID of every algorithm the TPM implements. */
export async function readAlgorithms(tpm: CommandQueue): Promise<number[]> {
  const entry = struct<{ algorithm: number; attributes: number }>('TPMS_ALG_PROPERTY', {
    algorithm: u16,
    attributes: u32,
  });
  const { data } = await capability(tpm, TPM_CAP.ALGS, 0, (from) => list(entry, MAX_ENTRIES).read(from));
  return data.map(({ algorithm }) => algorithm);
}
