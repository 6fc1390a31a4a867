// Reads a large file in order through a small window: headers are checked without loading what they describe.
import type { FileHandle } from 'node:fs/promises';

/** What is wrong with a file's format, in a few words. Never leaves the room: the policy turns it into a finding. */
export class FormatError extends Error {}

/** Random access to a file that does not change. */
export interface Bytes {
  readonly size: number;
  /** Exactly `length` bytes from `at`; the caller has checked that they are there. */
  read(at: number, length: number): Promise<Buffer>;
}

export function bytesOfFile(handle: FileHandle, size: number): Bytes {
  return {
    size,
    read: async (at, length) => {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(bytes, done, length - done, at + done);
        if (bytesRead === 0) throw new FormatError('ends before its header says');
        done += bytesRead;
      }
      return bytes;
    },
  };
}

const WINDOW = 64 * 1024;

/** A place in a file, and an end that must not be passed. All numbers are little-endian. */
export class Cursor {
  readonly #bytes: Bytes;
  readonly #ahead: number;
  #window: Buffer = Buffer.alloc(0);
  #from = 0;
  at: number;

  /** `ahead`: bytes that are read at once. */
  constructor(bytes: Bytes, at = 0, ahead: number = WINDOW) {
    this.#bytes = bytes;
    this.#ahead = ahead;
    this.at = at;
  }

  get left(): number {
    return this.#bytes.size - this.at;
  }

  /** The next `length` bytes. Errors: FormatError when they are not there. */
  async take(length: number): Promise<Buffer> {
    if (length > this.left) throw new FormatError(`byte ${this.at}: ${length} bytes announced, ${this.left} are left`);
    let start = this.at - this.#from;
    if (start < 0 || start + length > this.#window.length) {
      this.#window = await this.#bytes.read(this.at, Math.min(Math.max(length, this.#ahead), this.left));
      this.#from = this.at;
      start = 0;
    }
    this.at += length;
    return this.#window.subarray(start, start + length);
  }

  skip(length: number): void {
    if (length > this.left) throw new FormatError(`byte ${this.at}: ${length} bytes announced, ${this.left} are left`);
    this.at += length;
  }

  async u8(): Promise<number> {
    return (await this.take(1)).readUInt8();
  }

  async u32(): Promise<number> {
    return (await this.take(4)).readUInt32LE();
  }

  /** A 64-bit number up to `max`. Errors: FormatError. */
  async u64(what: string, max: number = Number.MAX_SAFE_INTEGER): Promise<number> {
    const value = (await this.take(8)).readBigUInt64LE();
    if (value > BigInt(max)) throw new FormatError(`${what} is ${value}, at most ${max} can be`);
    return Number(value);
  }

  /** A protobuf varint of at most 64 bits; larger than 2^53 it is no length and no count. */
  async varint(): Promise<bigint> {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = await this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value >= 1n << 64n) break;
        return value;
      }
    }
    throw new FormatError(`byte ${this.at}: a number longer than 64 bits`);
  }
}
