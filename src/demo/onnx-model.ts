// Writes a small real ONNX model: a 4-8-3 classifier, so that the demo has something that a runtime really runs.
import { createHash } from 'node:crypto';

// Protocol buffers, as far as an ONNX file needs them: varints (wire type 0) and length-delimited fields (wire type 2).

function varint(value: number): Buffer {
  const low: number[] = [];
  let rest = value;
  while (rest > 127) {
    low.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...low, rest]);
}

const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)]);

function bytes(field: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

const FLOAT = 1;

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little endian). */
function tensor(name: string, dims: readonly number[], values: readonly number[]): Buffer {
  const raw = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) raw.writeFloatLE(value, index * 4);
  return bytes(5, ...dims.map((dim) => number(1, dim)), number(2, FLOAT), bytes(8, name), bytes(9, raw));
}

/** NodeProto: input 1, output 2, op_type 4. */
function node(operator: string, inputs: readonly string[], output: string): Buffer {
  return bytes(1, ...inputs.map((input) => bytes(1, input)), bytes(2, output), bytes(4, operator));
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 } } } }. */
function port(field: number, name: string, dims: readonly number[]): Buffer {
  const shape = bytes(2, ...dims.map((dim) => bytes(1, number(1, dim))));
  return bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, FLOAT), shape)));
}

/** `count` numbers from −1 to 1 that follow from `seed` alone. */
function weights(seed: string, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const digest = createHash('sha256').update(`${seed}/${index}`).digest();
    return digest.readInt16BE(0) / 32_768;
  });
}

/** Bytes of an ONNX model (opset 13): softmax(relu(x·W1 + b1)·W2 + b2), x of 1×4, result of 1×3. Another seed, another model. */
export function onnxClassifier(seed: string): Buffer {
  const graph = bytes(
    7,
    node('Gemm', ['x', 'W1', 'b1'], 'h'),
    node('Relu', ['h'], 'r'),
    node('Gemm', ['r', 'W2', 'b2'], 's'),
    node('Softmax', ['s'], 'y'),
    bytes(2, 'classifier'),
    tensor('W1', [4, 8], weights(`${seed}/W1`, 32)),
    tensor('b1', [8], weights(`${seed}/b1`, 8)),
    tensor('W2', [8, 3], weights(`${seed}/W2`, 24)),
    tensor('b2', [3], weights(`${seed}/b2`, 3)),
    port(11, 'x', [1, 4]),
    port(12, 'y', [1, 3]),
  );
  // ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8 { version 2 }.
  return Buffer.concat([number(1, 8), bytes(2, 'touchstone demo'), graph, bytes(8, number(2, 13))]);
}
