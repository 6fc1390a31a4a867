// The life of a candidate, step by step: what each state allows, what leaves it, and what the floor says to every activation.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { FLOOR_LOST } from '../../src/gate/floor.ts';
import { TRIAL_BOOTS } from '../../src/gate/trial.ts';
import { MemoryFloor } from '../fakes/memory-floor.ts';
import { DAY, FILES, makeRelease, NOW } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'trial-'));
const make = async (number: number, passport = {}): Promise<MadeRelease> =>
  makeRelease(join(root, `${number}-${Object.keys(passport).join('-')}`), pool, {
    files: { ...FILES, 'classifier.onnx': `weights of version ${number}` },
    passport: { version: `${number}.0.0`, securityVersion: number, ...passport },
  });
const one = await make(1);
const two = await make(2);
const three = await make(3);
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const REASON = { rule: 'health-output', detail: 'it answers nonsense' };

let device: Device;
beforeEach(async () => {
  device = new Device(pool);
  await device.install(one.id, one.folder);
  return async () => device[Symbol.asyncDispose]();
});

const alter = (id: string): void => {
  const file = join(device.stateDir, 'releases', id, 'model', 'classifier.onnx');
  chmodSync(file, 0o644);
  writeFileSync(file, 'other weights');
};
const reports = async (): Promise<(string | null)[][]> =>
  (await device.journal.reports()).map(({ kind, rule, slot, subject }) => [kind, rule, slot, subject]);

describe('STAGE and ACT', () => {
  test('an upgrade is on trial, its first boot counted, with what ran as its fallback', async () => {
    const outcome = await device.stage(two.id, two.folder);
    expect(outcome).toMatchObject({ kind: 'activated', rule: 'done' });
    expect(outcome.detail).toContain('on trial');
    const row = { state: 'TRIAL', active: one.id, staged: two.id, tries: 1, ranMs: 0, securityVersion: 1 };
    expect(await device.row()).toMatchObject(row);
    expect(device.linked()).toBe(two.id);
    expect((await device.gate().expected('main'))?.id).toBe(two.id);
  });

  test('nothing is staged while a trial or a commitment is open', async () => {
    await device.stage(two.id, two.folder);
    const during = await device.row();
    for (const state of ['TRIAL', 'COMMITTING'] as const) {
      await device.journal.setSlot({ ...during, state });
      expect(await device.stage(three.id, three.folder)).toMatchObject({ kind: 'refused', rule: 'trial-open' });
      expect(await device.row()).toMatchObject({ state, staged: two.id, active: one.id });
    }
    expect(device.names('releases')).not.toContain(three.id);
  });

  test('what the slot holds already is put right without a trial', async () => {
    alter(one.id);
    expect(await device.stage(one.id, one.folder)).toMatchObject({ rule: 'done' });
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: one.id, staged: null });
    expect(device.read('classifier.onnx')).toBe('weights of version 1');
  });

  test('a candidate below the floor is never opened, whatever let it in', async () => {
    const floor = new MemoryFloor(1n);
    await device.journal.setSlot({ ...(await device.row()), staged: one.id, state: 'TRIAL', tries: 1 });
    floor.value = 2n;
    await device.gate({ floor }).recover();
    expect(device.linked()).toBeNull();
    expect(await reports()).toEqual([['rolled-back', 'release-below-floor', 'main', one.id]]);
  });
});

describe('a disk that fails', () => {
  const fails = (code: string, at: string, seen: string[]) => (step: string) => {
    seen.push(step);
    if (step === at) throw Object.assign(new Error(`${code}: open`), { code, syscall: 'open' });
  };
  /** What an installation does, in order. */
  const stepsOf = async (): Promise<string[]> => {
    const seen: string[] = [];
    await using other = new Device(pool);
    await other.install(one.id, one.folder);
    await other.stage(two.id, two.folder, { changes: { step: fails('', '', seen) } });
    return seen;
  };

  test.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EROFS', 'DISK_FAILED'],
    ['EIO', 'DISK_FAILED'],
  ])('by %s: at each step of an installation what ran runs on, and the reason has a name', async (code, name) => {
    const steps = await stepsOf();
    expect(steps.length).toBeGreaterThan(9);
    // What the journal writes by itself fails as the journal does.
    for (const at of steps.filter((step) => !['journal the intent', 'clean up'].includes(step))) {
      await using here = new Device(pool);
      await here.install(one.id, one.folder);
      const step = fails(code, at, []);
      const outcome = await here
        .stage(two.id, two.folder, { changes: { step } })
        .catch((error: unknown) => ({ rule: (error as { code: string }).code }));
      const isStaged = ['keep what it withdraws', 'count the trial boot', 'switch the link'].includes(at);
      // Before the journal speaks of it the command fails; after that the trial is over before it began.
      expect([at, outcome.rule]).toEqual([at, isStaged ? 'trial-disk' : name]);
      expect([at, here.linked(), here.read('classifier.onnx')]).toEqual([at, one.id, 'weights of version 1']);
      expect(await here.row()).toMatchObject({ state: 'COMMITTED', active: one.id, staged: null });
      const told = (await here.journal.reports()).map(({ kind, rule, subject }) => [kind, rule, subject]);
      expect([at, told]).toEqual([at, isStaged ? [['rolled-back', 'trial-disk', two.id]] : []]);
      // The disk is well again.
      expect(await here.install(two.id, two.folder)).toMatchObject({ rule: 'done' });
      expect(here.read('classifier.onnx')).toBe('weights of version 2');
    }
  });

  test('that gives nothing back at the end takes nothing from a trial that has begun', async () => {
    const step = fails('EROFS', 'clean up', []);
    expect(await device.stage(two.id, two.folder, { changes: { step } })).toMatchObject({ rule: 'done' });
    expect(await device.row()).toMatchObject({ state: 'TRIAL', staged: two.id });
  });
});

describe('HEALTH, FLOOR and FIN', () => {
  test('a trial that passed is committed, and what ran before is kept', async () => {
    await device.stage(two.id, two.folder);
    expect(await device.gate().commit('main')).toMatchObject({ state: 'COMMITTED', active: two.id, previous: one.id });
    expect(await device.row()).toMatchObject({ staged: null, tries: 0, securityVersion: 2 });
    expect(device.linked()).toBe(two.id);
  });

  test('only an open trial can be committed or rolled back', async () => {
    await expect(device.gate().commit('main')).rejects.toThrow(RangeError);
    await expect(device.gate().rollBack('main', REASON)).rejects.toThrow(RangeError);
  });

  test('the floor rises after the trial has passed, and never before', async () => {
    const floor = new MemoryFloor(1n);
    await device.stage(two.id, two.folder, { changes: { floor } });
    expect(floor.value).toBe(1n);
    await device.gate({ floor }).commit('main');
    expect(floor.value).toBe(2n);
  });

  test('a floor that was not raised leaves it COMMITTING, to be tried again, also by a start', async () => {
    const floor = new MemoryFloor(1n);
    floor.next = 'refused';
    await device.stage(two.id, two.folder, { changes: { floor } });
    expect(await device.gate({ floor }).commit('main')).toMatchObject({ state: 'COMMITTING', staged: two.id });
    await device.gate({ floor }).recover();
    expect(await device.row()).toMatchObject({ state: 'COMMITTING' });
    expect(device.linked()).toBe(two.id);
    floor.next = 'done';
    expect(await device.gate({ floor }).commit('main')).toMatchObject({ state: 'COMMITTED', active: two.id });
  });

  test('a floor that is higher when read back is no success: the release is one of the past', async () => {
    const floor = new MemoryFloor(1n);
    floor.next = 'higher';
    await device.stage(two.id, two.folder, { changes: { floor } });
    const gate = device.gate({ floor });
    expect(await gate.commit('main')).toMatchObject({ state: 'COMMITTED', active: one.id, staged: null });
    expect(device.linked()).toBeNull();
    expect(gate.needs('main')).toBe(3n);
    expect(await gate.expected('main')).toBeNull();
    expect(await reports()).toEqual([['rolled-back', 'release-below-floor', 'main', two.id]]);
  });

  test('a commitment from an older disk is not opened below the floor, not for a moment', async () => {
    await device.stage(two.id, two.folder);
    await device.journal.setSlot({ ...(await device.row()), state: 'COMMITTING' });
    rmSync(join(device.stateDir, 'slots/main'));
    const seen: (string | null)[] = [];
    const step = (): void => {
      seen.push(device.linked());
    };
    await device.gate({ floor: new MemoryFloor(3n), step }).recover();
    expect(seen).not.toContain(two.id);
    expect(device.linked()).toBeNull();
    expect(await reports()).toEqual([['rolled-back', 'release-below-floor', 'main', two.id]]);
  });

  test('COMMITTING is left forwards by a start, also when the release was withdrawn meanwhile', async () => {
    const withdrawn = await makeRelease(join(root, 'withdrawn-meanwhile'), pool, {
      files: { ...FILES, 'classifier.onnx': 'weights of version 2, withdrawn' },
      passport: { securityVersion: 2 },
    });
    const withdrawer = await makeRelease(join(root, 'withdrawer'), pool, {
      passport: { securityVersion: 3, withdraws: [withdrawn.id] },
    });
    await device.stage(withdrawn.id, withdrawn.folder);
    await device.journal.setSlot({ ...(await device.row()), state: 'COMMITTING' });
    const kept = join(device.stateDir, 'withdrawals', `${withdrawer.id}.json`);
    writeFileSync(kept, readFileSync(join(withdrawer.folder, 'passport.json')));
    const floor = new MemoryFloor(1n);
    await device.gate({ floor }).recover();
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: withdrawn.id });
    expect([floor.value, device.linked(), await reports()]).toEqual([2n, withdrawn.id, []]);
  });

  test('COMMITTING is left forwards by a start', async () => {
    await device.stage(two.id, two.folder);
    await device.journal.setSlot({ ...(await device.row()), state: 'COMMITTING', tries: TRIAL_BOOTS });
    await device.gate().recover();
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: two.id, securityVersion: 2 });
  });
});

describe('BACK', () => {
  test('the fallback is in the slot again, and the reason is a report', async () => {
    await device.stage(two.id, two.folder);
    await device.gate().rollBack('main', REASON);
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: one.id, staged: null, tries: 0 });
    expect(device.read('classifier.onnx')).toBe('weights of version 1');
    expect(await reports()).toEqual([['rolled-back', 'health-output', 'main', two.id]]);
    expect((await device.journal.reports())[0]?.detail).toContain('it answers nonsense');
    expect(device.names('releases')).toEqual([one.id]);
  });

  test('of the first release leaves the slot empty', async () => {
    await using fresh = new Device(pool);
    await fresh.stage(two.id, two.folder);
    await fresh.gate().rollBack('main', REASON);
    expect(await fresh.row()).toMatchObject({ state: 'NONE', active: null, staged: null });
    expect(fresh.linked()).toBeNull();
  });

  test('is not the end: a new command tries the same release again', async () => {
    await device.stage(two.id, two.folder);
    await device.gate().rollBack('main', REASON);
    await device.gate().recover();
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: one.id });
    expect(await device.install(two.id, two.folder)).toMatchObject({ rule: 'done' });
    expect(await device.row()).toMatchObject({ active: two.id });
  });
});

describe('BOOT', () => {
  test('counts each boot of a trial before it opens the candidate, and rolls back after the last', async () => {
    await device.stage(two.id, two.folder);
    for (let boot = 2; boot <= TRIAL_BOOTS; boot++) {
      await device.gate().recover();
      expect(await device.row()).toMatchObject({ state: 'TRIAL', tries: boot });
      expect(device.linked()).toBe(two.id);
    }
    await device.gate().recover();
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: one.id, staged: null });
    expect(await reports()).toEqual([['rolled-back', 'trial-boots', 'main', two.id]]);
  });

  test('rolls a candidate back that is not there as signed', async () => {
    await device.stage(two.id, two.folder);
    alter(two.id);
    await device.gate().recover();
    expect(device.linked()).toBe(one.id);
    expect(await reports()).toEqual([['rolled-back', 'trial-candidate', 'main', two.id]]);
  });

  test('lets a trial go on when the release has expired since: only what never ran is refused for that', async () => {
    const dated = await make(2, { notAfter: NOW + DAY });
    await device.stage(dated.id, dated.folder);
    await device.gate({ now: () => NOW + 2 * DAY }).recover();
    expect(await device.row()).toMatchObject({ state: 'TRIAL', staged: dated.id, tries: 2 });
  });

  test('keeps the time that a trial has run', async () => {
    await device.stage(two.id, two.folder);
    expect(await device.gate().addRunning('main', 1500)).toBe(1500);
    await device.gate().recover();
    expect(await device.gate().addRunning('main', 250.4)).toBe(1750);
  });

  test('gives back no release below the floor: yesterday’s disk with today’s TPM holds nothing loadable', async () => {
    const gate = device.gate({ floor: new MemoryFloor(3n) });
    await gate.recover();
    expect(device.linked()).toBeNull();
    expect(gate.needs('main')).toBe(3n);
    expect(await gate.expected('main')).toBeNull();
    expect(await device.stage(two.id, two.folder, { changes: { floor: new MemoryFloor(3n) } })).toMatchObject({
      kind: 'refused',
      rule: 'release-older',
    });
    const floor = new MemoryFloor(3n);
    await device.stage(three.id, three.folder, { changes: { floor } });
    expect(await device.gate({ floor }).commit('main')).toMatchObject({ active: three.id });
    expect(device.linked()).toBe(three.id);
  });

  test('opens nothing while the floor that should be there cannot be read', async () => {
    const gate = device.gate({ floor: new MemoryFloor(FLOOR_LOST) });
    await gate.recover();
    expect(device.linked()).toBeNull();
    expect(gate.needs('main')).toBe(FLOOR_LOST);
  });

  test.each(['STAGED', 'TRIAL'] as const)(
    'finishes a %s whose floor says that it was committed once',
    async (state) => {
      await device.stage(two.id, two.folder);
      await device.journal.setSlot({ ...(await device.row()), state, tries: TRIAL_BOOTS });
      await device.gate({ floor: new MemoryFloor(2n) }).recover();
      expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: two.id, securityVersion: 2 });
      expect(device.linked()).toBe(two.id);
      expect(await reports()).toEqual([]);
    },
  );

  test('takes a slot of a lost journal for committed only as far as the floor agrees', async () => {
    await device.install(two.id, two.folder);
    for (const [value, state, linked] of [
      [1n, 'TRIAL', two.id],
      [2n, 'COMMITTED', two.id],
      [3n, undefined, null],
    ] as const) {
      const lost = new Device(pool, device.stateDir);
      await lost.gate({ floor: new MemoryFloor(value) }).recover();
      expect((await lost.journal.slots()).find((row) => row.slot === 'main')?.state).toBe(state);
      expect(lost.linked()).toBe(linked);
    }
  });
});
