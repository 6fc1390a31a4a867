// Reads DER value after value without building a tree: for what is signed by its exact bytes, and for lists too long for a tree.
import { WireError } from '../errors.ts';

export interface DerValue {
  /** The identifier octet: class, constructed or not, and number. */
  readonly tag: number;
  /** Exact bytes, head included. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

/** Tags that are asked for by number (X.690, 8.1.2). */
export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** [n] constructed, and [n] primitive. */
export const explicit = (n: number): number => 0xa0 | n;
export const implicit = (n: number): number => 0x80 | n;

function refuse(why: string, offset: number): never {
  throw new WireError('WIRE_MALFORMED', why, { field: 'der', offset });
}

/** Length of the content at `at`, and where it begins. Minimal and definite, as DER has it (X.690, 10.1). */
function lengthAt(der: Buffer, at: number): { readonly length: number; readonly start: number } {
  const first = der[at];
  if (first === undefined) return refuse('a value ends early', at);
  if (first < 0x80) return { length: first, start: at + 1 };
  const octets = first & 0x7f;
  if (octets < 1 || octets > 4 || at + 1 + octets > der.length) return refuse('a length that DER does not have', at);
  const length = der.readUIntBE(at + 1, octets);
  if (length < 0x80 || (octets > 1 && der[at + 1] === 0)) return refuse('a length that is longer than it must be', at);
  return { length, start: at + 1 + octets };
}

/** The values that lie side by side in `der`, at most `max`. Errors: WireError for anything else, left-over bytes included. */
export function derValues(der: Buffer, max: number): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < der.length;) {
    const tag = der[at] ?? 0;
    if ((tag & 0x1f) === 0x1f) return refuse('a tag of several octets', at);
    const { length, start } = lengthAt(der, at + 1);
    if (start + length > der.length) return refuse('a value ends early', at);
    if (values.length === max) return refuse(`more than ${max} values`, at);
    values.push({ tag, bytes: der.subarray(at, start + length), content: der.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}

/** The parts of a SEQUENCE. Errors: WireError when it is none. */
export function derSequence(value: DerValue | undefined, max: number): DerValue[] {
  if (value?.tag !== DER.sequence) return refuse('a SEQUENCE is missing', 0);
  return derValues(value.content, max);
}

/** UTCTime or GeneralizedTime as RFC 5280, 4.1.2.5 allows them: to the second, in UTC. ms since 1970. Errors: WireError. */
export function derTime({ tag, content }: DerValue): number {
  const text = content.toString('latin1');
  const century = tag === DER.utcTime ? (Number(text.slice(0, 2)) < 50 ? '20' : '19') : '';
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(`${century}${text}`);
  if (match === null || (tag !== DER.utcTime && tag !== DER.generalizedTime)) return refuse('a time that is none', 0);
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // The 30th of February would be the 2nd of March.
  return Number.isNaN(ms) || new Date(ms).getUTCDate() !== Number(day) ? refuse('a time that is none', 0) : ms;
}
