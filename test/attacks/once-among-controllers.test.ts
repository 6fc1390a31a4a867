// The same evidence to two controllers a thousand times: a thousand verdicts, not one more; and none for what was held back.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openPostgresRegistry } from '../../src/controller/postgres-registry.ts';
import type { Registry } from '../../src/controller/registry.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { openDesk, openOffice, ask } from '../controller/desk.ts';
import type { Office } from '../controller/desk.ts';
import { openJudgeRoom } from '../controller/judge-room.ts';
import { PostgresServer } from '../support/postgres.ts';
import { SoftDevice } from '../support/soft-device.ts';

const TIMES = 1000;
let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

interface Shared {
  /** Opens the one registry again. */
  readonly open: () => Promise<Registry>;
  readonly end: () => Promise<void>;
}

const KINDS: Readonly<Record<string, () => Promise<Shared>>> = {
  SQLite: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shared-'));
    const open = async (): Promise<Registry> => Promise.resolve(openSqliteRegistry(join(folder, 'registry.sqlite')));
    return { open, end: async () => rm(folder, { recursive: true, force: true }) };
  },
  PostgreSQL: async () => {
    const server = await PostgresServer.start();
    const url = server.database();
    return { open: async () => openPostgresRegistry(url), end: async () => server[Symbol.asyncDispose]() };
  },
};

test.each(Object.keys(KINDS))(
  'a thousand times the same evidence at two controllers of one %s at once is accepted a thousand times',
  async (kind) => {
    const shared = await KINDS[kind]?.();
    if (shared === undefined) throw new TypeError('it is one of the kinds');
    onTestFinished(shared.end);
    await using first = await shared.open();
    await using second = await shared.open();
    const desk = await openDesk(office, {}, first);
    const device = await SoftDevice.make(office.fleet, null);
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    const [one, two] = [await openJudgeRoom(office.fleet, desk.registry), await openJudgeRoom(office.fleet, second)];
    for (let round = 1; round <= TIMES; round++) {
      const { message } = await device.evidence(await (round % 2 === 0 ? one : two).challenge(device.id));
      for (const { intake } of [one, two]) intake.take(device.id, message);
      await Promise.all([one.intake.idle(), two.intake.idle()]);
    }
    expect((await second.device(device.id))?.row.generation).toBe(TIMES);
    expect(one.intake.counts.accepted + two.intake.counts.accepted).toBe(TIMES);
    expect(one.results.length + two.results.length).toBe(TIMES);
    const refused = [one, two].flatMap(({ intake }) => [...intake.counts.refused]);
    expect(new Set(refused.map(([rule]) => rule))).toEqual(new Set(['superseded']));
    expect(refused.reduce((sum, [, times]) => sum + times, 0)).toBe(TIMES);
  },
  300_000,
);

test('evidence that was held back is worth nothing once newer was accepted, and says so without blame', async () => {
  const desk = await openDesk(office);
  const device = await SoftDevice.make(office.fleet, null);
  await ask(desk, device);
  await desk.desk.approve(device.id, 'Jo');
  const { intake, challenge } = await openJudgeRoom(office.fleet, desk.registry);
  const held = await device.evidence(await challenge(device.id));
  intake.take(device.id, (await device.evidence(await challenge(device.id))).message);
  await intake.idle();
  const before = await desk.registry.device(device.id);
  intake.take(device.id, held.message);
  await intake.idle();
  expect(await desk.registry.device(device.id)).toEqual(before);
  expect([...intake.counts.refused]).toEqual([['superseded', 1]]);
});
