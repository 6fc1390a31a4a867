// Broker certificates on a real Mosquitto: who was retired comes in no more, who renews does, and nobody renews for another.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { downTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { connectMqttBus } from '../../src/bus/mqtt-bus.ts';
import { systemClock } from '../../src/clock.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import { issueCertificate, makeRequest } from '../../src/crypto/certificates.ts';
import { readCrlFile } from '../../src/crypto/crl.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { decodeCertificateMessage } from '../../src/protocol/codec.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { member, newcomerBus, running } from '../support/members.ts';
import { nextOf, SoftDevice } from '../support/soft-device.ts';
import type { RunningController } from '../support/running-controller.ts';

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
let controller: RunningController;
beforeEach(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  broker = await fleet.startBroker();
  controller = await running(fleet);
});
afterEach(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** A device of the fleet, with the papers that it got. */
async function enrolled(): Promise<SoftDevice> {
  const device = await SoftDevice.make(fleet, release);
  const joining = await newcomerBus(fleet);
  await device.enrol(joining, 'pending');
  const approved = device.enrol(joining, 'approved');
  await controller.controller.operator.approve(device.id);
  await approved;
  return device;
}

/** Mosquitto reads the list when it gets to it: asked until it says what is expected. */
async function entry(come: () => Promise<Bus>, expected: 'in' | 'out'): Promise<string> {
  for (;;) {
    const found = await come().then(
      async (bus) => {
        await bus[Symbol.asyncDispose]();
        return 'in';
      },
      (error: unknown) => (error instanceof Error && error.message.includes('certificate revoked') ? 'out' : 'neither'),
    );
    if (found === expected) return found;
    await systemClock.sleep(20);
  }
}
const reload = (): void => {
  process.kill(broker.pid ?? 0, 'SIGHUP');
};

describe('a device that was retired', () => {
  test('is on the list before the operator hears of it, and comes in no more; others do', async () => {
    const [gone, stays] = [await enrolled(), await enrolled()];
    await controller.controller.operator.retire(gone.id, 'sold');
    const [list] = readCrlFile(readFileSync(join(fleet.dir, 'broker/revoked.crl.pem')));
    expect(list?.revoked.size).toBe(1);
    expect(list?.signedBy(new X509Certificate(fleet.caPem).publicKey)).toBe(true);
    reload();
    expect(await entry(async () => gone.connect(), 'out')).toBe('out');
    expect(await entry(async () => stays.connect(), 'in')).toBe('in');
    await broker.restart();
    expect(await entry(async () => gone.connect(), 'out')).toBe('out');
  });

  test('gets no certificate that its last evidence asked for', async () => {
    const { device, bus } = await member(controller, fleet, { release, silent: true });
    const came: Buffer[] = [];
    await bus.subscribe(downTopic(device.id, 'certificate'), ({ payload }) => came.push(payload));
    await controller.controller.operator.retire(device.id, 'sold');
    const row = { serial: 'ab', device: device.id, key: 'k', notAfter: Date.now() + 1e9, pem: '' };
    expect(await controller.registry.addCertificate(row, Date.now())).toBe(false);
    expect(came).toEqual([]);
  });
});

describe('a certificate that nobody wrote down', () => {
  test('is taken back by its number, and no other with it: not the device’s own, and never the controller’s', async () => {
    const device = await enrolled();
    const { operator } = controller.controller;
    const { authority, tls } = loadSettings(fleet.controllerDir, Date.now());
    const { privateKey, publicKey } = generateKey('p256');
    const [notBefore, notAfter] = [Date.now() - 86_400_000, Date.now() + 86_400_000];
    const leaf = { publicKey, notBefore, notAfter, names: [] };
    const stray = issueCertificate({ ...leaf, commonName: device.id, use: 'client' }, authority);
    const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const come = async (): Promise<Bus> =>
      connectMqttBus({ url: fleet.url, caPem: fleet.caPem, certPem: stray, keyPem, clientId: device.id });
    expect(await entry(come, 'in')).toBe('in');
    const { serialNumber } = new X509Certificate(stray);
    expect(await operator.takeBack(`00${serialNumber.toLowerCase()}`)).toBeNull();
    reload();
    expect(await entry(come, 'out')).toBe('out');
    expect(await entry(async () => device.connect(), 'in')).toBe('in');
    for (const pem of [tls.certPem, authority.pem]) {
      const taking = operator.takeBack(new X509Certificate(pem).serialNumber);
      await expect(taking).rejects.toThrow('certificate of the controller or its authority');
    }
    const [own] = await controller.registry.certificates(device.id, Date.now());
    expect(await operator.takeBack(own?.serial ?? '')).toBe(device.id);
    reload();
    expect(await entry(async () => device.connect(), 'out')).toBe('out');
  });
});

describe('a device that renews', () => {
  async function renewed(
    name?: string,
  ): Promise<{ device: SoftDevice; key: string; come: () => Promise<Buffer>; bus: Bus }> {
    const { device, bus } = await member(controller, fleet, { release, silent: true });
    const { privateKey } = generateKey('p256');
    const come = await nextOf(bus, downTopic(device.id, 'certificate'));
    await device.answerAll(bus, { claims: { tlsCsr: makeRequest(name ?? device.id, privateKey) } });
    await controller.controller.operator.ask(device.id);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { device, key, come, bus };
  }

  test('gets a certificate in its own name, comes in with it, and the old one goes on until it ends', async () => {
    const { device, key, come } = await renewed();
    const { certificate } = decodeCertificateMessage(await come());
    expect(new X509Certificate(certificate).subject).toBe(`CN=${device.id}`);
    const bus = await connectMqttBus({
      url: fleet.url,
      caPem: fleet.caPem,
      certPem: certificate,
      keyPem: key,
      clientId: device.id,
    });
    onTestFinished(async () => bus[Symbol.asyncDispose]());
    expect(bus.connected).toBe(true);
    expect(await entry(async () => device.connect(), 'in')).toBe('in');
    // Asked again, as after a lost message: the same certificate, not one more.
    const asked = await controller.registry.certificates(device.id, Date.now());
    expect(asked).toHaveLength(2);
    await controller.controller.operator.retire(device.id, 'sold');
    expect(await controller.registry.revokedCertificates(Date.now())).toHaveLength(2);
  });

  test('in the name of another, or of the controller, gets none', async () => {
    const victim = await enrolled();
    for (const name of [victim.id, 'controller']) {
      const { device } = await renewed(name);
      await controller.until(device.id, ({ row }) => row.generation > 0);
      while (!controller.lines.some((line) => line.includes(`${device.id} asks for a certificate in another name`))) {
        await systemClock.sleep(5);
      }
      expect(await controller.registry.certificates(device.id, Date.now())).toHaveLength(1);
    }
    expect(await controller.registry.certificates(victim.id, Date.now())).toHaveLength(1);
  });

  test('in evidence that is not its own is not heard at all', async () => {
    const { device, bus } = await member(controller, fleet, { release, silent: true });
    const thief = await SoftDevice.make(fleet, release);
    const { privateKey } = generateKey('p256');
    const challenge = await nextOf(bus, downTopic(device.id, 'challenge'));
    await controller.controller.operator.ask(device.id);
    const { message } = await thief.evidence(await challenge(), {
      claims: { deviceId: device.id, tlsCsr: makeRequest(device.id, privateKey) },
    });
    await bus.publish(`touchstone/1/c/${device.id}/evidence`, message);
    for (;;) {
      const { evidence } = await controller.controller.health();
      if (Object.keys(evidence.refused).length > 0) break;
      await systemClock.sleep(5);
    }
    expect(await controller.registry.certificates(device.id, Date.now())).toHaveLength(1);
  });

  test('again and again with new keys has eight certificates at most', async () => {
    const { device, bus } = await member(controller, fleet, { release, silent: true });
    const challenge = await nextOf(bus, downTopic(device.id, 'challenge'));
    for (let i = 0; i < 10; i++) {
      await controller.controller.operator.ask(device.id);
      const tlsCsr = makeRequest(device.id, generateKey('p256').privateKey);
      const { message } = await device.evidence(await challenge(), { claims: { tlsCsr } });
      await bus.publish(`touchstone/1/c/${device.id}/evidence`, message);
      await controller.until(device.id, ({ row }) => row.generation > i);
    }
    while (!controller.lines.some((line) => line.includes('has 8 certificates already'))) await systemClock.sleep(5);
    expect(await controller.registry.certificates(device.id, Date.now())).toHaveLength(8);
  });
});
