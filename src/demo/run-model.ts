// Runs an ONNX model with a real runtime, as the program on the device that uses the model would.
import { readFile } from 'node:fs/promises';

/** Probabilities of the three classes for `input` (4 numbers). Errors: what the runtime throws for a model it can't load. */
export async function runClassifier(file: string, input: readonly number[]): Promise<number[]> {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await readFile(file));
  const result = await session.run({ x: new ort.Tensor('float32', Float32Array.from(input), [1, 4]) });
  const data = result['y']?.data;
  if (!(data instanceof Float32Array)) throw new TypeError('the model gave no numbers');
  await session.release();
  return [...data];
}
