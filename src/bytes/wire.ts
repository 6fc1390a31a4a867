// Bounded codecs for declared big-endian structures: every error names field and offset, left-over bytes are refused.
import { WireError } from '../errors.ts';

/** Reads forward through one buffer. `path` names the field being read, for errors. */
export class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;
  readonly #base: number;
  path: string;

  constructor(bytes: Uint8Array, path = '', base = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = this.#bytes.length;
    this.#base = base;
    this.path = path;
  }

  get offset(): number {
    return this.#base + this.#at;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  fail(code: 'WIRE_SHORT' | 'WIRE_TRAILING' | 'WIRE_RANGE' | 'WIRE_LIMIT' | 'WIRE_MALFORMED', message: string): never {
    throw new WireError(code, message, { field: this.path, offset: this.offset });
  }

  #need(n: number): void {
    if (this.left < n) this.fail('WIRE_SHORT', `needs ${n} bytes, ${this.left} left`);
  }

  uint(width: 1 | 2 | 3 | 4): number {
    this.#need(width);
    const value = this.#bytes.readUIntBE(this.#at, width);
    this.#at += width;
    return value;
  }

  big64(): bigint {
    this.#need(8);
    const value = this.#bytes.readBigUInt64BE(this.#at);
    this.#at += 8;
    return value;
  }

  /** A copy of the next `n` bytes: a decoded structure never shares memory with the message it came from. */
  take(n: number): Buffer {
    this.#need(n);
    const value = Buffer.from(this.#bytes.subarray(this.#at, this.#at + n));
    this.#at += n;
    return value;
  }

  /** A reader over the next `n` bytes, which are thereby consumed here. */
  within(n: number): Reader {
    this.#need(n);
    const inner = new Reader(this.#bytes.subarray(this.#at, this.#at + n), this.path, this.offset);
    this.#at += n;
    return inner;
  }

  rest(): Buffer {
    return this.take(this.left);
  }

  end(): void {
    if (this.left !== 0) this.fail('WIRE_TRAILING', `${this.left} bytes left over`);
  }
}

/** Collects what a structure is made of. */
export class Writer {
  readonly #parts: Uint8Array[] = [];
  path = '';

  fail(message: string): never {
    throw new RangeError(`${this.path || 'value'}: ${message}`);
  }

  uint(width: 1 | 2 | 4, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width)) {
      this.fail(`${value} does not fit in ${width} bytes`);
    }
    const part = Buffer.alloc(width);
    part.writeUIntBE(value, 0, width);
    this.#parts.push(part);
  }

  big64(value: bigint): void {
    if (value < 0n || value >= 1n << 64n) this.fail(`${value} does not fit in 8 bytes`);
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(value);
    this.#parts.push(part);
  }

  put(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** A structure that can be read and written. */
export interface Codec<T> {
  read(from: Reader): T;
  write(value: T, to: Writer): void;
}

/** Decodes exactly one `T`; bytes left over are an error. Errors: WireError. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array, name = ''): T {
  const from = new Reader(bytes, name);
  const value = codec.read(from);
  from.end();
  return value;
}

/** Encodes `value`. A value outside its field's range is a bug: RangeError. */
export function encode<T>(codec: Codec<T>, value: T): Buffer {
  const to = new Writer();
  codec.write(value, to);
  return to.bytes();
}

const uint = (width: 1 | 2 | 4): Codec<number> => ({
  read: (from) => from.uint(width),
  write: (value, to) => {
    to.uint(width, value);
  },
});

export const u8: Codec<number> = uint(1);
export const u16: Codec<number> = uint(2);
export const u32: Codec<number> = uint(4);
export const u64: Codec<bigint> = {
  read: (from) => from.big64(),
  write: (value, to) => {
    to.big64(value);
  },
};

/** A fixed number of bytes. */
export function fixed(length: number): Codec<Buffer> {
  return {
    read: (from) => from.take(length),
    write: (value, to) => {
      if (value.length !== length) to.fail(`${value.length} bytes where ${length} belong`);
      to.put(value);
    },
  };
}

/** UINT16 size ‖ bytes, at most `max`: the TPM2B of the TPM library, Part 2, 10.4. */
export function sized(max: number): Codec<Buffer> {
  return {
    read: (from) => {
      const size = from.uint(2);
      if (size > max) from.fail('WIRE_LIMIT', `size ${size}, at most ${max}`);
      return from.take(size);
    },
    write: (value, to) => {
      if (value.length > max) to.fail(`${value.length} bytes, at most ${max}`);
      to.uint(2, value.length);
      to.put(value);
    },
  };
}

/** UINT16 size ‖ one `T` that fills it exactly. */
export function sizedOf<T>(inner: Codec<T>): Codec<T> {
  return {
    read: (from) => {
      const part = from.within(from.uint(2));
      const value = inner.read(part);
      part.end();
      return value;
    },
    write: (value, to) => {
      const bytes = encode(inner, value);
      to.uint(2, bytes.length);
      to.put(bytes);
    },
  };
}

/** UINT32 count ‖ that many `T`, at most `max`. */
export function list<T>(item: Codec<T>, max: number): Codec<T[]> {
  return {
    read: (from) => {
      const count = from.uint(4);
      if (count > max) from.fail('WIRE_LIMIT', `${count} entries, at most ${max}`);
      const path = from.path;
      const values: T[] = [];
      for (let i = 0; i < count; i++) {
        from.path = `${path}[${i}]`;
        values.push(item.read(from));
      }
      from.path = path;
      return values;
    },
    write: (values, to) => {
      if (values.length > max) to.fail(`${values.length} entries, at most ${max}`);
      to.uint(4, values.length);
      for (const value of values) item.write(value, to);
    },
  };
}

/** A number that may have only this value. */
export function constant(codec: Codec<number>, expected: number): Codec<number> {
  return {
    read: (from) => {
      const value = codec.read(from);
      if (value !== expected) from.fail('WIRE_RANGE', `is 0x${value.toString(16)}, must be 0x${expected.toString(16)}`);
      return value;
    },
    write: (value, to) => {
      if (value !== expected) to.fail(`is ${value}, must be ${expected}`);
      codec.write(value, to);
    },
  };
}

/** A structure: its fields in order. A missing, surplus or wrongly typed field is a type error. */
export function struct<T extends object>(name: string, fields: { [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const entries = Object.entries(fields) as [keyof T, Codec<T[keyof T]>][];
  return {
    read: (from) => {
      const path = from.path;
      const prefix = path === '' ? name : path;
      const value: Partial<T> = {};
      for (const [field, codec] of entries) {
        from.path = `${prefix}.${String(field)}`;
        value[field] = codec.read(from);
      }
      from.path = path;
      return value as T;
    },
    write: (value, to) => {
      const path = to.path;
      const prefix = path === '' ? name : path;
      for (const [field, codec] of entries) {
        to.path = `${prefix}.${String(field)}`;
        codec.write(value[field], to);
      }
      to.path = path;
    },
  };
}
