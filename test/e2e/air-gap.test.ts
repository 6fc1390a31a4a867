// A device whose broker is gone: an upgrade is carried to it, its proof is carried back, and the controller's word there again.
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import { holdsRelease } from '../../src/testing/device-words.ts';
import type { Stage } from '../../src/testing/stage.ts';
import type { Ran } from '../../src/testing/stage.ts';
import { changeProfile, enrolledTheatre } from '../support/enrolled-theatre.ts';
import type { EnrolledTheatre } from '../support/enrolled-theatre.ts';

let stage: Stage;
let theatre: Theatre;

async function release(name: string, securityVersion = 1): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version: '1.0.0', weights: null });
  const id = await theatre.makeRelease(name, { version: '1.0.0', securityVersion });
  await theatre.addRelease(name);
  return id;
}

const stick = (name: string): string => stage.path('stick', name);

async function bundle(name: string, id: string): Promise<void> {
  await theatre.must(
    'bundle',
    'make',
    theatre.deviceId,
    '--release',
    id,
    '--slot',
    SLOT,
    '--out',
    stick(name),
    '--state',
    theatre.controllerState,
  );
}

async function apply(name: string, ...more: string[]): Promise<Ran> {
  return theatre.cli('bundle', 'apply', stick(name), '--state', theatre.deviceState, '--json', ...more);
}

async function accept(name: string, ...more: string[]): Promise<Ran> {
  return theatre.cli('bundle', 'accept', stick(name), '--state', theatre.controllerState, '--json', ...more);
}

async function holds(id: string): Promise<void> {
  const device = await theatre.show();
  expect({ holds: holdsRelease(device, SLOT, id), slots: device.slots }).toMatchObject({ holds: true });
}

async function profileWith(made: EnrolledTheatre, change: object): Promise<void> {
  await changeProfile(made, (profile) => ({
    ...profile,
    slots: profile.slots.map((slot) => ({ ...slot, ...change })),
    leaseSeconds: 900,
  }));
}

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre(async (made) => profileWith(made, { commitAfterSeconds: 2 })));
  await mkdir(stage.path('stick'));
  const first = await release('first');
  await theatre.upgrade(first);
  await theatre.until('the first release', (device) => holdsRelease(device, SLOT, first));
  // From here on the two never hear of each other but by what is carried.
  await theatre.cutNetwork();
}, 180_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

describe('a device whose broker is gone', () => {
  let two = '';

  test(
    'takes a bundle through its trial, and its receipt proves that to the controller',
    { timeout: 120_000 },
    async () => {
      two = await release('two', 2);
      await bundle('two.bundle', two);
      const ran = await apply('two.bundle', '--receipt', stick('two.receipt'));
      expect({ code: ran.code, out: ran.stdout, err: ran.stderr }).toMatchObject({ code: 0, err: '' });
      expect(JSON.parse(ran.stdout)).toMatchObject({
        stands: 'committed',
        slot: SLOT,
        release: two,
        receipt: stick('two.receipt'),
      });
      // The controller has heard nothing yet.
      expect(holdsRelease(await theatre.show(), SLOT, two)).toBe(false);
      const taken = await accept('two.receipt', '--result', stick('two.result'));
      expect([taken.code, taken.stderr]).toEqual([0, '']);
      await holds(two);
      const result = await apply('two.result');
      expect([result.code, JSON.parse(result.stdout)]).toMatchObject([
        0,
        { taken: true, lease: true, verdict: 'warning' },
      ]);
    },
  );

  test(
    'is not upgraded twice by one bundle, and gives a receipt again, which counts no more',
    { timeout: 120_000 },
    async () => {
      const again = await apply('two.bundle', '--receipt', stick('again.receipt'));
      expect([again.code, JSON.parse(again.stdout)]).toMatchObject([
        0,
        { stands: 'committed', outcome: { rule: 'done' } },
      ]);
      for (const name of ['two.receipt', 'again.receipt']) {
        const ran = await accept(name);
        expect([ran.code, JSON.parse(ran.stdout)]).toMatchObject([1, { accepted: false, why: 'superseded' }]);
        expect(ran.stdout).toContain('make another bundle of the same release');
      }
    },
  );

  test('refuses a release by its rule, and the receipt tells the controller', { timeout: 120_000 }, async () => {
    const old = await release('old', 1);
    await bundle('old.bundle', old);
    const ran = await apply('old.bundle', '--receipt', stick('old.receipt'));
    expect([ran.code, JSON.parse(ran.stdout)]).toMatchObject([
      1,
      { stands: 'refused', outcome: { kind: 'refused', rule: 'release-older' } },
    ]);
    expect((await accept('old.receipt', '--result', stick('old.result'))).code).toBe(0);
    await holds(two);
    const { stdout } = await theatre.must('device', 'show', theatre.deviceId, '--state', theatre.controllerState);
    expect(stdout).toMatch(/refused: release-older/);
    // Acknowledged, it is not reported again.
    expect((await apply('old.result')).code).toBe(0);
  });

  test('makes the receipt in the trial when it is told to', { timeout: 120_000 }, async () => {
    const three = await release('three', 2);
    await bundle('three.bundle', three);
    const ran = await apply('three.bundle', '--receipt', stick('three.receipt'), '--when', 'trial');
    expect([ran.code, JSON.parse(ran.stdout)]).toMatchObject([0, { stands: 'trial', release: three }]);
    const taken = await accept('three.receipt');
    expect(taken.code).toBe(0);
    await theatre.agent.says(new RegExp(`${three.slice(0, 12)} committed: it ran for 2 s`));
    // Applied again, it says how that ended.
    expect(JSON.parse((await apply('three.bundle')).stdout)).toMatchObject({ stands: 'committed' });
  });

  test('says by itself that nobody runs there', { timeout: 120_000 }, async () => {
    const nowhere = stage.path('nowhere');
    await mkdir(nowhere);
    const ran = await theatre.cli('bundle', 'apply', stick('two.bundle'), '--state', nowhere);
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining('touchstone agent')]);
    expect((await stat(join(theatre.deviceState, 'bundle.sock'))).mode & 0o777).toBe(0o600);
    await rm(nowhere, { recursive: true });
  });
});

test('a trial that only a result can end is ended by the one that is carried back', { timeout: 180_000 }, async () => {
  const from = theatre.controller.lines.length;
  await profileWith({ stage, theatre }, { commitAfterSeconds: 'never' });
  await theatre.controller.says(/reference values read/, { from });
  await theatre.agent.end('SIGTERM');
  await theatre.swtpm.end('SIGTERM');
  await theatre.powerOn();
  const four = await release('four', 2);
  await bundle('four.bundle', four);
  const ran = await apply('four.bundle', '--receipt', stick('four.receipt'));
  expect([ran.code, JSON.parse(ran.stdout)]).toMatchObject([0, { stands: 'trial', release: four }]);
  expect((await accept('four.receipt', '--result', stick('four.result'))).code).toBe(0);
  const result = await apply('four.result');
  expect([result.code, JSON.parse(result.stdout)]).toMatchObject([0, { taken: true, lease: true }]);
  await theatre.agent.says(/committed: the controller says warning/);
  expect((await theatre.cli('status', SLOT, '--state', theatre.deviceState)).code).toBe(0);
});
