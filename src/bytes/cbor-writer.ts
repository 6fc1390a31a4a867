// Writes deterministic CBOR (RFC 8949, 4.2.1) into one growing buffer: shortest heads, map keys in bytewise order.

/** Majors of a head (RFC 8949, 3.1). */
export const MAJOR = { uint: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5 } as const;

const ASCII = /^[\0-\x7f]*$/;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
/** Longer text is written by the platform: its call costs more than a few characters. */
const SHORT_TEXT = 48;

const isBefore = (a: string, b: string): boolean => a.length < b.length || (a.length === b.length && a < b);

/** Bytewise order of the encoded keys, which begin with their length (4.2.1). Who writes often makes his objects in this order. */
function inOrder(keys: string[]): string[] {
  if (keys.every((key) => ASCII.test(key))) {
    if (keys.every((key, i) => i === 0 || isBefore(keys[i - 1] ?? '', key))) return keys;
    return keys.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }
  const size = (key: string): number => Buffer.byteLength(key);
  return keys.sort((a, b) => size(a) - size(b) || Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export class CborWriter {
  #bytes: Buffer = Buffer.allocUnsafe(1024);
  #at = 0;

  /** Room for `count` more bytes; the place of the first. */
  #room(count: number): number {
    const start = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * this.#at);
      this.#bytes.copy(grown, 0, 0, start);
      this.#bytes = grown;
    }
    return start;
  }

  #byte(byte: number): void {
    const start = this.#room(1);
    this.#bytes[start] = byte;
  }

  head(major: number, count: number): void {
    const type = major << 5;
    if (count < 24) this.#byte(type | count);
    else if (count < 0x100) this.#longHead(type | 24, count, 1);
    else if (count < 0x10000) this.#longHead(type | 25, count, 2);
    else if (count < 0x1_0000_0000) this.#longHead(type | 26, count, 4);
    else this.#bigHead(type, BigInt(count));
  }

  #longHead(first: number, count: number, width: 1 | 2 | 4): void {
    const start = this.#room(1 + width);
    this.#bytes[start] = first;
    this.#bytes.writeUIntBE(count, start + 1, width);
  }

  #bigHead(type: number, argument: bigint): void {
    const start = this.#room(9);
    this.#bytes[start] = type | 27;
    this.#bytes.writeBigUInt64BE(argument, start + 1);
  }

  put(bytes: Uint8Array): void {
    const start = this.#room(bytes.length);
    this.#bytes.set(bytes, start);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no exact integer`);
    if (value < 0) this.head(MAJOR.negative, -1 - value);
    else this.head(MAJOR.uint, value);
  }

  #bigint(value: bigint): void {
    const [major, argument] = value < 0n ? [MAJOR.negative, -1n - value] : [MAJOR.uint, value];
    if (argument >= 1n << 64n) throw new RangeError(`${value} does not fit in 64 bits`);
    if (argument < 0x1_0000_0000n) this.head(major, Number(argument));
    else this.#bigHead(major << 5, argument);
  }

  text(text: string): void {
    if (text.length > SHORT_TEXT || !ASCII.test(text)) {
      // Half of a surrogate pair has no UTF-8 form.
      if (!text.isWellFormed()) throw new RangeError('text with a lone surrogate');
      const size = Buffer.byteLength(text);
      this.head(MAJOR.text, size);
      const start = this.#room(size);
      this.#bytes.write(text, start, 'utf8');
      return;
    }
    this.head(MAJOR.text, text.length);
    const start = this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[start + i] = text.charCodeAt(i);
  }

  /** A value that has no deterministic form is a bug: RangeError. */
  value(value: unknown): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.text(value);
    else if (typeof value === 'bigint') this.#bigint(value);
    else if (typeof value === 'boolean') this.#byte(value ? TRUE : FALSE);
    else if (value === null) this.#byte(NULL);
    else if (typeof value === 'object') this.#object(value);
    else throw new RangeError(`${typeof value} has no CBOR form here`);
  }

  #object(value: object): void {
    if (value instanceof Uint8Array) {
      this.head(MAJOR.bytes, value.length);
      this.put(value);
      return;
    }
    if (Array.isArray(value)) {
      this.head(MAJOR.array, value.length);
      for (const item of value) this.value(item);
      return;
    }
    const map = value as Readonly<Record<string, unknown>>;
    const keys = Object.keys(map);
    this.head(MAJOR.map, keys.length);
    for (const key of inOrder(keys)) {
      this.text(key);
      this.value(map[key]);
    }
  }

  /** What was written, in memory of its own. */
  end(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }
}
