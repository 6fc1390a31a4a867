// A reader for messages in exactly their usual form, many times faster than decoding and checking; anything else is a miss.
// It accepts a part of what the declared shape accepts, gives the same values, and never says why: the caller then reads the
// bytes again the general way, which either finds them good or names what is wrong.

import { MESSAGE_LIMITS } from './cbor.ts';

/** Thrown inside `quickly`, never out of it. */
class Miss extends Error {}
const MISS = new Miss('not in the usual form');

const marked = (test: RegExp): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, code) => Number(test.test(String.fromCharCode(code))));
const PRINTABLE = marked(/[ -~]/);
const IN_NAMES = marked(/[a-z0-9-]/);

/** Longest text that is remembered: names and versions, not what each device has of its own. */
const MAX_KNOWN = 24;
interface KnownText {
  readonly bytes: Uint8Array;
  readonly allowed: Uint8Array;
  readonly text: string;
}
/** Texts read lately, by length and last character: the same few come in every message, and to compare costs less than to make one. */
const known = new Map<number, KnownText>();

export class QuickCbor {
  readonly #bytes: Uint8Array;
  readonly #text: Buffer;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#end = bytes.length;
    // A Buffer would give Buffers for its parts, which cost more.
    const plain = bytes.constructor === Uint8Array;
    this.#bytes = plain ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  miss(): never {
    throw MISS;
  }

  #argument(major: number): number {
    const bytes = this.#bytes;
    const first = bytes[this.#at] ?? this.miss();
    if (first >> 5 !== major) this.miss();
    const info = first & 31;
    if (info < 24) {
      this.#at += 1;
      return info;
    }
    const size = info < 28 ? 1 << (info - 24) : this.miss();
    let value = 0;
    for (let i = 1; i <= size; i++) value = value * 256 + (bytes[this.#at + i] ?? this.miss());
    const least = size === 1 ? 24 : 2 ** (4 * size);
    if (value < least || value > Number.MAX_SAFE_INTEGER) this.miss();
    this.#at += 1 + size;
    return value;
  }

  #span(length: number): number {
    const start = this.#at;
    if (length > this.#end - start) this.miss();
    this.#at = start + length;
    return start;
  }

  /** The head of a map of exactly `count` fields. */
  map(count: number): void {
    if (this.#argument(5) !== count) this.miss();
  }

  mapSize(): number {
    return this.#argument(5);
  }

  /** The next field's name, which must be this one: as `key()` made it. */
  key(encoded: Uint8Array): this {
    const start = this.#span(encoded.length);
    return this.#holds(encoded, start) ? this : this.miss();
  }

  /** True when the next field has this name; nothing is consumed. */
  isAt(encoded: Uint8Array): boolean {
    return this.#holds(encoded, this.#at);
  }

  uint(max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#argument(0);
    return value <= max ? value : this.miss();
  }

  one(): 1 {
    return this.#argument(0) === 1 ? 1 : this.miss();
  }

  /** A copy of a byte string of exactly `length`. */
  bytes(length: number): Uint8Array {
    if (this.#argument(2) !== length) this.miss();
    const start = this.#span(length);
    return this.#bytes.slice(start, start + length);
  }

  /** A byte string of at most `max`, sharing memory with the message. */
  view(max: number): Uint8Array {
    const length = this.#argument(2);
    if (length > max) this.miss();
    const start = this.#span(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Text of 1 to `max` characters that `allowed` marks by their code. */
  #ascii(max: number, allowed: Uint8Array): string {
    const length = this.#argument(3);
    if (length === 0 || length > max) this.miss();
    const start = this.#span(length);
    const place = length > MAX_KNOWN ? -1 : length * 256 + (this.#bytes[start + length - 1] as number);
    const before = known.get(place);
    if (before?.allowed === allowed && this.#holds(before.bytes, start)) return before.text;
    // Within the bytes: `span` has seen to it.
    for (let i = start; i < start + length; i++) if (allowed[this.#bytes[i] as number] !== 1) this.miss();
    const text = this.#text.toString('latin1', start, start + length);
    if (place >= 0) known.set(place, { bytes: this.#bytes.slice(start, start + length), allowed, text });
    return text;
  }

  #holds(bytes: Uint8Array, start: number): boolean {
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[start + i] !== bytes[i]) return false;
    return true;
  }

  /** Text of 1 to `max` printable ASCII characters. */
  text(max: number): string {
    return this.#ascii(max, PRINTABLE);
  }

  /** A name as shape.ts declares it. */
  name(): string {
    const name = this.#ascii(63, IN_NAMES);
    return name.startsWith('-') ? this.miss() : name;
  }

  /** One of these texts: as `choices()` made them. */
  oneOf<T extends string>(table: Choices<T>): T {
    for (const [value, encoded] of table) {
      if (!this.isAt(encoded)) continue;
      this.#at += encoded.length;
      return value;
    }
    return this.miss();
  }

  #isNull(): boolean {
    if (this.#bytes[this.#at] !== 0xf6) return false;
    this.#at++;
    return true;
  }

  bytesOrNull(length: number): Uint8Array | null {
    return this.#isNull() ? null : this.bytes(length);
  }

  textOrNull(max: number): string | null {
    return this.#isNull() ? null : this.text(max);
  }

  uintOrNull(max?: number): number | null {
    return this.#isNull() ? null : this.uint(max);
  }

  orNull<T>(item: (from: QuickCbor) => T): T | null {
    return this.#isNull() ? null : item(this);
  }

  list<T>(max: number, item: (from: QuickCbor) => T): T[] {
    const count = this.#argument(4);
    if (count > max) this.miss();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(this));
    return items;
  }

  end(): void {
    if (this.#at !== this.#end) this.miss();
  }

  /** What `read` makes of all of the bytes from `start` to `end`; undefined where they are not in its form. */
  within<T>(start: number, end: number, read: (from: QuickCbor) => T): T | undefined {
    if (end - start > MESSAGE_LIMITS.maxBytes || end > this.#bytes.length) return undefined;
    this.#at = start;
    this.#end = end;
    try {
      const value = read(this);
      this.end();
      return value;
    } catch (cause) {
      if (cause === MISS) return undefined;
      throw cause;
    }
  }
}

/** Texts of at most 23 ASCII characters, each beside its encoding; none is the beginning of another's encoding. */
export type Choices<T extends string> = readonly (readonly [T, Uint8Array])[];

export function choices<T extends string>(...values: readonly T[]): Choices<T> {
  return values.map((value) => [value, key(value)] as const);
}

/** A field name of at most 23 ASCII characters as it stands in a map. */
export function key(name: string): Uint8Array {
  if (name.length > 23) throw new RangeError(`${name} is too long for a one-byte head`);
  return Uint8Array.from(Buffer.from(`${String.fromCharCode(0x60 + name.length)}${name}`, 'latin1'));
}

/** What `read` makes of all of `bytes`; undefined where they are not in its form. */
export function quickly<T>(bytes: Uint8Array, read: (from: QuickCbor) => T): T | undefined {
  return new QuickCbor(bytes).within(0, bytes.length, read);
}
