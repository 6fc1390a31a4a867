// TPM2_GetCapability: what this TPM is and has.
import { list, struct, u16, u32, u8, type Codec, type Reader } from '../../bytes/wire.ts';
import type { CommandQueue } from '../queue.ts';
import { TpmError } from '../tpm-error.ts';
import { TPM_CAP } from '../wire/constants.ts';
import { TpmlPcrSelection } from '../wire/pcr.ts';
import { execute, pack } from './execute.ts';

/** More entries than fit in a response of 4096 bytes. */
const MAX_ENTRIES = 1024;
/** More commands than any TPM needs for a list; one that goes on for ever is cut here. */
const MAX_PAGES = 64;

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

/** TPM_HT that ask for sessions, loaded and saved; in the answer 0x02 means HMAC and 0x03 policy sessions. */
const SESSION_RANGES: ReadonlySet<number> = new Set([0x02, 0x03]);

/** All pages of a list that begins at `first`: `page` reads one and says where the next begins, or null. */
async function allPages<T>(
  page: (first: number) => Promise<{ found: T[]; next: number | null }>,
  first: number,
): Promise<T[]> {
  const all: T[] = [];
  let next: number | null = first;
  for (let pages = 0; next !== null; pages += 1) {
    if (pages === MAX_PAGES) throw new TpmError('TPM_RESPONSE', 'TPM2_GetCapability: the list does not end');
    const answer = await page(next);
    all.push(...answer.found);
    ({ next } = answer);
  }
  return all;
}

/**
 * All handles of one range, such as 0x81000000 (persistent) or 0x80000000 (transient), ascending. 0x02000000 gives the loaded
 * sessions of both kinds, 0x03000000 the saved ones.
 */
export async function readHandles(tpm: CommandQueue, first: number): Promise<number[]> {
  const range = first >>> 24;
  const belongs = (handle: number): boolean =>
    handle >>> 24 === range || (SESSION_RANGES.has(range) && SESSION_RANGES.has(handle >>> 24));
  return allPages(async (from) => {
    const { more, data } = await capability(tpm, TPM_CAP.HANDLES, from, (reader) =>
      list(u32, MAX_ENTRIES).read(reader),
    );
    const found = data.filter(belongs);
    const last = found.at(-1);
    const ended = !more || last === undefined || found.length < data.length;
    return { found, next: ended ? null : ((range << 24) | ((last & 0xffffff) + 1)) >>> 0 };
  }, first);
}

/** TPM_PT → value, of all properties from `first` on in its group (0x100 fixed, 0x200 variable). */
export async function readProperties(tpm: CommandQueue, first: number): Promise<Map<number, number>> {
  const entries = await allPages(async (from) => {
    const { more, data } = await capability(tpm, TPM_CAP.TPM_PROPERTIES, from, (reader) =>
      list(TpmsTaggedProperty, MAX_ENTRIES).read(reader),
    );
    const found = data.filter(({ property }) => property >>> 8 === first >>> 8);
    const last = found.at(-1);
    const ended = !more || last === undefined || found.length < data.length;
    return { found, next: ended ? null : last.property + 1 };
  }, first);
  return new Map(entries.map(({ property, value }) => [property, value]));
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

/** TPM_CC of every command the TPM implements, vendor commands left out. TPMA_CC, Part 2, 8.9. */
export async function readCommands(tpm: CommandQueue): Promise<number[]> {
  const attributes = await allPages(async (from) => {
    const { more, data } = await capability(tpm, TPM_CAP.COMMANDS, from, (reader) =>
      list(u32, MAX_ENTRIES).read(reader),
    );
    const last = data.at(-1);
    return { found: data, next: more && last !== undefined ? (last & 0xffff) + 1 : null };
  }, 0x11f);
  return attributes.filter((value) => (value & 0x20000000) === 0).map((value) => value & 0xffff);
}
