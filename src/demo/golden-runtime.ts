// The demo device's own runtime for golden cases: loads the model in a folder, answers each line of input with one of output.
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { runClassifier } from './run-model.ts';

const folder = process.argv.at(-1) ?? '';
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runClassifier(join(folder, 'classifier.onnx'), JSON.parse(line) as number[]);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
