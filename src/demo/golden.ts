// Golden cases of a model: what its network answered when it was made, signed with it, and asked again on every device.
import { writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { runClassifier } from './run-model.ts';

/** Inside of the model. */
export const HEALTH_FILE = 'health.json';

/** What a profile says of the demo device's runtime. */
export function goldenRuntime(): string[] {
  const program = new URL(`./golden-runtime${extname(import.meta.url)}`, import.meta.url).pathname;
  return [process.execPath, program];
}

const INPUTS = [
  [0.1, 0.2, 0.3, 0.4],
  [0.9, -0.5, 0.25, 0],
];

/** Writes the health check of the model in `dir`: the answers of the network in `network`, which should be its own. */
export async function writeGolden(dir: string, network: string): Promise<void> {
  const cases = [];
  for (const input of INPUTS) {
    cases.push({ input, output: await runClassifier(join(network, 'classifier.onnx'), input), tolerance: 0.001 });
  }
  await writeFile(join(dir, HEALTH_FILE), `${JSON.stringify({ v: 1, cases, latencyMs: 60_000 }, null, 2)}\n`);
}
