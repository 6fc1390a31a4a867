// A database server that dies, freezes, or comes back as it was before: nobody is blamed, nothing counts twice, nothing is lost.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upTopic } from '../../src/bus/bus.ts';
import { openPostgresRegistry } from '../../src/controller/postgres-registry.ts';
import type { Heard } from '../../src/controller/intake.ts';
import { ask, openDesk } from '../controller/desk.ts';
import { openJudgeRoom } from '../controller/judge-room.ts';
import { loadReferences } from '../../src/controller/references.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, rulesOf } from '../support/members.ts';
import { PostgresServer } from '../support/postgres.ts';
import { startController } from '../support/running-controller.ts';
import { SoftDevice } from '../support/soft-device.ts';

let server: PostgresServer;
let address: string;
let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
beforeAll(async () => {
  server = await PostgresServer.start();
  address = server.database();
  fleet = await makeTestFleet({ controller: { registry: address } });
  release = await fleet.release();
  broker = await fleet.startBroker();
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const isUnavailable = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'STORE_UNAVAILABLE';

describe('a server that is killed in the middle of batches', () => {
  test('has taken each evidence once or not at all, and each device goes on from there', async () => {
    const url = server.database();
    const settings = loadSettings(fleet.controllerDir, Date.now());
    const office = { fleet, settings, references: loadReferences(fleet.controllerDir, settings.trust) };
    await using registry = await openPostgresRegistry(url);
    const desk = await openDesk(office, {}, registry);
    const devices: SoftDevice[] = [];
    for (let i = 0; i < 8; i++) {
      const device = await SoftDevice.make(fleet, null);
      await ask(desk, device);
      await desk.desk.approve(device.id, 'Jo');
      devices.push(device);
    }
    const failures: unknown[] = [];
    const room = await openJudgeRoom(fleet, registry, (error) => failures.push(error));
    /** How often each device was told that its evidence counted. */
    const told = new Map<string, number>();
    const heard: string[] = [];
    const attest = async (device: SoftDevice): Promise<Heard> => {
      const { message } = await device.evidence(await room.challenge(device.id));
      return new Promise((resolve) => {
        room.intake.take(device.id, message, resolve);
      });
    };
    for (let kill = 0; kill < 6; kill++) {
      const stop = new AbortController();
      const load = devices.map(async (device) => {
        while (!stop.signal.aborted) {
          const one = await attest(device).catch((error: unknown) => {
            if (!isUnavailable(error)) throw error;
            return null;
          });
          if (one === null) await sleep(5);
          else if (one.accepted) told.set(device.id, (told.get(device.id) ?? 0) + 1);
          else heard.push(one.why);
        }
      });
      const before = room.intake.counts.accepted;
      while (room.intake.counts.accepted < before + 40 + 7 * kill) await sleep(1);
      await server.stop('SIGKILL');
      // What was under way is answered now.
      await sleep(20);
      await server.run();
      const again = room.intake.counts.accepted;
      while (room.intake.counts.accepted < again + devices.length) await sleep(1);
      stop.abort();
      await Promise.all(load);
    }
    expect(failures.every(isUnavailable)).toBe(true);
    expect(new Set(heard)).toEqual(new Set(['registry-unavailable']));
    for (const { id } of devices) {
      const generation = (await registry.device(id))?.row.generation ?? 0;
      const times = told.get(id) ?? 0;
      // Taken, and the server died before it could say so: at most once a kill.
      expect(generation - times).toBeGreaterThanOrEqual(0);
      expect(generation - times).toBeLessThanOrEqual(6);
      expect((await registry.device(id))?.trouble).toBeNull();
    }
    for (const device of devices) expect((await attest(device)).accepted).toBe(true);
  }, 120_000);
});

describe('a controller whose database is gone', () => {
  test('runs on, says so, blames nobody, answers operators with what to do, and asks all when it is back', async () => {
    await using controller = await startController(fleet);
    const one = await member(controller, fleet, { release });
    await controller.controller.operator.ask(one.device.id);
    expect(rulesOf(await one.result())).toEqual(['tier-software']);
    const next = await one.device.challenges(one.bus);
    await controller.controller.operator.ask(one.device.id);
    const { message } = await one.device.evidence(await next());
    await one.result();
    await server.stop('SIGKILL');
    await one.bus.publish(upTopic(one.device.id, 'evidence'), message);
    await expect(controller.controller.operator.ask(one.device.id)).rejects.toSatisfy(isUnavailable);
    await one.bus.publish(upTopic(one.device.id, 'status'), one.device.hint(true, 'challenge'));
    while (!controller.lines.some((line) => line.includes('no evidence is judged until'))) await sleep(5);
    await server.run();
    expect(rulesOf(await one.result())).toEqual(['tier-software']);
    while (!controller.lines.includes('info registry: the registry answers again')) await sleep(5);
    const row = await controller.registry.device(one.device.id);
    expect([row?.verdict?.status, row?.trouble]).toEqual(['warning', null]);
    expect((await controller.controller.health()).gap).toBeNull();
    expect(controller.lines.filter((line) => line.includes('contraindicated'))).toEqual([]);
  });

  test('notices when it comes back as it was before: a standby that had not heard the last of it', async () => {
    await using controller = await startController(fleet);
    const one = await member(controller, fleet, { release, silent: true });
    const next = await one.device.challenges(one.bus);
    const putBack = server.dump(address);
    await controller.controller.operator.ask(one.device.id);
    const old = (await one.device.evidence(await next())).message;
    await one.bus.publish(upTopic(one.device.id, 'evidence'), old);
    await one.result();
    await server.apart(() => {
      putBack(address);
    });
    while ((await controller.controller.health()).gap === null) {
      await controller.controller.operator.ask(one.device.id);
      await sleep(5);
    }
    expect((await controller.registry.device(one.device.id))?.row.generation).toBe(0);
    // What was accepted in the time that is lost is not accepted again.
    const before = (await controller.controller.health()).evidence.refused['challenge-mac'] ?? 0;
    await one.bus.publish(upTopic(one.device.id, 'evidence'), old);
    while (((await controller.controller.health()).evidence.refused['challenge-mac'] ?? 0) === before) await sleep(5);
    expect((await controller.registry.device(one.device.id))?.row.generation).toBe(0);
    for (;;) {
      await controller.controller.operator.ask(one.device.id);
      await one.bus.publish(upTopic(one.device.id, 'evidence'), (await one.device.evidence(await next())).message);
      const row = await controller.registry.device(one.device.id);
      if ((row?.row.generation ?? 0) > 0) break;
      await sleep(20);
    }
    expect((await controller.registry.device(one.device.id))?.trouble).toBeNull();
    expect(
      (await controller.registry.history(one.device.id, 20)).filter(({ kind }) => kind === 'restored'),
    ).toHaveLength(1);
  });
});
