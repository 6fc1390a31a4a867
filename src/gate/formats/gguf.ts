// The header of a GGUF file: counts and lengths that are there, tensors inside of the data and none over another.
import { Cursor, FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';

const MAX_TENSORS = 1_000_000;
const MAX_PAIRS = 100_000;
const MAX_NAME = 1024;
const MAX_DIMENSIONS = 8;
const MAX_DEPTH = 4;
const STRING = 8;
const ARRAY = 9;

/** Bytes of a value by its type; strings and arrays carry their length. */
const VALUE_BYTES: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/** Tensor type → [values in a block, bytes of a block]. A type that is not here has no size that we know. */
const BLOCKS: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
};

interface Tensor {
  readonly name: string;
  readonly offset: number;
  /** Null where the type is not known. */
  readonly bytes: bigint | null;
}

async function skipValue(cursor: Cursor, type: number, depth: number): Promise<void> {
  const fixed = VALUE_BYTES[type];
  if (fixed !== undefined) cursor.skip(fixed);
  else if (type === STRING) cursor.skip(await cursor.u64('the length of a text'));
  else if (type === ARRAY) await skipArray(cursor, depth);
  else throw new FormatError(`byte ${cursor.at}: no value has type ${type}`);
}

async function skipArray(cursor: Cursor, depth: number): Promise<void> {
  if (depth >= MAX_DEPTH) throw new FormatError(`arrays deeper than ${MAX_DEPTH}`);
  const type = await cursor.u32();
  // Every value takes a byte at least, so a count that is not there is seen before it is counted to.
  const count = await cursor.u64('the length of an array', cursor.left);
  const fixed = VALUE_BYTES[type];
  if (fixed !== undefined) cursor.skip(count * fixed);
  else for (let at = 0; at < count; at++) await skipValue(cursor, type, depth + 1);
}

async function readName(cursor: Cursor): Promise<string> {
  return (await cursor.take(await cursor.u64('the length of a name', MAX_NAME))).toString('latin1');
}

/** Walks the metadata; answers the alignment of tensors. */
async function readPairs(cursor: Cursor, count: number): Promise<number> {
  let alignment = 32;
  const seen = new Set<string>();
  for (let at = 0; at < count; at++) {
    const key = await readName(cursor);
    if (seen.has(key)) throw new FormatError(`the key ${key} occurs twice`);
    seen.add(key);
    const type = await cursor.u32();
    if (key === 'general.alignment' && type === 4) alignment = await cursor.u32();
    else await skipValue(cursor, type, 0);
  }
  if (alignment === 0 || alignment % 8 !== 0) throw new FormatError(`tensors aligned to ${alignment}`);
  return alignment;
}

async function readTensor(cursor: Cursor): Promise<Tensor> {
  const name = await readName(cursor);
  const dimensions = await cursor.u32();
  if (dimensions > MAX_DIMENSIONS) throw new FormatError(`tensor ${name} has ${dimensions} dimensions`);
  let values = 1n;
  for (let at = 0; at < dimensions; at++) values *= BigInt(await cursor.u64(`a dimension of ${name}`));
  const block = BLOCKS[await cursor.u32()];
  const offset = await cursor.u64(`the offset of ${name}`);
  if (block !== undefined && values % BigInt(block[0]) !== 0n)
    throw new FormatError(`tensor ${name} ends inside of a block`);
  return { name, offset, bytes: block === undefined ? null : (values / BigInt(block[0])) * BigInt(block[1]) };
}

/** Errors: FormatError. */
export async function checkGguf(bytes: Bytes): Promise<void> {
  const cursor = new Cursor(bytes);
  if ((await cursor.take(4)).toString('latin1') !== 'GGUF') throw new FormatError('does not begin with GGUF');
  const version = await cursor.u32();
  if (version !== 2 && version !== 3) throw new FormatError(`version ${version}; known are 2 and 3`);
  const count = await cursor.u64('the number of tensors', MAX_TENSORS);
  const alignment = await readPairs(cursor, await cursor.u64('the number of keys', MAX_PAIRS));
  const tensors: Tensor[] = [];
  const names = new Set<string>();
  for (let at = 0; at < count; at++) {
    const tensor = await readTensor(cursor);
    if (names.has(tensor.name)) throw new FormatError(`tensor ${tensor.name} occurs twice`);
    names.add(tensor.name);
    tensors.push(tensor);
  }
  const data = bytes.size - Math.ceil(cursor.at / alignment) * alignment;
  let end = 0n;
  for (const { name, offset, bytes: length } of tensors.toSorted((a, b) => a.offset - b.offset)) {
    if (offset % alignment !== 0) throw new FormatError(`tensor ${name} is not aligned to ${alignment}`);
    if (BigInt(offset) < end) throw new FormatError(`tensor ${name} lies over the one before`);
    end = BigInt(offset) + (length ?? 0n);
    if (end > BigInt(Math.max(0, data))) throw new FormatError(`tensor ${name} ends at ${end}, the data at ${data}`);
  }
}
