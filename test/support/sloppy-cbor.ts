// CBOR that is well-formed and says the same, but is not deterministic: one liberty, taken at one place of a value.
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';

const BREAK = Buffer.from([0xff]);

/** The first item of `bytes` with its argument in 8 bytes, whatever it needs; null when it has 8 already or none. */
function widened(bytes: Buffer): Buffer | null {
  const first = bytes.readUInt8(0);
  const info = first & 31;
  if (first >> 5 > 5 || info === 27) return null;
  const width = info < 24 ? 0 : 1 << (info - 24);
  const argument = width === 0 ? info : bytes.readUIntBE(1, width);
  const head = Buffer.alloc(9);
  head.writeUInt8((first & 0xe0) | 27);
  head.writeBigUInt64BE(BigInt(argument), 1);
  return Buffer.concat([head, bytes.subarray(1 + width)]);
}

/** Encoded items of a map's or array's contents, in order: a map's as pairs. */
function contents(value: object): Buffer[] {
  if (Array.isArray(value)) return (value as CborValue[]).map((item) => encodeCbor(item));
  const sorted = Object.entries(value as Record<string, CborValue>).map(
    ([key, field]) => [encodeCbor(key), encodeCbor(field)] as const,
  );
  return sorted.sort(([a], [b]) => Buffer.compare(a, b)).map((pair) => Buffer.concat(pair));
}

function indefinite(value: CborValue, whole: Buffer): Buffer | null {
  const head = Buffer.from([(whole.readUInt8(0) & 0xe0) | 31]);
  if (typeof value === 'string' || value instanceof Uint8Array) return Buffer.concat([head, whole, BREAK]);
  return typeof value === 'object' && value !== null ? Buffer.concat([head, ...contents(value), BREAK]) : null;
}

function reordered(value: CborValue, whole: Buffer, how: 'turned round' | 'first twice'): Buffer | null {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || Array.isArray(value)) return null;
  const pairs = contents(value);
  const [first] = pairs;
  if (first === undefined || pairs.length > 22) return null;
  if (how === 'first twice') return Buffer.concat([Buffer.from([0xa0 + pairs.length + 1]), first, ...pairs]);
  return pairs.length < 2 ? null : Buffer.concat([whole.subarray(0, 1), ...pairs.toReversed()]);
}

function float(value: CborValue): Buffer | null {
  if (typeof value !== 'number') return null;
  const bytes = Buffer.from([0xfb, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

export type Liberty = 'wider head' | 'indefinite' | 'tag' | 'float' | 'keys turned round' | 'key twice';

/** Each gives the value with that liberty taken at its outermost item; null where it cannot be taken there. */
const TAKEN: Readonly<Record<Liberty, (value: CborValue, whole: Buffer) => Buffer | null>> = {
  'wider head': (_, whole) => widened(whole),
  indefinite,
  tag: (_, whole) => Buffer.concat([Buffer.from([0xc1]), whole]),
  float,
  'keys turned round': (value, whole) => reordered(value, whole, 'turned round'),
  'key twice': (value, whole) => reordered(value, whole, 'first twice'),
};

export const LIBERTIES: readonly Liberty[] = Object.keys(TAKEN) as Liberty[];

export function sloppily(value: CborValue, liberty: Liberty): Buffer | null {
  return TAKEN[liberty](value, encodeCbor(value));
}
