// The demo's model is a real one: a runtime loads it, and it computes what its weights say.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { onnxClassifier } from '../../src/demo/onnx-model.ts';
import { runClassifier } from '../../src/demo/run-model.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-onnx-'));
afterAll(async () => rm(folder, { recursive: true }));

describe('the demo model', () => {
  it('is run by an ONNX runtime and gives probabilities', async () => {
    const file = join(folder, 'a.onnx');
    await writeFile(file, onnxClassifier('one'));
    const result = await runClassifier(file, [1, 2, 3, 4]);
    expect(result).toHaveLength(3);
    expect(result.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
  });

  it('is another model for another seed, and the same for the same', async () => {
    expect(onnxClassifier('one').equals(onnxClassifier('one'))).toBe(true);
    const file = join(folder, 'b.onnx');
    await writeFile(file, onnxClassifier('two'));
    const other = await runClassifier(file, [1, 2, 3, 4]);
    await writeFile(file, onnxClassifier('one'));
    expect(other).not.toEqual(await runClassifier(file, [1, 2, 3, 4]));
  });
});
