// The same evidence to two controllers a thousand times: a thousand verdicts, not one more; and none for what was held back.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { openDesk, openOffice, ask } from '../controller/desk.ts';
import type { Office } from '../controller/desk.ts';
import { openJudgeRoom } from '../controller/judge-room.ts';
import { SoftDevice } from '../support/soft-device.ts';

const TIMES = 1000;
let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

test('a thousand times the same evidence at two controllers at once is accepted a thousand times', async () => {
  const desk = await openDesk(office);
  const device = await SoftDevice.make(office.fleet, null);
  await ask(desk, device);
  await desk.desk.approve(device.id, 'Jo');
  await using second = openSqliteRegistry(`${desk.stateDir}/registry.sqlite`);
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
});

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
