// A TPM that stands still for twenty seconds: the agent waits, loses nothing it has to say, and is not started again.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import type { Stage } from '../../src/testing/stage.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import { enrolledTheatre } from '../support/enrolled-theatre.ts';

const STANDSTILL_MS = 20_000;

let stage: Stage;
let theatre: Theatre;

async function release(name: string, version: string, role?: string): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version, weights: null });
  const id = await theatre.makeRelease(name, {
    version,
    securityVersion: 1,
    ...(role === undefined ? {} : { role }),
  });
  await theatre.addRelease(name);
  return id;
}

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre());
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('a standstill of the TPM ends nothing and loses no report', { timeout: 180_000 }, async () => {
  const good = await release('good', '1.0.0');
  expect((await theatre.upgrade(good)).code).toBe(0);
  const misplaced = await release('misplaced', '1.0.1', 'elsewhere');
  const { pid } = theatre.agent;

  process.kill(theatre.swtpm.pid, 'SIGSTOP');
  // The command is carried out, or waits, while the TPM is silent: its outcome has to arrive all the same.
  const refused = theatre.upgrade(misplaced);
  await delay(STANDSTILL_MS);
  process.kill(theatre.swtpm.pid, 'SIGCONT');

  const ran = await refused;
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain('release-slot-role');
  await theatre.agent.says(/the TPM answered \S+ after/);
  expect(theatre.agent.running && theatre.agent.pid === pid).toBe(true);
  const device = await theatre.until(
    'the standstill reported and the model still trusted',
    ({ verdict, slots }) =>
      verdict?.status === 'warning' && slots.some((slot) => slot.slot === SLOT && slot.release === good),
  );
  expect(device.verdict?.findings.filter((one) => one.rule === 'clock-rolled-back')).toEqual([]);
  const shown = await theatre.must('device', 'show', theatre.deviceId, '--state', theatre.controllerState, '--json');
  expect(shown.stdout).toContain('the TPM had not answered');
  expect((await theatre.cli('status', SLOT, '--state', theatre.deviceState)).code).toBe(0);
});
