// The same evidence to two controllers a thousand times: a thousand verdicts, not one more; and none for what was held back.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { Intake } from '../../src/controller/intake.ts';
import { ReferenceKeeper } from '../../src/controller/reference-keeper.ts';
import { Roster } from '../../src/controller/roster.ts';
import { Challenger } from '../../src/controller/challenger.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import type { Registry } from '../../src/controller/registry.ts';
import { openDesk, openOffice, ask } from '../controller/desk.ts';
import type { Office } from '../controller/desk.ts';
import { SoftDevice } from '../support/soft-device.ts';

const TIMES = 1000;
let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

const quiet = { write: () => undefined };
const noBell = (): void => {};

/** The part of a controller that judges, on a registry of its own connection. */
async function judgeOn(
  registry: Registry,
): Promise<{ intake: Intake; challenge: (id: string) => Promise<Buffer>; results: () => number }> {
  const settings = loadSettings(office.fleet.controllerDir, Date.now());
  const roster = new Roster(registry, settings.trust.resultKeys);
  await roster.load();
  const references = new ReferenceKeeper(settings, quiet, () => Date.now(), noBell);
  let sent = Buffer.alloc(0);
  let results = 0;
  const challenger = new Challenger({
    settings,
    roster,
    clock: systemClock,
    bus: { connected: true, publish: async (_topic, payload) => Promise.resolve(void (sent = Buffer.from(payload))) },
    terms: (profile) => references.terms(profile),
    random: () => 0,
  });
  const intake = new Intake({
    registry,
    roster,
    clock: systemClock,
    log: quiet,
    bus: { publish: async () => Promise.resolve(void (results += 1)) },
    keys: { fleetId: settings.trust.fleet.fleetId, resultKey: settings.resultKey },
    yardstick: (profile) => references.terms(profile),
    accepted: () => undefined,
    unexplained: async () => Promise.resolve(),
    ahead: async () => Promise.resolve(),
    failed: (error) => {
      throw error;
    },
  });
  const challenge = async (id: string): Promise<Buffer> => {
    expect(await challenger.ask(id)).toBe(true);
    return sent;
  };
  return { intake, challenge, results: () => results };
}

test('a thousand times the same evidence at two controllers at once is accepted a thousand times', async () => {
  const desk = await openDesk(office);
  const device = await SoftDevice.make(office.fleet, null);
  await ask(desk, device);
  await desk.desk.approve(device.id, 'Jo');
  await using second = openSqliteRegistry(`${desk.stateDir}/registry.sqlite`);
  const [one, two] = [await judgeOn(desk.registry), await judgeOn(second)];
  for (let round = 1; round <= TIMES; round++) {
    const { message } = await device.evidence(await (round % 2 === 0 ? one : two).challenge(device.id));
    for (const { intake } of [one, two]) intake.take(device.id, message);
    await Promise.all([one.intake.idle(), two.intake.idle()]);
  }
  expect((await second.device(device.id))?.row.generation).toBe(TIMES);
  expect(one.intake.counts.accepted + two.intake.counts.accepted).toBe(TIMES);
  expect(one.results() + two.results()).toBe(TIMES);
  const refused = [one, two].flatMap(({ intake }) => [...intake.counts.refused]);
  expect(new Set(refused.map(([rule]) => rule))).toEqual(new Set(['superseded']));
  expect(refused.reduce((sum, [, times]) => sum + times, 0)).toBe(TIMES);
});

test('evidence that was held back is worth nothing once newer was accepted, and says so without blame', async () => {
  const desk = await openDesk(office);
  const device = await SoftDevice.make(office.fleet, null);
  await ask(desk, device);
  await desk.desk.approve(device.id, 'Jo');
  const { intake, challenge } = await judgeOn(desk.registry);
  const held = await device.evidence(await challenge(device.id));
  intake.take(device.id, (await device.evidence(await challenge(device.id))).message);
  await intake.idle();
  const before = await desk.registry.device(device.id);
  intake.take(device.id, held.message);
  await intake.idle();
  expect(await desk.registry.device(device.id)).toEqual(before);
  expect([...intake.counts.refused]).toEqual([['superseded', 1]]);
});
