// A broker without any rule: no access list, no limit of size, everything kept for later. The controller itself takes nothing that is not right.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { downTopic, upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { encodeStatusHint } from '../../src/protocol/codec.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, running } from '../support/members.ts';
import type { Member } from '../support/members.ts';
import { nextOf } from '../support/soft-device.ts';
import type { RunningController } from '../support/running-controller.ts';

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
beforeEach(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  const file = join(fleet.dir, 'broker/mosquitto.conf');
  const open = readFileSync(file, 'utf8')
    .replaceAll(/^(?:acl_file|max_packet_size|clientid_prefixes) .*$/gm, '')
    .replace('retain_available false', 'retain_available true');
  writeFileSync(file, open);
  broker = await fleet.startBroker();
});
afterEach(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** Somebody without a certificate, who may say everything here. */
async function stranger(): Promise<Bus> {
  const bus = await connectMqttBus({ url: fleet.enrolUrl, caPem: fleet.caPem, clientId: 'anybody' });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  return bus;
}

const generation = async ({ registry }: RunningController, { device }: Member): Promise<number> =>
  (await registry.device(device.id))?.row.generation ?? -1;

/** The device itself is heard as ever, and its verdict is the same good one. */
async function heard(controller: RunningController, one: Member): Promise<void> {
  const before = await generation(controller, one);
  await one.device.answerAll(one.bus);
  await controller.controller.operator.ask(one.device.id);
  expect((await one.result()).status).toBe('warning');
  expect(await generation(controller, one)).toBeGreaterThan(before);
}

test('evidence of another device, of an older generation, or kept from before, moves nobody’s record', async () => {
  const controller = await running(fleet);
  const [victim, other] = [
    await member(controller, fleet, { release, silent: true }),
    await member(controller, fleet, { release, silent: true }),
  ];
  const attacker = await stranger();
  const challenges = await nextOf(victim.bus, downTopic(victim.device.id, 'challenge'));
  await controller.controller.operator.ask(victim.device.id);
  const old = await challenges();
  const { message: first } = await victim.device.evidence(old);
  await attacker.publish(upTopic(victim.device.id, 'evidence'), first);
  await victim.result();
  const before = await generation(controller, victim);
  // Again, by another topic, by another device, and for those who come later.
  const { message: foreign } = await other.device.evidence(old);
  for (const retain of [false, true]) {
    await attacker.publish(upTopic(victim.device.id, 'evidence'), first, { retain });
    await attacker.publish(upTopic(other.device.id, 'evidence'), first, { retain });
    await attacker.publish(upTopic(victim.device.id, 'evidence'), foreign, { retain });
  }
  await heard(controller, other);
  expect(await generation(controller, victim)).toBe(before);
  await heard(controller, victim);
});

test('messages of two megabytes, on topics that are none, and hints in another name change nothing', async () => {
  const controller = await running(fleet);
  const [victim, other] = [
    await member(controller, fleet, { release, silent: true }),
    await member(controller, fleet, { release, silent: true }),
  ];
  const attacker = await stranger();
  const rows = await controller.registry.devices();
  for (const kind of ['evidence', 'log', 'status', 'enrol'] as const) {
    await attacker.publish(upTopic(victim.device.id, kind), Buffer.alloc(2 * 1024 * 1024, 0xa5));
    for (const name of ['..', 'controller', victim.device.id.toUpperCase(), `${victim.device.id}0`]) {
      await attacker.publish(`touchstone/1/c/${name}/${kind}`, Buffer.from('x'));
    }
  }
  const hint = encodeStatusHint({ v: 1, deviceId: other.device.id, online: false, wants: 'nothing' });
  await attacker.publish(upTopic(victim.device.id, 'status'), hint);
  await heard(controller, victim);
  const after = await controller.registry.devices();
  expect(after.map(({ id, state }) => [id, state])).toEqual(rows.map(({ id, state }) => [id, state]));
});
