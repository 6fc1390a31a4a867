// Deterministic CBOR (RFC 8949, 4.2.1) in and out, bounded in depth, size and number of items.
import { decode as cborgDecode, encode as cborgEncode } from 'cborg';
import { WireError } from '../errors.ts';

/** What our messages are made of. Integers beyond 2^53 are bigint; maps have text keys. */
export type CborValue =
  number | bigint | string | boolean | null | Uint8Array | readonly CborValue[] | { readonly [key: string]: CborValue };

export interface CborLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  readonly maxItems: number;
}

export const MESSAGE_LIMITS: CborLimits = { maxBytes: 256 * 1024, maxDepth: 16, maxItems: 65_536 };

const fail = (
  code: 'WIRE_SHORT' | 'WIRE_LIMIT' | 'WIRE_MALFORMED' | 'WIRE_TRAILING',
  message: string,
  offset: number,
): never => {
  throw new WireError(code, message, { field: 'cbor', offset });
};

/** Walks the heads once without recursion, so that depth and item count are known before anything is built. */
function assertBounded(bytes: Uint8Array, limits: CborLimits): void {
  if (bytes.length > limits.maxBytes) fail('WIRE_LIMIT', `${bytes.length} bytes, at most ${limits.maxBytes}`, 0);
  const open: number[] = [];
  let at = 0;
  let items = 0;
  do {
    if (++items > limits.maxItems) fail('WIRE_LIMIT', `more than ${limits.maxItems} items`, at);
    const head = bytes[at] ?? fail('WIRE_SHORT', 'ends inside an item', at);
    const major = head >> 5;
    const info = head & 31;
    if (info > 27) fail('WIRE_MALFORMED', 'indefinite length or reserved head', at);
    const width = info < 24 ? 0 : 1 << (info - 24);
    let argument = info;
    if (width > 0) {
      if (at + width >= bytes.length) fail('WIRE_SHORT', 'ends inside a head', at);
      argument = 0;
      for (let i = 1; i <= width; i++) argument = argument * 256 + (bytes[at + i] ?? 0);
    }
    at += 1 + width;
    let children = 0;
    if (major === 2 || major === 3) at += argument;
    else if (major === 4) children = argument;
    else if (major === 5) children = argument * 2;
    else if (major === 6) fail('WIRE_MALFORMED', 'tags are not used here', at);
    if (at > bytes.length) fail('WIRE_SHORT', 'ends inside a string', at);
    if (children > bytes.length - at)
      fail('WIRE_SHORT', `announces ${children} items, ${bytes.length - at} bytes left`, at);
    if (children > 0) {
      if (open.length >= limits.maxDepth) fail('WIRE_LIMIT', `deeper than ${limits.maxDepth}`, at);
      open.push(children);
    } else {
      while (open.length > 0) {
        const last = open.length - 1;
        const left = (open[last] ?? 1) - 1;
        open[last] = left;
        if (left > 0) break;
        open.pop();
      }
    }
  } while (open.length > 0);
  if (at !== bytes.length) fail('WIRE_TRAILING', `${bytes.length - at} bytes left over`, at);
}

const OPTIONS = {
  allowIndefinite: false,
  allowUndefined: false,
  allowNaN: false,
  allowInfinity: false,
  strict: true,
  rejectDuplicateMapKeys: true,
} as const;

/** Decodes one CBOR item that fills `bytes`. Errors: WireError (never anything else, whatever the bytes are). */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits = MESSAGE_LIMITS): unknown {
  assertBounded(bytes, limits);
  try {
    return cborgDecode(bytes, OPTIONS);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new WireError('WIRE_MALFORMED', message, { field: 'cbor', offset: 0 }, { cause });
  }
}

/** Deterministic encoding: shortest heads, map keys in bytewise order. */
export function encodeCbor(value: CborValue): Buffer {
  const bytes = cborgEncode(value);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
