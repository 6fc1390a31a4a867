// Enrolment at the controller for devices that mean well: waiting, approval, rejection, tokens.
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toUtf8 } from '../../src/bytes/text.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { encodeEnrolProof } from '../../src/protocol/codec.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice, outcome, prove } from './desk.ts';
import type { Office } from './desk.ts';

let office: Office;
beforeAll(async () => {
  office = await openOffice();
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

const newDevice = async (): Promise<SoftDevice> => SoftDevice.make(office.fleet, null);

describe('an honest device', () => {
  it('waits until it is approved, and then gets an endorsement and a certificate in its own name', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('pending');
    expect(await desk.registry.device(device.id)).toMatchObject({
      state: 'pending',
      tier: 'software',
      endorsement: null,
    });
    expect(await desk.desk.approve(device.id, 'Jo')).toBe(true);
    const { endorsement, certificate } = outcome(desk);
    const { ekPublic, akPublic, akQualifiedName } = await device.tpm.identity();
    const opened = openStatement('endorsement', toUtf8(endorsement ?? ''), office.settings.trust.resultKeys);
    expect(opened).toMatchObject({
      deviceId: device.id,
      fleetId: office.fleet.fleetId,
      ekPublic: ekPublic.toString('hex'),
      akPublic: akPublic.toString('hex'),
      akQualifiedName: akQualifiedName.toString('hex'),
      tier: 'software',
      approvedBy: 'Jo',
    });
    const leaf = new X509Certificate(certificate ?? '');
    expect([leaf.subject, leaf.verify(new X509Certificate(office.fleet.caPem).publicKey)]).toEqual([
      `CN=${device.id}`,
      true,
    ]);
    expect(await desk.desk.approve(device.id, 'Jo')).toBe(false);
  });

  it('without a vendor’s certificate waits with a warning that says so', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    const findings = (await desk.registry.enrolment(device.id))?.findings ?? [];
    expect(findings.map(({ rule, status }) => [rule, status])).toEqual([['enrol-ek-certificate', 'warning']]);
  });

  it('may ask as often as it likes: it is one device, and hears how it stands', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('approved');
    expect(await desk.registry.devices()).toHaveLength(1);
  });

  it('that lost its disk while it waits is approved with what it asked last', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    device.loseDisk();
    const request = await ask(desk, device);
    await desk.desk.approve(device.id, 'Jo');
    expect(Buffer.from(outcome(desk).request)).toEqual(sha256(request));
    expect(await desk.registry.devices()).toHaveLength(1);
  });

  it('is told when it is rejected, and can still be approved afterwards', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device);
    expect(await desk.desk.reject(device.id, 'not ours')).toBe(true);
    expect(outcome(desk)).toMatchObject({ outcome: 'rejected', reason: 'not ours', endorsement: null });
    expect(await desk.desk.approve(device.id, 'Jo')).toBe(true);
    expect(outcome(desk).outcome).toBe('approved');
  });

  it('answers for a credential that another controller, or this one before a restart, has sent', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    const request = await device.request();
    await desk.desk.receive(device.id, request);
    const proof = encodeEnrolProof(await prove(desk, device, request));
    const other = await openDesk(office, {}, desk.registry);
    await other.desk.receive(device.id, proof);
    expect(outcome(other).outcome).toBe('pending');
  });
});

describe('a token', () => {
  it('lets in the device that brings it, once, and is kept as a digest only', async () => {
    const desk = await openDesk(office);
    const token = await desk.tokens.issue('line 4', Date.now() + 3_600_000);
    const kept = await Promise.all(
      (await readdir(desk.stateDir, { withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(async ({ name }) => readFile(join(desk.stateDir, name), 'latin1')),
    );
    expect(kept.some((content) => content.includes(token))).toBe(false);
    const [first, second] = [await newDevice(), await newDevice()];
    await ask(desk, first, { token });
    expect(outcome(desk).outcome).toBe('approved');
    expect((await desk.registry.history(first.id, 5)).some(({ text }) => text.includes('token line 4'))).toBe(true);
    await ask(desk, second, { token });
    expect(outcome(desk).outcome).toBe('pending');
  });

  it('is not used up by a device that is in already, and does not bring back one that was rejected', async () => {
    const desk = await openDesk(office);
    const [inside, outside] = [await newDevice(), await newDevice()];
    await ask(desk, inside);
    await desk.desk.approve(inside.id, 'Jo');
    await ask(desk, outside);
    await desk.desk.reject(outside.id, 'not ours');
    const token = await desk.tokens.issue('next', Date.now() + 3_600_000);
    await ask(desk, inside, { token });
    await ask(desk, outside, { token });
    expect(outcome(desk).outcome).toBe('rejected');
    expect(await desk.tokens.take(token, Date.now())).toBe('next');
  });
});

describe('a token in the hands of many', () => {
  it('lets one of them in, however many bring it at once', async () => {
    const desk = await openDesk(office);
    const token = await desk.tokens.issue('line 4', Date.now() + 3_600_000);
    const devices = await Promise.all(Array.from({ length: 12 }, newDevice));
    const proofs: { device: SoftDevice; proof: Buffer }[] = [];
    for (const device of devices) {
      const request = await device.request({ token });
      await desk.desk.receive(device.id, request);
      proofs.push({ device, proof: encodeEnrolProof(await prove(desk, device, request)) });
    }
    await Promise.all(proofs.map(async ({ device, proof }) => desk.desk.receive(device.id, proof)));
    const rows = await desk.registry.devices();
    expect(rows).toHaveLength(devices.length);
    expect(rows.filter(({ state }) => state === 'approved')).toHaveLength(1);
  });

  it('lets nobody in after its time', async () => {
    const desk = await openDesk(office);
    const device = await newDevice();
    await ask(desk, device, { token: await desk.tokens.issue('line 4', Date.now() - 1) });
    expect(outcome(desk).outcome).toBe('pending');
  });
});
