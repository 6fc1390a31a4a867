// Makes the folder of a model as a publisher has it: the network, a large weights file, labels and a model card.
import { createCipheriv, createHash } from 'node:crypto';
import { link, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onnxClassifier } from './onnx-model.ts';

export const WEIGHTS_BYTES: number = 256 * 1024 * 1024;
const BLOCK = 4 * 1024 * 1024;

/** A file of `size` bytes that look random and follow from `seed`: nothing of it can be compressed or guessed. */
export async function writeWeights(path: string, size: number, seed: string): Promise<void> {
  const key = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK);
  const file = await open(path, 'wx', 0o644);
  try {
    for (let left = size; left > 0; left -= BLOCK)
      await file.write(stream.update(zeros.subarray(0, Math.min(BLOCK, left))));
  } finally {
    await file.close();
  }
}

export interface ModelOptions {
  /** Another seed, another network. */
  readonly seed: string;
  readonly version: string;
  /** An existing weights file to use as it is; none: the model is small. */
  readonly weights: string | null;
}

/** Writes the model into the new folder `dir`. */
export async function makeModelFolder(dir: string, options: ModelOptions): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'classifier.onnx'), onnxClassifier(options.seed));
  await writeFile(join(dir, 'labels.txt'), 'empty road\nperson\nvehicle\n');
  await writeFile(
    join(dir, 'MODEL_CARD.md'),
    `# Demo classifier ${options.version}\n\nA 4-8-3 network with fixed weights. For demonstration only.\n`,
  );
  if (options.weights !== null) await link(options.weights, join(dir, 'weights.bin'));
}
