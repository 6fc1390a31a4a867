// The header of a safetensors file: every tensor inside of the data, none over another, nothing between them.
import { parseJsonStrict } from '../../bytes/json-strict.ts';
import { parseShape, uint, v } from '../../bytes/shape.ts';
import type { Shape } from '../../bytes/shape.ts';
import { WireError } from '../../errors.ts';
import { Cursor, FormatError } from './file-reader.ts';
import type { Bytes } from './file-reader.ts';

/** The format allows 100 MB; a model of 100,000 tensors needs 15. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;

const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const tensorShape: Shape<Tensor> = v.strictObject({
  dtype: v.picklist(Object.keys(BITS)),
  shape: v.pipe(v.array(uint()), v.maxLength(64)),
  data_offsets: v.tuple([uint(), uint()]),
});
const headerShape: Shape<Readonly<Record<string, unknown>>> = v.record(v.string(), v.unknown());
const metadataShape: Shape<Readonly<Record<string, string>>> = v.record(v.string(), v.string());

function tensorsOf(header: Buffer): (Tensor & { readonly name: string })[] {
  const limits = { maxBytes: MAX_HEADER_BYTES, maxDepth: 4 };
  const all = parseShape(headerShape, parseJsonStrict(header, limits), 'header');
  if (Object.hasOwn(all, '__metadata__')) parseShape(metadataShape, all['__metadata__'], 'metadata');
  return Object.entries(all)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => ({ name, ...parseShape(tensorShape, value, 'tensor') }));
}

/** Errors: FormatError. */
export async function checkSafetensors(bytes: Bytes): Promise<void> {
  const cursor = new Cursor(bytes);
  const length = await cursor.u64('the length of the header', MAX_HEADER_BYTES);
  const header = await cursor.take(length);
  let tensors: (Tensor & { readonly name: string })[];
  try {
    if (header[0] !== 0x7b) throw new FormatError('the header is no JSON object');
    tensors = tensorsOf(header);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new FormatError(`header: ${error.message}`, { cause: error });
  }
  let at = 0;
  for (const {
    name,
    dtype,
    shape,
    data_offsets: [begin, end],
  } of tensors.toSorted((a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1])) {
    const bits = shape.reduce((product, size) => product * BigInt(size), BigInt(BITS[dtype] ?? 0));
    if (begin !== at) throw new FormatError(`tensor ${name} begins at ${begin}, the one before ends at ${at}`);
    if (bits !== BigInt(end - begin) * 8n) throw new FormatError(`tensor ${name} has not the bytes of its shape`);
    at = end;
  }
  if (at !== cursor.left) throw new FormatError(`the tensors end at ${at}, the data at ${cursor.left}`);
}
