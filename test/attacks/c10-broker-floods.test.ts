// C10, noise on the way in: floods, half-open connections, what is too long, what is kept for later. The others are served meanwhile.
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { UP_KINDS, upTopic } from '../../src/bus/bus.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, running } from '../support/members.ts';
import type { Member } from '../support/members.ts';
import { connected, connectPacket, publishPacket, rawClient } from '../support/raw-mqtt.ts';
import type { RunningController } from '../support/running-controller.ts';

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

/** The device answers a new challenge and gets a new signed verdict: everything between works. */
async function status(controller: RunningController, { device, result }: Member): Promise<string> {
  await controller.controller.operator.ask(device.id);
  return (await result()).status;
}

async function raw(name: string | null): Promise<TLSSocket> {
  const key = name === null ? {} : fleet.clientCertificate(name);
  const socket = await rawClient(name === null ? fleet.enrolUrl : fleet.url, fleet.caPem, key);
  onTestFinished(() => {
    socket.destroy();
  });
  return socket;
}

test('a hundred connections that say half a greeting, or nothing, keep nobody out', async () => {
  const controller = await running(fleet);
  for (let i = 0; i < 50; i++) {
    await raw(null);
    (await raw(null)).write(connectPacket('touchstone-slow').subarray(0, 7));
  }
  expect(await status(controller, await member(controller, fleet, { release }))).toBe('warning');
});

test('a message that is longer than any of ours ends its sender’s connection, and nobody else’s', async () => {
  const controller = await running(fleet);
  const quiet = await member(controller, fleet, { release });
  const loud = await member(controller, fleet, { release, silent: true });
  const socket = await raw(loud.device.id);
  expect(await connected(socket, 'touchstone-x')).toBe(0);
  const ended = once(socket, 'close');
  socket.write(publishPacket(upTopic(loud.device.id, 'evidence'), Buffer.alloc(400 * 1024)));
  await ended;
  expect(await status(controller, quiet)).toBe('warning');
});

test('a packet that announces 256 MiB and sends little of it is not waited for at the others’ cost', async () => {
  const controller = await running(fleet);
  const quiet = await member(controller, fleet, { release });
  const socket = await raw(null);
  expect(await connected(socket, 'touchstone-x')).toBe(0);
  socket.write(Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(1000)]));
  expect(await status(controller, quiet)).toBe('warning');
});

test('what shall be kept for later is not taken: who comes afterwards hears nothing old', async () => {
  const controller = await running(fleet);
  const quiet = await member(controller, fleet, { release });
  for (const kind of UP_KINDS) {
    const socket = await raw(quiet.device.id.replace(/^./, (first) => (first === 'a' ? 'b' : 'a')));
    expect(await connected(socket, 'touchstone-x')).toBe(0);
    const refused = once(socket, 'data');
    socket.write(publishPacket(upTopic(quiet.device.id, kind), Buffer.from('garbage'), true));
    const [answer] = (await refused) as [Buffer];
    // DISCONNECT, retain not supported (MQTT 5, 3.14.2.1).
    expect([answer[0], answer[2]]).toEqual([0xe0, 0x9a]);
  }
  expect(await status(controller, quiet)).toBe('warning');
});

test('newcomers by the thousand are answered in part, remembered in part, and keep no device waiting', async () => {
  const controller = await running(fleet);
  const quiet = await member(controller, fleet, { release });
  const socket = await raw(null);
  expect(await connected(socket, 'touchstone-x')).toBe(0);
  const before = (await controller.registry.devices()).length;
  const flood = Array.from({ length: 3000 }, (_, i) => {
    const id = `${'a'.repeat(27)}${i.toString(2).padStart(12, '0').slice(-5).replace(/0/g, 'b').replace(/1/g, 'c')}`;
    return publishPacket(upTopic(id, 'enrol'), Buffer.alloc(2000, i));
  });
  socket.write(Buffer.concat(flood));
  expect(await status(controller, quiet)).toBe('warning');
  expect((await controller.registry.devices()).length).toBe(before);
  expect(controller.lines.length).toBeLessThan(400);
});

test('garbage of every kind by a member of the fleet costs it its own allowance and ends nothing', async () => {
  const controller = await running(fleet);
  const [quiet, loud] = [
    await member(controller, fleet, { release }),
    await member(controller, fleet, { release, silent: true }),
  ];
  const nested = Buffer.alloc(200_000, 0x81);
  const huge = Buffer.from([0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
  const sent: Promise<unknown>[] = [];
  for (const kind of UP_KINDS) {
    for (const garbage of [nested, huge, Buffer.alloc(0), Buffer.alloc(250_000, 0xff), Buffer.from('{"v":1}')]) {
      for (let i = 0; i < 20; i++) sent.push(loud.bus.publish(upTopic(loud.device.id, kind), garbage));
    }
  }
  await Promise.all(sent);
  expect(await status(controller, quiet)).toBe('warning');
  const health = await controller.controller.health();
  expect(health.broker.connected).toBe(true);
  expect(Object.values(health.tooFast).reduce((a, b) => a + b, 0)).toBeGreaterThan(100);
  expect((await controller.registry.device(loud.device.id))?.verdict).toBeNull();
});
