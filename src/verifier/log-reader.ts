// The event log of evidence as records: strict about every byte, because a record that is skipped is a record that lies.
import { EVENT_LIMITS } from '../cel/record.ts';
import { WireError } from '../errors.ts';

/** One record. `digest` is 32 bytes as a latin1 string, which hashes and compares several times faster than a Buffer. */
export interface LogRecord {
  readonly recnum: number;
  readonly pcr: number;
  readonly digest: string;
  readonly content: Buffer;
  /** Offset of `content` in the log. */
  readonly at: number;
}

const RECORD_MAP = 0xa4;
/** {3: {0x0b: bstr 32}} without the 32 bytes, and the key 84. */
const DIGEST_HEAD = [0x03, 0xa1, 0x0b, 0x58, 0x20] as const;
const CONTENT_KEY = [0x18, 0x54] as const;
const DIGEST_BYTES = 32;
const MAX_CONTENT = EVENT_LIMITS.maxBytes;

/** Reads shortest-form CBOR heads forward through `bytes`. */
class Cursor {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(message: string, code: 'WIRE_MALFORMED' | 'WIRE_SHORT' = 'WIRE_MALFORMED'): never {
    throw new WireError(code, message, { field: 'log', offset: this.at });
  }

  /** The argument of the next head, which must be of `major` type and in its shortest form. */
  argument(major: number, what: string): number {
    const head = this.bytes[this.at];
    if (head === undefined) this.fail(`ends before ${what}`, 'WIRE_SHORT');
    if (head >> 5 !== major) this.fail(`${what} has CBOR major type ${head >> 5}, must be ${major}`);
    const info = head & 31;
    if (info < 24) {
      this.at += 1;
      return info;
    }
    const width = info - 24;
    if (width > 2) this.fail(`${what} is larger than 32 bits or of indefinite length`);
    const size = 1 << width;
    if (this.at + 1 + size > this.bytes.length) this.fail(`ends inside ${what}`, 'WIRE_SHORT');
    const value = this.bytes.readUIntBE(this.at + 1, size);
    const least = width === 0 ? 24 : 2 ** (8 << (width - 1));
    if (value < least) this.fail(`${what} is not in its shortest form`);
    this.at += 1 + size;
    return value;
  }

  /** Consumes exactly these bytes. */
  expect(bytes: readonly number[], what: string): void {
    for (const byte of bytes) {
      const found = this.bytes[this.at];
      if (found === undefined) this.fail(`ends before ${what}`, 'WIRE_SHORT');
      if (found !== byte) this.fail(`${what} is not where it must be`);
      this.at++;
    }
  }

  /** Start of the next `length` bytes, which are consumed. */
  skip(length: number, what: string): number {
    const start = this.at;
    if (length > this.bytes.length - start) this.fail(`ends inside ${what}`, 'WIRE_SHORT');
    this.at = start + length;
    return start;
  }
}

const KEY_RECNUM = [0x00] as const;
const KEY_PCR = [0x01] as const;

function readRecord(from: Cursor): LogRecord {
  from.expect([RECORD_MAP], 'a record of four fields');
  from.expect(KEY_RECNUM, 'recnum');
  const recnum = from.argument(0, 'recnum');
  from.expect(KEY_PCR, 'pcr');
  const pcr = from.argument(0, 'pcr');
  from.expect(DIGEST_HEAD, 'the one SHA-256 digest');
  const digestAt = from.skip(DIGEST_BYTES, 'digest');
  from.expect(CONTENT_KEY, 'content of our type');
  const size = from.argument(2, 'content');
  if (size > MAX_CONTENT) from.fail(`content of ${size} bytes, at most ${MAX_CONTENT}`);
  const contentAt = from.skip(size, 'content');
  return {
    recnum,
    pcr,
    digest: from.bytes.toString('latin1', digestAt, digestAt + DIGEST_BYTES),
    content: from.bytes.subarray(contentAt, contentAt + size),
    at: contentAt,
  };
}

/**
 * Array of {0: recnum, 1: pcr, 3: {0x0b: SHA-256}, 84: content}, deterministic CBOR, nothing else. Numbering and digests are
 * not judged here. Records share memory with `bytes`. Errors: WireError.
 */
export function readLog(bytes: Uint8Array): LogRecord[] {
  const from = new Cursor(bytes);
  const count = from.argument(4, 'the array of records');
  const records: LogRecord[] = [];
  for (let i = 0; i < count; i++) records.push(readRecord(from));
  if (from.at !== from.bytes.length) from.fail(`${from.bytes.length - from.at} bytes left over`);
  return records;
}
