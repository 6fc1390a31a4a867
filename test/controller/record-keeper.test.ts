// Records that a controller keeps by itself: one at each change of verdict, judged offline; bounded, and yesterday's outlives today's noise.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TouchstoneError } from '../../src/errors.ts';
import type { Judged } from '../../src/controller/intake.ts';
import { KEPT_RECORDS, RecordKeeper, toPrune } from '../../src/controller/record-keeper.ts';
import { judgeRecord } from '../../src/verifier/record.ts';
import { makeTestFleet } from '../support/fleet.ts';
import { member, running } from '../support/members.ts';

const NOW = Date.UTC(2026, 6, 1);
let dir: string;
let lines: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'records-'));
  lines = [];
});
afterEach(async () => rm(dir, { recursive: true, force: true }));

/** As much of a judgement as is looked at. */
const judged = (at: number, status: string, change: string | null = 'x', id = 'abc'): Judged =>
  ({ known: { id }, taken: { change, verdict: { at, status } } }) as unknown as Judged;

function keeper(make: (one: Judged) => Promise<Buffer> = async () => Promise.resolve(Buffer.from('{}'))): RecordKeeper {
  return new RecordKeeper({ folder: dir, make, log: { write: (_level, _event, line) => lines.push(line) } });
}

describe('a keeper of records', () => {
  test('keeps one for each change, for its own user, and none where nothing changed', async () => {
    const kept = keeper();
    kept.accepted(judged(NOW, 'affirming'));
    kept.accepted(judged(NOW + 1000, 'affirming', null));
    kept.accepted(judged(NOW + 2000, 'contraindicated'));
    kept.accepted(judged(NOW, 'warning', 'x', 'def'));
    await kept.idle();
    expect((await readdir(join(dir, 'abc'))).toSorted()).toEqual([
      '2026-07-01T00-00-00.000Z-affirming.record.json',
      '2026-07-01T00-00-02.000Z-contraindicated.record.json',
    ]);
    expect((await stat(join(dir, 'def/2026-07-01T00-00-00.000Z-warning.record.json'))).mode & 0o077).toBe(0);
  });

  test('is bounded for a device that changes all the time, and what it was before that stays', async () => {
    const kept = keeper();
    const hour = 3_600_000;
    kept.accepted(judged(NOW, 'affirming'));
    kept.accepted(judged(NOW + hour, 'contraindicated'));
    kept.accepted(judged(NOW + 2 * hour, 'affirming'));
    for (let n = 0; n < 200; n++)
      kept.accepted(judged(NOW + 24 * hour + n * 1000, n % 2 === 0 ? 'warning' : 'affirming'));
    await kept.idle();
    const names = (await readdir(join(dir, 'abc'))).toSorted();
    expect(names).toHaveLength(KEPT_RECORDS);
    expect(names.slice(0, 3).map((name) => name.slice(11))).toEqual([
      '00-00-00.000Z-affirming.record.json',
      '01-00-00.000Z-contraindicated.record.json',
      '02-00-00.000Z-affirming.record.json',
    ]);
    expect(names.at(-1)).toContain('00-03-19.000Z');
    expect(lines).toEqual([]);
  });

  test('says what it could not keep, and goes on', async () => {
    await writeFile(join(dir, 'file'), '');
    const kept = keeper(async ({ known }) => {
      if (known.id === 'long') throw new TouchstoneError('CONTROL_REFUSED', 'too long for a record');
      return Promise.resolve(Buffer.from('{}'));
    });
    for (const id of ['long', 'file', 'abc']) kept.accepted(judged(NOW, 'warning', 'x', id));
    await kept.idle();
    expect(lines.map((line) => line.slice(0, 40))).toEqual([
      expect.stringContaining('a change of long is not recorded: too'),
      expect.stringContaining('a change of file is not recorded'),
    ]);
    expect(await readdir(join(dir, 'abc'))).toHaveLength(1);
  });

  test('holds only so many that wait for the disk', async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const kept = keeper(async () => gate.then(() => Buffer.from('{}')));
    for (let n = 0; n < 400; n++) kept.accepted(judged(NOW + n, 'warning', 'x', `d${n}`));
    expect(lines).toHaveLength(400 - 257);
    go();
    await kept.idle();
    expect(await readdir(dir)).toHaveLength(257);
  });
});

test('what is too large in all goes too, and never the first and the last', () => {
  const file = (at: number, size = 1): { name: string; at: number; size: number } => ({ name: `${at}`, at, size });
  expect(toPrune([file(1), file(2), file(3)])).toEqual([]);
  expect(toPrune([file(1), file(10), file(11), file(100)], 3)).toEqual(['10']);
  expect(toPrune([file(1, 9), file(50, 9), file(100, 9)], 64, 10)).toEqual(['50']);
  expect(toPrune([file(1, 90), file(2, 90)], 64, 10)).toEqual([]);
});

test('an auditor finds the bad verdict of yesterday, and judges it without the fleet', async () => {
  await using fleet = await makeTestFleet({ controller: { records: 'changes' } });
  await using broker = await fleet.startBroker();
  expect(broker.pid).toBeGreaterThan(0);
  const release = await fleet.release();
  const controller = await running(fleet);
  const { device, result } = await member(controller, fleet, { release });
  const next = async (status: string): Promise<void> => {
    while ((await result()).status !== status) await controller.controller.operator.ask(device.id);
  };
  await controller.controller.operator.ask(device.id);
  await next('warning');
  await device.install(release, 'changed', 'other bytes');
  await controller.controller.operator.ask(device.id);
  await next('contraindicated');
  const folder = join(fleet.controllerDir, 'records', device.id);
  await expect.poll(async () => readdir(folder).catch(() => []), { timeout: 20_000 }).toHaveLength(2);
  const [good, bad] = (await readdir(folder)).toSorted();
  const fleetFile = await readFile(join(fleet.deviceDir, 'fleet.json'));
  for (const [name = '', status] of [
    [good, 'warning'],
    [bad, 'contraindicated'],
  ] as const) {
    expect(name).toContain(`-${status}.record.json`);
    const again = judgeRecord(await readFile(join(folder, name)), fleetFile);
    expect([again.findings, again.result?.status]).toEqual([[], status]);
  }
});
