// The structure of a TFLite file: a FlatBuffer whose tables, subgraphs and buffers all lie inside of it.
import { Cursor, FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';

const MAX_SUBGRAPHS = 10_000;
const MAX_BUFFERS = 100_000;
/** Tables lie far apart, so little is read at a time. */
const WINDOW = 256;

/** Field numbers of schema.fbs. */
const MODEL = { version: 0, subgraphs: 2, buffers: 4 } as const;
const BUFFER = { data: 0, offset: 1, size: 2 } as const;

class Flat {
  readonly #cursor: Cursor;

  constructor(bytes: Bytes) {
    this.#cursor = new Cursor(bytes, 0, WINDOW);
  }

  async bytesAt(at: number, length: number): Promise<Buffer> {
    this.#cursor.at = at;
    return this.#cursor.take(length);
  }

  async u32(at: number): Promise<number> {
    return (await this.bytesAt(at, 4)).readUInt32LE();
  }

  /** Where a field of the table lies; null where it is left out. */
  async field(table: number, number: number): Promise<number | null> {
    const vtable = table - (await this.bytesAt(table, 4)).readInt32LE();
    if (vtable < 0) throw new FormatError(`table at ${table}: its description lies before the file`);
    const head = await this.bytesAt(vtable, 4);
    const [length, size] = [head.readUInt16LE(0), head.readUInt16LE(2)];
    if (length < 4 || length % 2 !== 0 || size < 4) throw new FormatError(`table at ${table}: malformed`);
    if (4 + number * 2 >= length) return null;
    const offset = (await this.bytesAt(vtable + 4 + number * 2, 2)).readUInt16LE();
    if (offset === 0) return null;
    if (offset < 4 || offset >= size) throw new FormatError(`table at ${table}: a field outside of it`);
    return table + offset;
  }

  /** Where the elements of a vector begin, and how many bytes or offsets it says it has. */
  async vector(field: number): Promise<{ at: number; length: number }> {
    const start = field + (await this.u32(field));
    return { at: start + 4, length: await this.u32(start) };
  }

  /** The tables of a vector of tables. */
  async *tables(field: number | null, max: number, what: string): AsyncGenerator<number> {
    if (field === null) return;
    const { at, length } = await this.vector(field);
    if (length > max) throw new FormatError(`${length} ${what}, at most ${max} can be`);
    for (let index = 0; index < length; index++) yield at + index * 4 + (await this.u32(at + index * 4));
  }
}

async function checkBuffer(flat: Flat, table: number, size: number): Promise<void> {
  const data = await flat.field(table, BUFFER.data);
  if (data !== null) {
    const { at, length } = await flat.vector(data);
    if (at + length > size) throw new FormatError(`a buffer of ${length} bytes at ${at} ends after the file`);
  }
  const [offset, length] = [await flat.field(table, BUFFER.offset), await flat.field(table, BUFFER.size)];
  if (offset === null || length === null) return;
  const end = (await flat.bytesAt(offset, 8)).readBigUInt64LE() + (await flat.bytesAt(length, 8)).readBigUInt64LE();
  if (end > BigInt(size)) throw new FormatError(`a buffer ends at ${end}, after the file`);
}

/** Errors: FormatError. */
export async function checkTflite(bytes: Bytes): Promise<void> {
  const flat = new Flat(bytes);
  if ((await flat.bytesAt(4, 4)).toString('latin1') !== 'TFL3') throw new FormatError('is not marked as TFL3');
  const model = await flat.u32(0);
  const version = await flat.field(model, MODEL.version);
  const said = version === null ? 0 : await flat.u32(version);
  if (said !== 3) throw new FormatError(`schema version ${said}; known is 3`);
  let subgraphs = 0;
  for await (const table of flat.tables(await flat.field(model, MODEL.subgraphs), MAX_SUBGRAPHS, 'subgraphs')) {
    await flat.field(table, 0);
    subgraphs++;
  }
  if (subgraphs === 0) throw new FormatError('has no subgraph');
  for await (const table of flat.tables(await flat.field(model, MODEL.buffers), MAX_BUFFERS, 'buffers')) {
    await checkBuffer(flat, table, bytes.size);
  }
}
