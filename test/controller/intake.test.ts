// How evidence is taken in: many devices at once and one evidence of each, no verdict for what changed while it was judged.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Acceptance } from '../../src/controller/registry.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice } from './desk.ts';
import type { Desk, Office } from './desk.ts';
import { openJudgeRoom } from './judge-room.ts';
import type { JudgeRoom } from './judge-room.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

interface Room extends JudgeRoom {
  readonly desk: Desk;
  readonly devices: readonly SoftDevice[];
  /** How many were accepted in each transaction. */
  readonly batches: number[];
}

/** A controller's judging part with so many approved devices; `meanwhile` runs before each transaction. */
async function room(count: number, meanwhile: (batch: readonly Acceptance[]) => void = () => {}): Promise<Room> {
  const desk = await openDesk(office);
  const devices: SoftDevice[] = [];
  for (let i = 0; i < count; i++) {
    const device = await SoftDevice.make(office.fleet, null);
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    devices.push(device);
  }
  const batches: number[] = [];
  const registry = new Proxy(desk.registry, {
    get: (target, name) => {
      if (name === 'accept') {
        return async (batch: readonly Acceptance[]) => {
          meanwhile(batch);
          batches.push(batch.length);
          return target.accept(batch);
        };
      }
      const found: unknown = Reflect.get(target, name);
      return typeof found === 'function' ? (found.bind(target) as unknown) : found;
    },
  });
  return { ...(await openJudgeRoom(office.fleet, registry)), desk, devices, batches };
}

const rowOf = async (
  { desk }: Room,
  id: string,
): Promise<NonNullable<Awaited<ReturnType<Desk['registry']['device']>>>> => {
  const row = await desk.registry.device(id);
  if (row === null) throw new TypeError('the device is known');
  return row;
};

describe('evidence of several devices', () => {
  test('is accepted together, and each is answered once', async () => {
    const here = await room(5);
    for (const device of here.devices) {
      here.intake.take(device.id, (await device.evidence(await here.challenge(device.id))).message);
    }
    await here.intake.idle();
    expect(here.intake.counts).toMatchObject({ received: 5, accepted: 5, dropped: 0 });
    expect(here.results).toHaveLength(5);
    expect(here.batches.reduce((sum, size) => sum + size, 0)).toBe(5);
    for (const { id } of here.devices) expect((await rowOf(here, id)).row.generation).toBe(1);
  });

  test('is judged though one among it is garbage', async () => {
    const here = await room(2);
    const [one, two] = here.devices;
    if (one === undefined || two === undefined) throw new TypeError('two were made');
    here.intake.take(one.id, Buffer.from('ff', 'hex'));
    here.intake.take(two.id, (await two.evidence(await here.challenge(two.id))).message);
    await here.intake.idle();
    expect(here.intake.counts.accepted).toBe(1);
    expect([...here.intake.counts.refused]).toEqual([['evidence-malformed', 1]]);
  });
});

describe('evidence of one device', () => {
  test('is judged one after another: what answers the same challenge counts once, and more than a few are dropped', async () => {
    const here = await room(1);
    const [device] = here.devices;
    if (device === undefined) throw new TypeError('one was made');
    const { message } = await device.evidence(await here.challenge(device.id));
    for (let i = 0; i < 10; i++) here.intake.take(device.id, message);
    await here.intake.idle();
    expect(here.batches).toEqual([1]);
    expect(here.intake.counts).toMatchObject({ received: 10, accepted: 1, dropped: 6 });
    expect([...here.intake.counts.refused]).toEqual([['superseded', 3]]);
    expect(here.results).toHaveLength(1);
    expect(new Set(here.overtaken)).toEqual(new Set([device.id]));
  });
});

describe('what an operator decides while evidence is judged', () => {
  test.each([
    ['quarantined', 'approved', 'quarantined'],
    ['retired', 'approved', 'retired'],
  ] as const)('a device that is %s meanwhile gets no verdict from before', async (_, from, to) => {
    const here: Room = await room(1, ([taken]) => {
      if (taken?.state === 'approved') void here.desk.registry.setState(taken.id, [from], to);
    });
    const [device] = here.devices;
    if (device === undefined) throw new TypeError('one was made');
    here.intake.take(device.id, (await device.evidence(await here.challenge(device.id))).message);
    await here.intake.idle();
    expect(here.results).toEqual([]);
    expect(await rowOf(here, device.id)).toMatchObject({ state: to, verdict: null, row: { generation: 0 } });
    expect(here.roster.get(device.id)?.state).toBe(to);
    expect([...here.intake.counts.refused]).toEqual([['superseded', 1]]);
    expect(here.overtaken).toEqual([device.id]);
  });

  test('its next evidence is judged as it then stands', async () => {
    const here: Room = await room(1, ([taken]) => {
      if (taken?.state === 'approved') void here.desk.registry.setState(taken.id, ['approved'], 'quarantined');
    });
    const [device] = here.devices;
    if (device === undefined) throw new TypeError('one was made');
    for (let i = 0; i < 2; i++) {
      here.intake.take(device.id, (await device.evidence(await here.challenge(device.id))).message);
      await here.intake.idle();
    }
    expect((await rowOf(here, device.id)).verdict).toMatchObject({ status: 'contraindicated' });
    expect(here.roster.get(device.id)?.state).toBe('quarantined');
    expect(here.results).toHaveLength(1);
  });
});
