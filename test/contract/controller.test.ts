// The controller on real Mosquitto and real SQLite, with devices whose keys really sign.
import { cp } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { DEFAULT_RATES } from '../../src/controller/post-room.ts';
import { readChallenge } from '../../src/protocol/challenge.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, newcomerBus, rulesOf, running } from '../support/members.ts';
import type { Member } from '../support/members.ts';
import { startController } from '../support/running-controller.ts';
import type { RunningController } from '../support/running-controller.ts';
import { SoftDevice } from '../support/soft-device.ts';

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;

beforeAll(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  broker = await fleet.startBroker();
});

afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** Asks the way a device does. */
async function hint(bus: Bus, device: SoftDevice): Promise<void> {
  await bus.publish(upTopic(device.id, 'status'), device.hint(true, 'challenge'));
}

async function attested(controller: RunningController, { device, result }: Member) {
  await controller.controller.operator.ask(device.id);
  return result();
}

describe('a device that is as signed', () => {
  it('enrols, waits, is approved, attests at its own hint, and gets a signed result with a lease', async () => {
    const controller = await running(fleet);
    const { device, bus, result } = await member(controller, fleet, { release });
    await hint(bus, device);
    const verdict = await result();
    expect(verdict).toMatchObject({ deviceId: device.id, status: 'warning', assurance: 'A0', leaseForMs: 300_000 });
    expect(rulesOf(verdict)).toEqual(['tier-software']);
    const row = await controller.until(device.id, (one) => one.verdict !== null);
    expect(row.row.generation).toBe(1);
    expect(row.slots).toEqual([
      { slot: 'detector', release: release.id, version: '1.0.0', state: 'active', status: 'affirming' },
    ]);
  });

  it('sends only what is new of its log the next time', async () => {
    const controller = await running(fleet);
    const { device, bus, result } = await member(controller, fleet, { release, silent: true });
    const next = await device.challenges(bus);
    await hint(bus, device);
    const first = await next();
    expect(readChallenge(first)).toMatchObject({ epoch: null, afterSeq: 0, generation: 0 });
    await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(first)).message);
    await result();
    await hint(bus, device);
    const second = await next();
    expect(readChallenge(second)).toMatchObject({ afterSeq: 3, generation: 1 });
    await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(second)).message);
    expect(rulesOf(await result())).toEqual(['tier-software']);
  });

  it('may send a long log in parts before its evidence', async () => {
    const controller = await running(fleet);
    const apart = await member(controller, fleet, { release, partBytes: 100 });
    expect(rulesOf(await attested(controller, apart))).toEqual(['tier-software']);
  });

  it('is asked again by itself, without hint and without operator', async () => {
    const profile = { ...fleet.profile, attestEverySeconds: 1 };
    await using quick = await makeTestFleet({ profile });
    const own = await quick.release();
    await using itsBroker = await quick.startBroker();
    expect(itsBroker.pid).toBeGreaterThan(0);
    await using controller = await startController(quick);
    const one = await member(controller, quick, { release: own });
    await hint(one.bus, one.device);
    await one.result();
    await one.result();
    expect((await controller.until(one.device.id, ({ row }) => row.generation >= 2)).row.generation).toBeGreaterThan(1);
  });
});

describe('evidence that another one overtook', () => {
  it('is asked for again soon: it is the newer one, and may be that by which a trial ends', async () => {
    // So rarely that only what was overtaken explains a third challenge.
    await using slow = await makeTestFleet({ profile: { ...fleet.profile, attestEverySeconds: 280 } });
    const own = await slow.release();
    await using itsBroker = await slow.startBroker();
    expect(itsBroker.pid).toBeGreaterThan(0);
    await using controller = await startController(slow);
    const { device, bus, result } = await member(controller, slow, { release: own, silent: true });
    const next = await device.challenges(bus);
    await hint(bus, device);
    await hint(bus, device);
    for (const sealed of [await next(), await next()]) {
      expect(readChallenge(sealed)).toMatchObject({ generation: 0 });
      await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(sealed)).message);
    }
    await result();
    expect(readChallenge(await next())).toMatchObject({ generation: 1 });
    expect((await controller.controller.health()).evidence).toMatchObject({ refused: { superseded: 1 } });
  });
});

describe('a device that is not as signed', () => {
  it('is contraindicated, naming the file, and stays warned of after the bytes are put back', async () => {
    const controller = await running(fleet);
    const one = await member(controller, fleet, { release });
    await attested(controller, one);
    await one.device.install(release, 'changed', 'other bytes');
    const bad = await attested(controller, one);
    expect(bad.status).toBe('contraindicated');
    expect(bad.findings.some(({ rule, found }) => rule === 'model-bytes' && found.includes('model.bin'))).toBe(true);
    await one.device.install(release, 'measured');
    const mended = await attested(controller, one);
    expect([mended.status, rulesOf(mended)]).toEqual(['warning', ['changed-since-boot', 'tier-software']]);
    const history = await controller.registry.history(one.device.id, 10);
    expect(history.filter(({ kind }) => kind === 'verdict').map(({ text }) => text.split(',')[0])).toEqual([
      'warning',
      'contraindicated',
      'warning',
    ]);
  });

  it('whose log does not explain its PCRs is shown as such, gets no result, and is asked for its whole log', async () => {
    const controller = await running(fleet);
    const { device, bus, result } = await member(controller, fleet, { release, silent: true });
    const next = await device.challenges(bus);
    const answer = async (): Promise<Buffer> => {
      const sealed = await next();
      await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(sealed)).message);
      return sealed;
    };
    await hint(bus, device);
    await answer();
    await result();
    const [before = Buffer.alloc(0)] = await device.tpm.readPcrs({ bank: 'sha256', pcrs: [14] });
    device.tpm.foreignExtend(14);
    await hint(bus, device);
    await answer();
    const { trouble, row } = await controller.until(device.id, (one) => one.trouble !== null);
    expect(trouble?.findings.map(({ rule }) => rule)).toContain('log-replay');
    expect(row.generation).toBe(1);
    const whole = await next();
    expect(readChallenge(whole)).toMatchObject({ epoch: null, afterSeq: 0, generation: 1 });
    // The device notices and says so: its new sub-log goes on from what the PCR holds.
    const [found = Buffer.alloc(0)] = await device.tpm.readPcrs({ bank: 'sha256', pcrs: [14] });
    expect(found.equals(before)).toBe(false);
  });
});

describe('evidence counts once', () => {
  it('however often it is sent, also when it was accepted long ago', async () => {
    const controller = await running(fleet);
    const { device, bus, result } = await member(controller, fleet, { release, silent: true });
    const next = await device.challenges(bus);
    await hint(bus, device);
    const { message } = await device.evidence(await next());
    for (let i = 0; i < 5; i++) await bus.publish(upTopic(device.id, 'evidence'), message);
    await result();
    await hint(bus, device);
    await bus.publish(upTopic(device.id, 'evidence'), message);
    await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(await next())).message);
    await result();
    expect((await controller.registry.device(device.id))?.row.generation).toBe(2);
  });

  it('with two controllers: one accepts it, whoever gets which copy', async () => {
    const stateDir = `${fleet.controllerDir}-2`;
    await cp(fleet.controllerDir, stateDir, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    const one = await running(fleet);
    const two = await running(fleet, { name: 'controller-2', stateDir });
    const { device, bus, result } = await member(one, fleet, { release, silent: true });
    const next = await device.challenges(bus);
    for (let round = 1; round <= 10; round++) {
      await one.controller.operator.ask(device.id);
      const { message } = await device.evidence(await next());
      await Promise.all([1, 2, 3, 4].map(async () => bus.publish(upTopic(device.id, 'evidence'), message)));
      await result();
      const row = await two.registry.device(device.id);
      expect(row?.row.generation).toBe(round);
    }
  });

  it('of another device, or sent under another name, it never counts', async () => {
    const controller = await running(fleet);
    const honest = await member(controller, fleet, { release, silent: true });
    const thief = await member(controller, fleet, { release, silent: true });
    const next = await honest.device.challenges(honest.bus);
    const mine = await thief.device.challenges(thief.bus);
    await hint(honest.bus, honest.device);
    await hint(thief.bus, thief.device);
    const stolen = await honest.device.evidence(await next());
    await thief.bus.publish(upTopic(thief.device.id, 'evidence'), stolen.message);
    // Quoted by the thief's own TPM over the honest device's challenge, and over his own.
    const relayed = await thief.device.evidence(await mine());
    await thief.bus.publish(upTopic(thief.device.id, 'evidence'), relayed.message);
    await thief.result();
    expect((await controller.registry.device(thief.device.id))?.row.generation).toBe(1);
    expect((await controller.registry.device(honest.device.id))?.verdict).toBe(null);
  });
});

describe('when something goes away', () => {
  it('a controller that was restarted goes on where it was', async () => {
    const first = await startController(fleet);
    const one = await member(first, fleet, { release });
    await attested(first, one);
    await first[Symbol.asyncDispose]();
    const again = await running(fleet);
    const row = await again.until(one.device.id, ({ row: { generation } }) => generation >= 2);
    expect(row.verdict?.findings.map(({ rule }) => rule)).toEqual(['tier-software']);
  });

  it('a broker that dies while a controller begins to listen is waited for', async () => {
    const over = (bus: Bus): Bus => {
      let broke = false;
      const subscribe: Bus['subscribe'] = async (...asked) => {
        if (broke) return bus.subscribe(...asked);
        broke = true;
        broker.suspend();
        const dies = broker.kill();
        await Promise.all([bus.subscribe(...asked), dies.then(async () => broker.start())]);
      };
      return new Proxy(bus, {
        get: (target, key) => {
          const held: unknown = key === 'subscribe' ? subscribe : Reflect.get(target, key);
          return typeof held === 'function' ? (held.bind(target) as unknown) : held;
        },
      });
    };
    await using controller = await startController(fleet, { over });
    const one = await member(controller, fleet, { release });
    expect(rulesOf(await attested(controller, one))).toEqual(['tier-software']);
  });

  it('a broker that was restarted is found again by everybody', async () => {
    const controller = await running(fleet);
    const one = await member(controller, fleet, { release });
    await attested(controller, one);
    await broker.restart();
    const before = (await controller.registry.device(one.device.id))?.row.generation ?? 0;
    const row = await controller.until(one.device.id, ({ row: { generation } }) => generation > before);
    expect(row.verdict?.status).toBe('warning');
    expect(controller.lines.some((line) => line.includes('the broker is gone'))).toBe(true);
  });

  it('a device that is gone without a word is noted as offline by its last will', async () => {
    const controller = await running(fleet);
    const one = await member(controller, fleet, { release });
    await attested(controller, one);
    await controller.until(one.device.id, ({ online }) => online);
    // The broker ends the older connection of the same name, which has said no goodbye.
    await using second = await one.device.connect();
    expect(second.connected).toBe(true);
    const row = await controller.until(one.device.id, ({ online }) => !online);
    expect(row.verdict?.status).toBe('warning');
  });
});

describe('a flood', () => {
  it('of hints is answered once in a while, the last of them too: it may be the one that counts', async () => {
    const rates = { ...DEFAULT_RATES, status: { perSecond: 1e-6, burst: 1 } };
    // So rarely that only a hint explains a second challenge.
    await using slow = await makeTestFleet({ profile: { ...fleet.profile, attestEverySeconds: 280 } });
    const own = await slow.release();
    await using itsBroker = await slow.startBroker();
    expect(itsBroker.pid).toBeGreaterThan(0);
    await using controller = await startController(slow, { rates });
    const { device, bus, result } = await member(controller, slow, { release: own, silent: true });
    const next = await device.challenges(bus);
    await hint(bus, device);
    await bus.publish(upTopic(device.id, 'evidence'), (await device.evidence(await next())).message);
    await result();
    for (let i = 0; i < 20; i++) await hint(bus, device);
    expect(readChallenge(await next())).toMatchObject({ generation: 1 });
  });

  it('of evidence by one device is bounded and leaves the others served', async () => {
    const controller = await running(fleet);
    const loud = await member(controller, fleet, { release, silent: true });
    const quiet = await member(controller, fleet, { release });
    const next = await loud.device.challenges(loud.bus);
    await hint(loud.bus, loud.device);
    const { message } = await loud.device.evidence(await next());
    const flood = Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? message : Buffer.alloc(1000, i)));
    const sending = Promise.all(flood.map(async (one) => loud.bus.publish(upTopic(loud.device.id, 'evidence'), one)));
    expect((await attested(controller, quiet)).status).toBe('warning');
    await sending;
    expect((await controller.registry.device(loud.device.id))?.row.generation).toBe(1);
    const { received } = (await controller.controller.health()).evidence;
    expect(received).toBeLessThan(200);
  });

  it('of enrolments in a known name changes nothing for the device, and leaves few lines', async () => {
    const controller = await running(fleet);
    const one = await member(controller, fleet, { release });
    await attested(controller, one);
    const stranger = await newcomerBus(fleet);
    const impostor = await SoftDevice.make(fleet, null);
    for (let i = 0; i < 50; i++) {
      const forged = await impostor.request({ deviceId: one.device.id, token: `guess ${i}` });
      await stranger.publish(upTopic(one.device.id, 'enrol'), forged);
    }
    await sleep(50);
    expect((await attested(controller, one)).status).toBe('warning');
    const history = await controller.registry.history(one.device.id, 100);
    expect(history.filter(({ kind }) => kind === 'enrolment-refused').length).toBeLessThan(2);
  });
});
