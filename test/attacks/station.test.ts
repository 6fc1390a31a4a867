// A factory line's permission: who forges, repeats, keeps or bends it gets nobody in, and neither does a device that it does not name.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchShelf } from '../../src/controller/batch-shelf.ts';
import type { BatchTaken } from '../../src/controller/batch-shelf.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import { signBatch } from '../../src/release/batch.ts';
import type { EkBatch } from '../../src/release/batch.ts';
import type { Trust } from '../../src/release/root.ts';
import { ask, openDesk, openOffice, outcome } from '../controller/desk.ts';
import type { Desk, Office } from '../controller/desk.ts';
import { named } from '../release/publisher.ts';
import { SoftDevice } from '../support/soft-device.ts';

const DAY = 86_400_000;
const station = generateKey('p256').privateKey;
let office: Office;
let trust: Trust;
beforeAll(async () => {
  office = await openOffice();
  const { profile } = office.fleet;
  const stations = [{ ...named(station), profiles: [profile.id, 'gateway'] }];
  trust = { ...office.settings.trust, root: { ...office.settings.trust.root, stations } };
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

const revoking = (): Trust => ({
  ...trust,
  root: { ...trust.root, revoked: [{ id: named(station).id, reason: 'stolen', at: Date.now() + DAY }] },
});
const newDevice = async (): Promise<SoftDevice> => SoftDevice.make(office.fleet, null);

let made = 0;
async function batchOf(devices: readonly SoftDevice[], change: Partial<EkBatch> = {}, key = station): Promise<Buffer> {
  const entries = await Promise.all(devices.map(async (one) => ({ ekName: await one.ekName(), certificate: null })));
  const now = Date.now();
  const batch = {
    v: 1 as const,
    fleetId: office.fleet.fleetId,
    id: (++made).toString(16).padStart(32, '0'),
    issuedAt: now,
    expires: now + DAY,
    profiles: [office.fleet.profile.id],
    count: entries.length,
    entries,
    ...change,
  };
  return signBatch(batch, key);
}
const rules = (taken: BatchTaken): string[] => ('refused' in taken ? taken.refused.map(({ rule }) => rule) : []);

async function stateOf(desk: Desk, device: SoftDevice): Promise<string | undefined> {
  return (await desk.registry.device(device.id))?.state;
}

describe('a device of a batch', () => {
  test('is let in by it, one that is not waits, and its endorsement names the batch and no better tier', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const [device, other] = [await newDevice(), await newDevice()];
    expect(rules(await desk.batches.take(await batchOf([device], { id: 'a'.repeat(32) })))).toEqual([]);
    await ask(desk, other);
    expect(outcome(desk).outcome).toBe('pending');
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('approved');
    const envelope = (await desk.registry.device(device.id))?.endorsement ?? '';
    expect(openStatement('endorsement', Buffer.from(envelope), trust.resultKeys)).toMatchObject({
      approvedBy: `batch ${'a'.repeat(32)}`,
      tier: 'software',
    });
  });

  test('that waits already is let in at the import', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const device = await newDevice();
    await ask(desk, device);
    await desk.batches.take(await batchOf([device]));
    expect(await desk.desk.admitAllowed(device.id)).toBe(true);
  });

  test('must still prove that its keys are of one TPM: the batch is permission, and names what anybody can read', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const [device, thief] = [await newDevice(), await newDevice()];
    await desk.batches.take(await batchOf([device]));
    const { akPublic } = await thief.tpm.identity();
    await desk.desk.receive(device.id, await device.request({ akPublic }));
    expect(await desk.registry.device(device.id)).toBeNull();
    // The endorsement key of a device of the batch, in the name that its own thief's key gives him.
    const { ekPublic } = await device.tpm.identity();
    await desk.desk.receive(thief.id, await thief.request({ ekPublic }));
    expect(outcome(desk).reason).toContain('enrol-id');
    expect(await desk.registry.devices()).toEqual([]);
  });

  test('that would be another profile’s waits', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const device = await newDevice();
    expect(rules(await desk.batches.take(await batchOf([device], { profiles: ['gateway'] })))).toEqual([]);
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('pending');
  });
});

describe('a batch that was taken lets nobody in any more', () => {
  test('once its station is revoked, whatever its date', async () => {
    let now = trust;
    const desk = await openDesk(office, {}, undefined, () => now);
    const [device, later] = [await newDevice(), await newDevice()];
    await desk.batches.take(await batchOf([device, later]));
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('approved');
    now = revoking();
    await ask(desk, later);
    expect(outcome(desk).outcome).toBe('pending');
    expect(desk.batches.list()[0]?.faults.map(({ rule }) => rule)).toEqual(['batch-signer-revoked']);
    // Who is in keeps his place: his TPM has proved itself.
    expect(await stateOf(desk, device)).toBe('approved');
  });

  test('after its end', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const device = await newDevice();
    let now = Date.now();
    const shelf = new BatchShelf({
      folder: join(desk.stateDir, 'b'),
      trust: () => trust,
      now: () => now,
      log: { write: () => {} },
    });
    await shelf.open();
    await shelf.take(await batchOf([device]));
    const key = await device.ekName();
    expect(shelf.find(key, office.fleet.profile.id)).not.toBeNull();
    now += DAY + 1000;
    expect(shelf.find(key, office.fleet.profile.id)).toBeNull();
  });

  test('when it was taken back, and is not imported again', async () => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const device = await newDevice();
    const file = await batchOf([device]);
    const taken = await desk.batches.take(file);
    const id = 'batch' in taken ? taken.batch.id : '';
    await desk.batches.withdraw(id);
    await ask(desk, device);
    expect(outcome(desk).outcome).toBe('pending');
    expect(rules(await desk.batches.take(file))).toEqual(['batch-known']);
    await expect(desk.batches.withdraw(id)).rejects.toThrow('taken back already');
    // Not after a restart either.
    const again = new BatchShelf({
      folder: join(desk.stateDir, 'batches'),
      trust: () => trust,
      now: Date.now,
      log: { write: () => {} },
    });
    await again.open();
    expect(again.list()).toEqual([expect.objectContaining({ id, withdrawn: true })]);
    expect(rules(await again.take(file))).toEqual(['batch-known']);
    expect(again.find(await device.ekName(), office.fleet.profile.id)).toBeNull();
  });
});

test('a batch is imported once, and one that another signed under its id takes no place', async () => {
  const desk = await openDesk(office, {}, undefined, () => trust);
  const [device, other] = [await newDevice(), await newDevice()];
  const id = 'e'.repeat(32);
  const file = await batchOf([device], { id });
  expect(rules(await desk.batches.take(file))).toEqual([]);
  expect(rules(await desk.batches.take(file))).toEqual(['batch-known']);
  expect(rules(await desk.batches.take(await batchOf([other], { id })))).toEqual(['batch-known']);
  expect(desk.batches.find(await other.ekName(), office.fleet.profile.id)).toBeNull();
  expect(await desk.batches.file(id)).toEqual(file);
});

test('a key that two batches name is said, and refused by neither', async () => {
  const desk = await openDesk(office, {}, undefined, () => trust);
  const [device, other] = [await newDevice(), await newDevice()];
  await desk.batches.take(await batchOf([device]));
  const second = await desk.batches.take(await batchOf([device, other]));
  expect('again' in second && second.again.map(({ ekName }) => ekName)).toEqual([await device.ekName()]);
});

test('a file on the shelf that was damaged, renamed or put there by hand lets nobody in, and is named', async () => {
  const desk = await openDesk(office, {}, undefined, () => trust);
  const device = await newDevice();
  const folder = join(desk.stateDir, 'batches');
  const [one, two, three] = ['1', '2', '3'].map((digit) => join(folder, `${digit.repeat(32)}.json`)) as [
    string,
    string,
    string,
  ];
  writeFileSync(one, '{');
  writeFileSync(two, await batchOf([device]));
  writeFileSync(three, await batchOf([device], { id: '3'.repeat(32) }, generateKey('p256').privateKey));
  const lines: string[] = [];
  const shelf = new BatchShelf({
    folder,
    trust: () => trust,
    now: Date.now,
    log: { write: (_l, _e, line) => lines.push(line) },
  });
  await shelf.open();
  expect(shelf.list()).toEqual([]);
  expect(lines.map((line) => /(batch-\w+|another batch)/.exec(line)?.[0])).toEqual([
    'batch-malformed',
    'another batch',
    'batch-signature',
  ]);
});

describe('a device that was retired', () => {
  // Who stole it owns its TPM, and makes any attestation key he likes under the same endorsement key.
  test.each(['batch', 'allow-list'] as const)('does not come back by a %s with another attestation key', async (by) => {
    const desk = await openDesk(office, {}, undefined, () => trust);
    const device = await newDevice();
    if (by === 'batch') await desk.batches.take(await batchOf([device]));
    else desk.allowed.add([{ ekName: await device.ekName(), note: 'line', pinned: false }]);
    await ask(desk, device);
    expect(await stateOf(desk, device)).toBe('approved');
    await desk.registry.setState(device.id, ['approved'], 'retired');
    device.tpm.makeOtherAk();
    await ask(desk, device);
    expect(await stateOf(desk, device)).toBe('pending');
    // Nor by patience: asking again, or a list that is imported meanwhile, changes nothing.
    await ask(desk, device);
    await desk.batches.take(await batchOf([device]));
    expect(await desk.desk.admitAllowed(device.id)).toBe(false);
    expect((await desk.registry.enrolment(device.id))?.findings.map(({ rule }) => rule)).toContain('enrol-returned');
    expect(await desk.desk.approve(device.id, 'Jo')).toBe(true);
  });
});
