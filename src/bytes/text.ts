// Bytes as text and back, strictly: hex, base32, base64, UTF-8.
import { WireError } from '../errors.ts';

function malformed(message: string): never {
  throw new WireError('WIRE_MALFORMED', message, { field: 'text', offset: 0 });
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Lower-case hex of an even number of digits; anything else is a WireError. */
export function fromHex(text: string): Buffer {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) malformed('not lower-case hex');
  return Buffer.from(text, 'hex');
}

/** The first 12 hex digits, for messages to people. */
export function shortHex(bytes: Uint8Array | string): string {
  const text = typeof bytes === 'string' ? bytes : toHex(bytes);
  return text.length <= 12 ? text : `${text.slice(0, 12)}…`;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** Lower-case base32 without padding (RFC 4648, 6). */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(held >>> bits) & 31];
      held &= (1 << bits) - 1;
    }
  }
  return bits > 0 ? text + BASE32[(held << (5 - bits)) & 31] : text;
}

/** Standard base64 with padding, canonical: re-encoding gives the same text. */
export function fromBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) malformed('not canonical base64');
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Strict UTF-8: a byte sequence that is not valid is a WireError, never replaced. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new WireError('WIRE_MALFORMED', 'not valid UTF-8', { field: 'text', offset: 0 }, { cause });
  }
}

export function toUtf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

/** After it no calendar of ECMAScript goes on. */
const LAST_MS = 8.64e15;

/** A time in ms since 1970 for people: RFC 3339 in UTC. One that no calendar holds is shown as the number that it is. */
export function timeText(ms: number): string {
  return ms > LAST_MS ? `${ms} ms` : new Date(ms).toISOString();
}

/** Its day. */
export function dayText(ms: number): string {
  return timeText(ms).replace(/T.*$/, '');
}

/** Byte-wise order of two strings' UTF-8: the sort order of every manifest. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
