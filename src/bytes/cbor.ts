// Deterministic CBOR (RFC 8949, 4.2.1) in and out, bounded in depth, size and number of items.
import { WireError } from '../errors.ts';
import { CborWriter } from './cbor-writer.ts';
import { fromUtf8 } from './text.ts';

/** What our messages are made of. Integers beyond 2^53 are bigint; maps have text keys. */
export type CborValue =
  number | bigint | string | boolean | null | Uint8Array | readonly CborValue[] | { readonly [key: string]: CborValue };

export interface CborLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
  readonly maxItems: number;
}

export const MESSAGE_LIMITS: CborLimits = { maxBytes: 256 * 1024, maxDepth: 16, maxItems: 65_536 };

/** A head with a following argument of 1, 2, 4 or 8 bytes may not hold less than this. */
const LEAST: readonly bigint[] = [24n, 1n << 8n, 1n << 16n, 1n << 32n];
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const SIMPLE: ReadonlyMap<number, boolean | null> = new Map([
  [20, false],
  [21, true],
  [22, null],
]);

/** Reads forward and refuses every form but the deterministic one: two encodings of one message would have two digests. */
class CborReader {
  readonly #bytes: Buffer;
  readonly #limits: CborLimits;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
    if (bytes.length > limits.maxBytes) this.#fail('WIRE_LIMIT', `${bytes.length} bytes, at most ${limits.maxBytes}`);
  }

  #fail(code: 'WIRE_SHORT' | 'WIRE_LIMIT' | 'WIRE_MALFORMED' | 'WIRE_TRAILING', message: string): never {
    throw new WireError(code, message, { field: 'cbor', offset: this.#at });
  }

  /** The argument of a head whose low five bits are `info`. */
  #argument(info: number): bigint {
    if (info < 24) return BigInt(info);
    const least = LEAST[info - 24] ?? this.#fail('WIRE_MALFORMED', 'indefinite length or reserved head');
    const width = 1 << (info - 24);
    const start = this.#at;
    if (start + width > this.#bytes.length) this.#fail('WIRE_SHORT', 'ends inside a head');
    const value = width === 8 ? this.#bytes.readBigUInt64BE(start) : BigInt(this.#bytes.readUIntBE(start, width));
    if (value < least) this.#fail('WIRE_MALFORMED', 'an integer or length is not in its shortest form');
    this.#at += width;
    return value;
  }

  #take(length: bigint): Buffer {
    if (length > this.#bytes.length - this.#at) this.#fail('WIRE_SHORT', 'ends inside a string');
    const start = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(start, this.#at);
  }

  /** Each child takes a byte at least, so a count beyond what is left is refused before anything is built. */
  #children(count: bigint, depth: number): number {
    const left = this.#bytes.length - this.#at;
    if (count > left) this.#fail('WIRE_SHORT', `announces ${count} items, ${left} bytes left`);
    if (count > 0n && depth >= this.#limits.maxDepth) this.#fail('WIRE_LIMIT', `deeper than ${this.#limits.maxDepth}`);
    return Number(count);
  }

  #map(pairs: number, depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    let before: Buffer = Buffer.alloc(0);
    for (let i = 0; i < pairs; i++) {
      const start = this.#at;
      const key = this.#item(depth);
      if (typeof key !== 'string') this.#fail('WIRE_MALFORMED', 'a map key that is not text');
      const encoded = this.#bytes.subarray(start, this.#at);
      const named = `the key ${JSON.stringify(key.slice(0, 64))}`;
      const order = Buffer.compare(before, encoded);
      if (order === 0) this.#fail('WIRE_MALFORMED', `${named} occurs twice`);
      if (order > 0) this.#fail('WIRE_MALFORMED', `${named} is not in bytewise order`);
      before = encoded;
      entries.push([key, this.#item(depth)]);
    }
    return Object.fromEntries(entries);
  }

  #item(depth: number): unknown {
    if (++this.#items > this.#limits.maxItems) this.#fail('WIRE_LIMIT', `more than ${this.#limits.maxItems} items`);
    const head = this.#bytes[this.#at] ?? this.#fail('WIRE_SHORT', 'ends inside an item');
    const major = head >> 5;
    if (major === 7) {
      const simple = SIMPLE.get(head & 31);
      if (simple === undefined) this.#fail('WIRE_MALFORMED', 'floats, undefined and simple values are not used here');
      this.#at++;
      return simple;
    }
    if (major === 6) this.#fail('WIRE_MALFORMED', 'tags are not used here');
    this.#at++;
    const argument = this.#argument(head & 31);
    if (major === 0 || major === 1) {
      const value = major === 0 ? argument : -1n - argument;
      return value > SAFE || value < -SAFE ? value : Number(value);
    }
    if (major === 2) return new Uint8Array(this.#take(argument));
    if (major === 3) return fromUtf8(this.#take(argument));
    if (major === 5) return this.#map(this.#children(argument * 2n, depth) / 2, depth + 1);
    return Array.from({ length: this.#children(argument, depth) }, () => this.#item(depth + 1));
  }

  whole(): unknown {
    const value = this.#item(0);
    const left = this.#bytes.length - this.#at;
    if (left > 0) this.#fail('WIRE_TRAILING', `${left} bytes left over`);
    return value;
  }
}

/** Decodes one CBOR item that fills `bytes`. Errors: WireError (never anything else, whatever the bytes are). */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits = MESSAGE_LIMITS): unknown {
  return new CborReader(bytes, limits).whole();
}

/** Deterministic encoding: shortest heads, map keys in bytewise order. A value that has no such form is a bug: RangeError. */
export function encodeCbor(value: CborValue): Buffer {
  const to = new CborWriter();
  to.value(value);
  return to.end();
}
