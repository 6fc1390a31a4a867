// Trials on a whole device with a real TPM and broker: each way in which one ends, and what runs on the device afterwards.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeModelFolder } from '../../src/demo/model-folder.ts';
import { SLOT } from '../../src/demo/theatre.ts';
import type { Theatre } from '../../src/demo/theatre.ts';
import type { Stage } from '../../src/testing/stage.ts';
import type { Ran } from '../../src/testing/stage.ts';
import { changeProfile, enrolledTheatre } from '../support/enrolled-theatre.ts';

let stage: Stage;
let theatre: Theatre;
let running = '';
let before = '';

async function release(name: string): Promise<string> {
  await makeModelFolder(stage.path('models', name), { seed: name, version: '1.0.0', weights: null });
  const id = await theatre.makeRelease(name, { version: '1.0.0', securityVersion: 1 });
  await theatre.addRelease(name);
  return id;
}

const told = { hold: '', ill: '' };
const put = async (path: string): Promise<void> => writeFile(path, '');
const remove = async (path: string): Promise<void> => rm(path, { force: true });

beforeAll(async () => {
  ({ stage, theatre } = await enrolledTheatre(async (made) => {
    told.hold = made.stage.path('hold');
    told.ill = made.stage.path('ill');
    // The operator's check waits while there is a file `hold`, and then says no if there is a file `ill`.
    const script = `while [ -e ${told.hold} ]; do sleep 0.05; done; [ ! -e ${told.ill} ] || { echo 'lens is dirty' >&2; exit 4; }`;
    const check = {
      healthCommand: ['/bin/sh', '-c', script],
      healthSeconds: 600,
      commitAfterSeconds: 3,
      onFailure: 'last-good',
    };
    await changeProfile(made, (profile) => ({
      ...profile,
      slots: profile.slots.map((slot) => ({ ...slot, ...check })),
      leaseSeconds: 900,
    }));
  }));
}, 120_000);
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
});

/** What runs, by the device's own word and by its TPM. */
async function expectRunning(id: string): Promise<void> {
  const device = await theatre.until(
    'what should run is attested, and on trial no more',
    ({ verdict, slots }) =>
      slots.some((slot) => slot.slot === SLOT && slot.release === id && slot.state === 'active') &&
      verdict?.status === 'warning',
  );
  expect(device.verdict?.findings.filter(({ status }) => status === 'contraindicated')).toEqual([]);
  const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState, '--json');
  expect([status.code, status.stdout]).toEqual([0, expect.stringContaining(id)]);
}

/** Asks for the upgrade and waits until its trial has begun; `ended` is the command that follows it. */
async function onTrial(id: string): Promise<{ readonly ended: Promise<Ran> }> {
  await put(told.hold);
  const from = theatre.agent.lines.length;
  const ended = theatre.upgrade(id);
  await theatre.agent.says(/its trial begins/, { from });
  return { ended };
}

describe('a release on trial', () => {
  beforeEach(async () => {
    await Promise.all([remove(told.hold), remove(told.ill)]);
  });

  test(
    'is committed when it is healthy and the controller trusts the device with it',
    { timeout: 120_000 },
    async () => {
      running = await release('one');
      const ran = await theatre.upgrade(running);
      expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('"attested"')]);
      await theatre.agent.says(/release \w+ committed: /);
      await expectRunning(running);
      const next = await release('two');
      expect((await theatre.upgrade(next)).code).toBe(0);
      running = next;
      await expectRunning(running);
    },
  );

  test(
    'may not be loaded before its health check has passed, and nothing else is staged',
    { timeout: 120_000 },
    async () => {
      const id = await release('three');
      const { ended } = await onTrial(id);
      const status = await theatre.cli('status', SLOT, '--state', theatre.deviceState, '--json');
      expect([status.code, status.stdout]).toEqual([1, expect.stringContaining('health check has not ended')]);
      // It fails then, with the reason that the operator's check gave.
      await put(told.ill);
      await remove(told.hold);
      const ran = await ended;
      expect(ran.code).toBe(1);
      expect(ran.stdout).toContain('"rolled-back"');
      expect(ran.stdout).toContain('health-command');
      expect(ran.stdout).toContain('exit code 4: lens is dirty');
      await expectRunning(running);
    },
  );

  test('is rolled back when the controller says no', { timeout: 120_000 }, async () => {
    const id = await release('four');
    const { ended } = await onTrial(id);
    const state = ['--state', theatre.controllerState];
    await theatre.must('device', 'quarantine', theatre.deviceId, '--reason', 'a try', ...state);
    await theatre.agent.says(/was rolled back: the controller found it contraindicated: quarantine/);
    await theatre.must('device', 'approve', theatre.deviceId, ...state);
    const ran = await ended;
    expect([ran.code, ran.stdout]).toEqual([1, expect.stringContaining('"quarantine"')]);
    await expectRunning(running);
  });

  test('is rolled back when the power was cut in each of its three boots', { timeout: 180_000 }, async () => {
    const id = await release('five');
    const { ended } = await onTrial(id);
    for (const boot of [2, 3]) {
      await theatre.cutPower();
      await theatre.powerOn();
      await theatre.agent.says(new RegExp(`boot ${boot} of its trial`));
    }
    await theatre.cutPower();
    await theatre.powerOn();
    const ran = await ended;
    expect([ran.code, ran.stdout]).toEqual([1, expect.stringContaining('trial-boots')]);
    await expectRunning(running);
  });

  test(
    'is committed by time where the profile allows it and the broker brings no word',
    { timeout: 120_000 },
    async () => {
      const id = await release('six');
      const { ended } = await onTrial(id);
      const broker = stage.actors.find(({ name }) => name === 'broker');
      process.kill(broker?.pid ?? 0, 'SIGSTOP');
      try {
        await remove(told.hold);
        await theatre.agent.says(/committed: it ran for 3 s/);
      } finally {
        process.kill(broker?.pid ?? 0, 'SIGCONT');
      }
      expect((await ended).code).toBe(0);
      before = running;
      running = id;
      await expectRunning(running);
    },
  );
});

test('a committed release that is altered gives way to the last good one', { timeout: 120_000 }, async () => {
  const file = join(theatre.modelFile, 'labels.txt');
  await rm(file);
  await writeFile(file, 'other labels');
  await theatre.agent.says(/the release before was put back/);
  await expectRunning(before);
  const shown = await theatre.must('device', 'show', theatre.deviceId, '--state', theatre.controllerState, '--json');
  expect(shown.stdout).toContain('last-good');
});
