// A publisher's key is stolen, on the real parts: what runs goes on and says so, nothing new of the key gets in, the next key's does.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import type { Stage } from '../../src/testing/stage.ts';
import { enrolledTheatre } from '../support/enrolled-theatre.ts';

const HARD = { timeout: 180_000 };

let stage: Stage;
let theatre: Theatre;

async function release(name: string, version: string, securityVersion = 1): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version, weights: null });
  return theatre.makeRelease(name, { version, securityVersion });
}

const rootKey = (n: number): string => stage.path(`fleet/root/root-${n}.key.pem`);
const place = (): string[] => ['--fleet', stage.path('fleet/device')];

/** Made by the first holder, signed by the second. Answers its file. */
async function signed(name: string, from: string, ...change: string[]): Promise<string> {
  const file = stage.path(`${name}.json`);
  await theatre.must('fleet', ...change, '--fleet', from, '--key', rootKey(1), '--out', file);
  await theatre.must('fleet', 'sign', file, '--key', rootKey(2), ...place());
  return file;
}

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre());
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

test('a stolen publisher’s key is revoked, and replaced, while the fleet runs', HARD, async () => {
  const good = await release('good', '1.0.0');
  await theatre.addRelease('good');
  expect((await theatre.upgrade(good)).code).toBe(0);
  // The thief signs what he likes, as new as there can be, and has it published before anybody knows.
  const evil = await release('evil', '9.9.9', Number.MAX_SAFE_INTEGER);
  await theatre.addRelease('evil');

  await theatre.must('keygen', '--out', stage.path('new'));
  const newKey = stage.path('new/publisher.key.pem');
  const { stdout } = await theatre.must('fleet', 'show', ...place(), '--json');
  const { publishers } = JSON.parse(stdout) as { publishers: { id: string }[] };
  const revoked = await signed(
    'revoked',
    stage.path('fleet/device'),
    'revoke',
    publishers[0]?.id ?? '',
    '--reason',
    'stolen',
  );
  await theatre.must('fleet', 'publish', revoked, '--to', theatre.controllerState);
  await theatre.agent.says(/root statement 1 → 2/);

  const warned = await theatre.until('the running model is named and still used', ({ verdict }) =>
    (verdict?.findings ?? []).some((one) => one.rule === 'release-signer-revoked'),
  );
  expect([warned.verdict?.status, warned.slots.find((one) => one.slot === SLOT)?.release]).toEqual(['warning', good]);
  expect((await theatre.cli('status', SLOT, '--state', theatre.deviceState)).code).toBe(0);
  const refused = await theatre.upgrade(evil);
  expect([refused.code === 0, refused.stderr + refused.stdout]).toEqual([
    false,
    expect.stringContaining('release-signer-revoked'),
  ]);

  const added = ['rotate', '--publisher', `${stage.path('new/publisher.pub.pem')}=demo-model`];
  const next = await signed('next', theatre.controllerState, ...added);
  await theatre.must('fleet', 'publish', next, '--to', theatre.controllerState);
  await theatre.agent.says(/root statement 2 → 3/);
  await makeModelFolder(stage.path('models', 'next'), { seed: 'next', version: '1.1.0', weights: null });
  const words = '--release-version 1.1.0 --security-version 2 --hardware-class development --model-id demo-model';
  const files = [stage.path('models', 'next'), '--out', stage.path('releases', 'next'), '--key', newKey];
  await theatre.must('release', 'make', ...files, ...words.split(' '), '--slot-role', SLOT);
  await theatre.addRelease('next');
  const listed = await theatre.must('release', 'list', '--state', theatre.controllerState, '--json');
  const { releases } = JSON.parse(listed.stdout) as { releases: { release?: string; version?: string }[] };
  const nextId = releases.find((one) => one.version === '1.1.0')?.release ?? '';
  expect((await theatre.upgrade(nextId)).code).toBe(0);
  const clean = await theatre.until(
    'nothing of the stolen key is left',
    ({ verdict, slots }) =>
      slots.some((one) => one.release === nextId) &&
      !(verdict?.findings ?? []).some((one) => one.rule === 'release-signer-revoked'),
  );
  expect(clean.verdict?.status).toBe('warning');
});
