// Small model files of each format, byte by byte, with a handle on what a test may bend.
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

/** Tensors of float32 at [begin, end), over `size` bytes of data; `change` bends the first. */
export function safetensors(
  tensors: Readonly<Record<string, readonly [number, number]>>,
  size: number,
  change: Readonly<Record<string, unknown>> = {},
): Buffer {
  const entries = Object.entries(tensors).map(([name, offsets], at) => [
    name,
    { dtype: 'F32', shape: [(offsets[1] - offsets[0]) / 4], data_offsets: offsets, ...(at === 0 ? change : {}) },
  ]);
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }));
  return Buffer.concat([u64(BigInt(header.length)), header, Buffer.alloc(size)]);
}

const varint = (value: number): Buffer => Buffer.from(value < 128 ? [value] : [(value & 0x7f) | 0x80, value >> 7]);

/** A protobuf field with bytes. */
export function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

/** An ONNX model with one tensor whose data lie elsewhere. */
export function tensor(external: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(external).map(([key, value]) =>
    field(13, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])),
  );
  return field(7, field(5, Buffer.concat(entries)));
}

export interface GgufPlan {
  readonly version?: number;
  readonly tensors?: bigint;
  readonly keys?: bigint;
  readonly arrayLength?: bigint;
  readonly valueType?: number;
  readonly offset?: bigint;
}

/** Three keys (a text, an array of texts, the alignment) and one tensor of 4 × 2 float32. */
export function gguf(plan: GgufPlan = {}): Buffer {
  const { version = 3, tensors = 1n, keys = 3n, arrayLength = 2n, valueType = 8, offset = 0n } = plan;
  const text = (value: string): Buffer => Buffer.concat([u64(BigInt(value.length)), Buffer.from(value)]);
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors),
    u64(keys),
    text('general.name'),
    u32(valueType),
    text('demo'),
    text('tokens'),
    u32(9),
    u32(8),
    u64(arrayLength),
    text('a'),
    text('bc'),
    text('general.alignment'),
    u32(4),
    u32(64),
    text('weight'),
    u32(2),
    u64(4n),
    u64(2n),
    u32(0),
    u64(offset),
  ]);
  return Buffer.concat([head, Buffer.alloc((64 - (head.length % 64)) % 64), Buffer.alloc(32)]);
}

export interface TflitePlan {
  readonly root?: number;
  readonly version?: number;
  readonly buffers?: number;
  readonly bufferLength?: number;
}

/** Schema version 3, one empty subgraph, one buffer of 8 bytes. */
export function tflite({ root = 24, version = 3, buffers = 1, bufferLength = 8 }: TflitePlan = {}): Buffer {
  const bytes = Buffer.alloc(96);
  bytes.writeUInt32LE(root, 0);
  bytes.write('TFL3', 4, 'latin1');
  // The description of the model's table: 14 bytes long, the table 16; fields 0, 2 and 4 at 4, 8 and 12.
  for (const [at, value] of [14, 16, 4, 0, 8, 0, 12].entries()) bytes.writeUInt16LE(value, 8 + at * 2);
  bytes.writeInt32LE(24 - 8, 24);
  bytes.writeUInt32LE(version, 28);
  bytes.writeUInt32LE(40 - 32, 32);
  bytes.writeUInt32LE(56 - 36, 36);
  // Subgraphs: one, at 52, whose description at 48 has no field.
  bytes.writeUInt32LE(1, 40);
  bytes.writeUInt32LE(52 - 44, 44);
  bytes.writeUInt16LE(4, 48);
  bytes.writeUInt16LE(4, 50);
  bytes.writeInt32LE(52 - 48, 52);
  // Buffers: one, at 72, described at 64: field 0 at 4.
  bytes.writeUInt32LE(buffers, 56);
  bytes.writeUInt32LE(72 - 60, 60);
  for (const [at, value] of [6, 8, 4].entries()) bytes.writeUInt16LE(value, 64 + at * 2);
  bytes.writeInt32LE(72 - 64, 72);
  bytes.writeUInt32LE(80 - 76, 76);
  bytes.writeUInt32LE(bufferLength, 80);
  return bytes;
}

/** One constant at `offset`. */
export function openvino(offset: number, size: number): string {
  return `<?xml version="1.0"?>\n<net name="m" version="11"><layers><layer id="0" type="Const"><data element_type="f32" shape="2" offset="${offset}" size="${size}"/></layer></layers></net>\n`;
}
