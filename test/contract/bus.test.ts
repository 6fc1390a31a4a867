// The bus over a real Mosquitto with the fleet's own configuration: the suite, and what the access list lets nobody do.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import type { MqttOptions } from '../../src/bus/mqtt-bus.ts';
import { CONTROLLER_NAME } from '../../src/controller/broker-config.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { busContract, DEVICE, inbox } from './bus.ts';

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

/** A client with the certificate of `name`; closed when the test ends. */
async function client(name: string, options: Partial<MqttOptions> = {}): Promise<Bus> {
  const bus = await connectMqttBus({
    url: fleet.url,
    caPem: fleet.caPem,
    ...fleet.clientCertificate(name),
    clientId: name,
    ...options,
  });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  return bus;
}

async function newcomer(): Promise<Bus> {
  const bus = await connectMqttBus({ url: fleet.enrolUrl, caPem: fleet.caPem, clientId: `enrol-${DEVICE}` });
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  return bus;
}

busContract('Mosquitto with mutual TLS', async () => ({
  device: await client(DEVICE),
  controller: await client(CONTROLLER_NAME),
}));

describe('what the broker lets through', () => {
  it('a device publishes only under its own id', async () => {
    const [device, controller] = [await client(DEVICE), await client(CONTROLLER_NAME)];
    const got = inbox();
    await controller.subscribe('touchstone/1/c/#', got.take);
    await device.publish(`touchstone/1/c/${OTHER}/evidence`, Buffer.from('forbidden')).catch(() => undefined);
    await device.publish(`touchstone/1/c/${DEVICE}/evidence`, Buffer.from('allowed'));
    expect((await got.next()).topic).toBe(`touchstone/1/c/${DEVICE}/evidence`);
    expect(got.all).toHaveLength(1);
  });

  it('a device cannot speak as the controller', async () => {
    const [device, other, controller] = [await client(DEVICE), await client(OTHER), await client(CONTROLLER_NAME)];
    const got = inbox();
    await other.subscribe(`touchstone/1/d/${OTHER}/#`, got.take);
    await device.publish(`touchstone/1/d/${OTHER}/command`, Buffer.from('forbidden')).catch(() => undefined);
    await controller.publish(`touchstone/1/d/${OTHER}/command`, Buffer.from('allowed'));
    expect((await got.next()).payload.toString()).toBe('allowed');
    expect(got.all).toHaveLength(1);
  });

  it('a device hears only what is for it, whatever it subscribes to', async () => {
    const [device, controller] = [await client(DEVICE), await client(CONTROLLER_NAME)];
    const got = inbox();
    await device.subscribe('touchstone/1/#', got.take).catch(() => undefined);
    await device.subscribe(`touchstone/1/d/${OTHER}/#`, got.take).catch(() => undefined);
    await controller.publish(`touchstone/1/d/${OTHER}/result`, Buffer.from('of another'));
    await controller.publish(`touchstone/1/d/${DEVICE}/result`, Buffer.from('mine'));
    expect((await got.next()).payload.toString()).toBe('mine');
    expect(got.all.every(({ topic }) => topic.startsWith(`touchstone/1/d/${DEVICE}/`))).toBe(true);
  });

  it('a newcomer can ask to enrol and nothing else', async () => {
    const [asker, controller] = [await newcomer(), await client(CONTROLLER_NAME)];
    const got = inbox();
    await controller.subscribe('touchstone/1/c/#', got.take);
    for (const kind of ['evidence', 'status', 'log']) {
      await asker.publish(`touchstone/1/c/${DEVICE}/${kind}`, Buffer.from('forbidden')).catch(() => undefined);
    }
    await asker.publish(`touchstone/1/c/${DEVICE}/enrol`, Buffer.from('allowed'));
    expect((await got.next()).topic).toBe(`touchstone/1/c/${DEVICE}/enrol`);
    expect(got.all).toHaveLength(1);
  });

  it('a newcomer hears only answers to enrolments', async () => {
    const [asker, controller] = [await newcomer(), await client(CONTROLLER_NAME)];
    const got = inbox();
    await asker.subscribe('touchstone/1/#', got.take).catch(() => undefined);
    await controller.publish(`touchstone/1/d/${DEVICE}/result`, Buffer.from('result'));
    await controller.publish(`touchstone/1/d/${DEVICE}/enrol`, Buffer.from('answer'));
    expect((await got.next()).payload.toString()).toBe('answer');
    expect(got.all).toHaveLength(1);
  });

  it('nobody takes over the client id of another: the certificate decides', async () => {
    const victim = await client(OTHER);
    let lost = false;
    victim.onState((connected) => {
      lost ||= !connected;
    });
    const got = inbox();
    await victim.subscribe(`touchstone/1/d/${OTHER}/#`, got.take);
    const attacker = await client(DEVICE, { clientId: OTHER });
    const stolen = inbox();
    await attacker.subscribe(`touchstone/1/d/${OTHER}/#`, stolen.take).catch(() => undefined);
    const controller = await client(CONTROLLER_NAME);
    await controller.publish(`touchstone/1/d/${OTHER}/result`, Buffer.from('for the victim'));
    await got.next();
    expect([lost, stolen.all.length]).toEqual([false, 0]);
  });

  it('without a certificate of the fleet there is no connection', async () => {
    const bare = { url: fleet.url, caPem: fleet.caPem, clientId: DEVICE };
    await expect(connectMqttBus(bare)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
  });

  it('a broker that the fleet’s authority did not certify gets no connection', async () => {
    await using other = await makeTestFleet();
    const options = { url: fleet.url, caPem: other.caPem, ...fleet.clientCertificate(DEVICE), clientId: DEVICE };
    await expect(connectMqttBus(options)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
  });
});

describe('when the broker goes away', () => {
  it('publishing fails, and all goes on by itself when it is back, subscriptions included', async () => {
    const [device, controller] = [await client(DEVICE), await client(CONTROLLER_NAME)];
    const got = inbox();
    await controller.subscribe('touchstone/1/c/+/evidence', got.take, { shared: 'controllers' });
    const states: boolean[] = [];
    controller.onState((connected) => states.push(connected));
    await broker.stop();
    while (device.connected || controller.connected) await sleep(5);
    await expect(device.publish(`touchstone/1/c/${DEVICE}/evidence`, Buffer.alloc(1))).rejects.toMatchObject({
      code: 'BUS_UNAVAILABLE',
    });
    await broker.start();
    while (!device.connected || !controller.connected) await sleep(5);
    // Subscribing again is on its way: what is published before it arrives may be lost.
    while (got.all.length === 0) {
      await device.publish(`touchstone/1/c/${DEVICE}/evidence`, Buffer.from('again'));
      await sleep(20);
    }
    expect((await got.next()).payload.toString()).toBe('again');
    expect(states[0]).toBe(false);
    expect(states.at(-1)).toBe(true);
  });

  it('a subscription that was not granted yet fails; asked for again it waits for the broker, and hears each message once', async () => {
    const [device, controller] = [await client(DEVICE), await client(CONTROLLER_NAME)];
    const [got, end] = [inbox(), inbox()];
    broker.suspend();
    const [asked] = await Promise.allSettled([
      controller.subscribe('touchstone/1/c/+/evidence', got.take),
      broker.kill(),
    ]);
    expect(asked).toMatchObject({ status: 'rejected', reason: { code: 'BUS_UNAVAILABLE' } });
    const again = controller.subscribe('touchstone/1/c/+/evidence', got.take);
    await broker.start();
    await again;
    await controller.subscribe('touchstone/1/c/+/status', end.take);
    while (!device.connected) await sleep(5);
    await device.publish(`touchstone/1/c/${DEVICE}/evidence`, Buffer.from('once'));
    await device.publish(`touchstone/1/c/${DEVICE}/status`, Buffer.from('end'));
    await end.next();
    expect(got.all.map(({ payload }) => payload.toString())).toEqual(['once']);
  });

  it('the last will of a device that is gone without a word is delivered', async () => {
    const controller = await client(CONTROLLER_NAME);
    const got = inbox();
    await controller.subscribe('touchstone/1/c/+/status', got.take);
    const will = { topic: `touchstone/1/c/${DEVICE}/status`, payload: Buffer.from('gone') };
    await client(DEVICE, { will });
    // The same identity again: the broker ends the older connection, which has said no goodbye.
    await client(DEVICE);
    expect((await got.next()).payload.toString()).toBe('gone');
  });
});
