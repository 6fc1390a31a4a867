// Whoever can reach the broker, with and without a certificate, tries to push a device of the fleet off it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { CLIENT_ID_PREFIX } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { CONTROLLER_NAME } from '../../src/controller/broker-config.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { connected, rawClient } from '../support/raw-mqtt.ts';

const DEVICE = 'abcdefghijklmnopqrstuvwxyz234567';
const OTHER = 'bcdefghijklmnopqrstuvwxyz234567a';
let fleet: TestFleet;
let broker: TestBroker;
beforeAll(async () => {
  fleet = await makeTestFleet();
  broker = await fleet.startBroker();
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** A member of the fleet that counts how often it was cut off. */
async function member(name: string, of: TestFleet = fleet): Promise<{ bus: Bus; cuts: () => number }> {
  const own = of.clientCertificate(name);
  const bus = await connectMqttBus({ url: of.url, caPem: of.caPem, ...own, clientId: name });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  let cuts = 0;
  bus.onState((up) => {
    if (!up) cuts += 1;
  });
  return { bus, cuts: () => cuts };
}

/** It still hears what is for it. */
async function hears(name: string, { bus }: { bus: Bus }): Promise<void> {
  const controller = await member(`${CONTROLLER_NAME}-2`);
  const heard = Promise.withResolvers<string>();
  await bus.subscribe(`touchstone/1/d/${name}/#`, ({ payload }) => {
    heard.resolve(payload.toString());
  });
  await controller.bus.publish(`touchstone/1/d/${name}/result`, Buffer.from('for it alone'));
  expect(await heard.promise).toBe('for it alone');
}

const names = (victim: string): string[] => [
  victim,
  `${CLIENT_ID_PREFIX}${victim}`,
  `${CLIENT_ID_PREFIX}${victim}\u0000`,
  CLIENT_ID_PREFIX,
  '',
];

test.each([DEVICE, CONTROLLER_NAME])('a stranger without a certificate cannot take the place of %s', async (victim) => {
  const one = await member(victim);
  const answers: (number | null)[] = [];
  for (const name of names(victim)) {
    const stranger = await rawClient(fleet.enrolUrl, fleet.caPem);
    answers.push(await connected(stranger, name));
    stranger.destroy();
  }
  // NOT_AUTHORIZED (MQTT 5, 3.2.2.2).
  expect(answers[0]).toBe(0x87);
  if (victim === DEVICE) await hears(victim, one);
  expect(one.cuts()).toBe(0);
});

test('he could, if the broker did not ask every client id to begin as no certificate’s name does', async () => {
  await using open = await makeTestFleet();
  const file = join(open.dir, 'broker/mosquitto.conf');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^clientid_prefixes .*$/m, ''));
  await using itsBroker = await open.startBroker();
  const victim = await member(DEVICE, open);
  const cut = new Promise<void>((resolve) => {
    victim.bus.onState((up) => {
      if (!up) resolve();
    });
  });
  const stranger = await rawClient(open.enrolUrl, open.caPem);
  expect(await connected(stranger, DEVICE)).toBe(0);
  await cut;
  stranger.destroy();
  await victim.bus[Symbol.asyncDispose]();
  expect(itsBroker.pid).toBeGreaterThan(0);
});

test('a device of the fleet cannot take the place of another, or of a controller, at either door', async () => {
  const [victim, controller] = [await member(OTHER), await member(CONTROLLER_NAME)];
  for (const name of [...names(OTHER), ...names(CONTROLLER_NAME)]) {
    for (const url of [fleet.url, fleet.enrolUrl]) {
      const thief = await rawClient(url, fleet.caPem, fleet.clientCertificate(DEVICE));
      await connected(thief, name);
      thief.destroy();
    }
  }
  await hears(OTHER, victim);
  expect([victim.cuts(), controller.cuts()]).toEqual([0, 0]);
});

test('two newcomers who give themselves the same name do not end each other', async () => {
  const buses: Bus[] = [];
  let cuts = 0;
  for (let i = 0; i < 2; i++) {
    const bus = await connectMqttBus({ url: fleet.enrolUrl, caPem: fleet.caPem, clientId: `enrol-${DEVICE}` });
    onTestFinished(async () => bus[Symbol.asyncDispose]());
    bus.onState((up) => {
      if (!up) cuts += 1;
    });
    buses.push(bus);
  }
  for (const bus of buses) await bus.publish(`touchstone/1/c/${DEVICE}/enrol`, Buffer.from('here'));
  expect([cuts, buses.every((bus) => bus.connected)]).toEqual([0, true]);
});
