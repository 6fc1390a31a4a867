// A row of plain files in one: ustar (POSIX.1-2017, pax) with regular files alone, written and read as a stream.
import { WireError } from '../errors.ts';

/**
 * Every header and every padding has this size. An archive is, for each file, a header ‖ its bytes ‖ zeros up to a whole block, and
 * two blocks of zeros at the end. Anything that `tar` could put in beside that (folders, links, devices, long names, other
 * owners' extensions, bytes after the end) is refused: the reader takes files in the order in which it asks for them.
 */
const BLOCK = 512;
const NAME_BYTES = 100;

/** Offset and length of a field of the header. */
const FIELDS = {
  name: [0, NAME_BYTES],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
} as const satisfies Record<string, readonly [number, number]>;

type Field = keyof typeof FIELDS;

const MAGIC = 'ustar\u{0}00';
const REGULAR = '0';
/** Largest size in eleven octal digits; above it the size is a big-endian number with the top bit set, as GNU tar writes it. */
const OCTAL_MAX = 8 ** 11 - 1;

function field(block: Buffer, which: Field): Buffer {
  const [at, length] = FIELDS[which];
  return block.subarray(at, at + length);
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\u{0}`;
}

/** Sum of all bytes with the checksum's own read as spaces. */
function checksumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (const byte of block) sum += byte;
  for (const byte of field(block, 'checksum')) sum -= byte;
  return sum;
}

/** The 512 bytes before the `size` bytes of a file. `name`: at most 100 bytes of printable ASCII. */
export function ustarHeader(name: string, size: number): Buffer {
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw new RangeError(`${name} cannot be the name of an entry`);
  const block = Buffer.alloc(BLOCK);
  const put = (which: Field, text: string): number => field(block, which).write(text, 'latin1');
  put('name', name);
  put('mode', octal(0o644, 7));
  put('uid', octal(0, 7));
  put('gid', octal(0, 7));
  if (size <= OCTAL_MAX) put('size', octal(size, 11));
  else {
    field(block, 'size').writeUIntBE(size, 6, 6);
    field(block, 'size').writeUInt8(0x80);
  }
  put('mtime', octal(0, 11));
  put('type', REGULAR);
  put('magic', MAGIC);
  put('checksum', `${octal(checksumOf(block), 6)} `);
  return block;
}

/** The zeros after the `size` bytes of a file. */
export function ustarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const USTAR_END: Buffer = Buffer.alloc(2 * BLOCK);

/** A whole archive of small files, in this order. */
export function packUstar(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Buffer {
  const parts = files.flatMap(({ name, bytes }) => [
    ustarHeader(name, bytes.length),
    bytes,
    ustarPadding(bytes.length),
  ]);
  return Buffer.concat([...parts, USTAR_END]);
}

function malformed(at: number, message: string): WireError {
  return new WireError('WIRE_MALFORMED', message, { field: 'archive', offset: at });
}

/** A header that is exactly as `ustarHeader` writes it: there is one way to say each thing, so nothing can be hidden in another. */
function readHeader(block: Buffer, at: number): { readonly name: string; readonly size: number } {
  const text = field(block, 'name').toString('latin1');
  const name = text.includes('\u{0}') ? text.slice(0, text.indexOf('\u{0}')) : text;
  const raw = field(block, 'size');
  const digits = raw.toString('latin1');
  const isLong = raw[0] === 0x80;
  const size = isLong ? raw.readUIntBE(6, 6) : /^[0-7]{11}\0$/.test(digits) ? Number.parseInt(digits, 8) : null;
  if (size === null || !Number.isSafeInteger(size)) throw malformed(at, 'an entry does not say how long it is');
  if (!/^[\x21-\x7e]{1,100}$/.test(name)) throw malformed(at, 'an entry has no plain name');
  if (!ustarHeader(name, size).equals(block)) {
    throw malformed(at, `the entry ${name} is no plain file, or is described in another way than ours`);
  }
  return { name, size };
}

/** An entry that begins: its bytes are to be read to their end before the next one. */
export interface UstarEntry {
  readonly name: string;
  /** Bytes, as the header announces them. */
  readonly size: number;
  /** Pieces in order. Errors: WireError when the archive ends before. */
  bytes(): AsyncGenerator<Buffer, void>;
}

/** Reads an archive from pieces of any length. Not to be used any more after an error. Errors of all methods: WireError. */
export class UstarReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Bytes of the entry that is being read, and of its padding, not taken yet. */
  #open: { left: number; readonly padding: number } | null = null;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Between 1 and `max` bytes; null at the end of what there is. */
  async #some(max: number): Promise<Buffer | null> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return null;
      this.#held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const some = this.#held.subarray(0, max);
    this.#held = this.#held.subarray(some.length);
    this.#at += some.length;
    return some;
  }

  async #exactly(length: number): Promise<Buffer> {
    const all: Buffer[] = [];
    for (let left = length; left > 0;) {
      const some = await this.#some(left);
      if (some === null) throw new WireError('WIRE_SHORT', 'it ends too early', { field: 'archive', offset: this.#at });
      all.push(some);
      left -= some.length;
    }
    return Buffer.concat(all);
  }

  /** The next entry; null at the end of the archive, after which nothing comes. */
  async next(): Promise<UstarEntry | null> {
    if (this.#open !== null) throw new TypeError('the entry before is still being read');
    const block = await this.#exactly(BLOCK);
    if (block.every((byte) => byte === 0)) {
      await this.#end();
      return null;
    }
    const header = readHeader(block, this.#at - BLOCK);
    this.#open = { left: header.size, padding: ustarPadding(header.size).length };
    return { ...header, bytes: () => this.#bytes() };
  }

  async #end(): Promise<void> {
    const block = await this.#exactly(BLOCK);
    if (!block.every((byte) => byte === 0)) throw malformed(this.#at - BLOCK, 'something follows its end');
    if ((await this.#some(1)) !== null) {
      throw new WireError('WIRE_TRAILING', 'something follows its end', { field: 'archive', offset: this.#at - 1 });
    }
  }

  async *#bytes(): AsyncGenerator<Buffer, void> {
    const open = this.#open;
    if (open === null) throw new TypeError('the entry was read already');
    while (open.left > 0) {
      const some = await this.#some(open.left);
      if (some === null) throw new WireError('WIRE_SHORT', 'it ends too early', { field: 'archive', offset: this.#at });
      open.left -= some.length;
      yield some;
    }
    const padding = await this.#exactly(open.padding);
    if (!padding.every((byte) => byte === 0)) throw malformed(this.#at, 'there are bytes between two entries');
    this.#open = null;
  }

  /** All bytes of an entry that must not be longer than `max`. */
  async whole(entry: UstarEntry, max: number): Promise<Buffer> {
    if (entry.size > max) {
      const words = `${entry.name} is ${entry.size} bytes long, at most ${max} are allowed`;
      throw new WireError('WIRE_LIMIT', words, { field: 'archive', offset: this.#at });
    }
    const all: Buffer[] = [];
    for await (const piece of entry.bytes()) all.push(piece);
    return Buffer.concat(all);
  }
}
