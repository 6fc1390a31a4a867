// Result keys come and go: endorsements outlive the one that signed them, and what a thief of a revoked key wrote does not.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KeyObject } from 'node:crypto';
import { toUtf8 } from '../../src/bytes/text.ts';
import { renewEndorsements } from '../../src/controller/endorsement-renewal.ts';
import { Roster } from '../../src/controller/roster.ts';
import { generateKey, keyId, publicPem } from '../../src/crypto/ecdsa.ts';
import type { Endorsement } from '../../src/protocol/messages.ts';
import { openStatement, signStatement } from '../../src/protocol/statement.ts';
import { encodeRootFile } from '../../src/release/root-chain.ts';
import { nextRoot } from '../../src/release/root-change.ts';
import type { RootChange } from '../../src/release/root-change.ts';
import { rootKeyOf, signRoot } from '../../src/release/root-keys.ts';
import { extendTrust } from '../../src/release/root.ts';
import type { Trust } from '../../src/release/root.ts';
import { newcomerBus, running, trustOf } from '../support/members.ts';
import { startController } from '../support/running-controller.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice, outcome } from './desk.ts';
import type { Desk, Office } from './desk.ts';

let office: Office;
let desk: Desk;
let device: SoftDevice;
let trust: Trust;
let newer: KeyObject;
let said: string[];

beforeEach(async () => {
  office = await openOffice();
  desk = await openDesk(office, {}, undefined, () => trust);
  device = await SoftDevice.make(office.fleet, null);
  trust = trustOf(office.fleet);
  newer = generateKey('p256').privateKey;
  said = [];
  await ask(desk, device);
  await desk.desk.approve(device.id, 'Jo');
});
afterEach(async () => office.fleet[Symbol.asyncDispose]());

/** The next root statement in force. */
function change(what: Partial<RootChange>): void {
  const { root } = trust;
  const next = nextRoot(root, { issuedAt: root.issuedAt, expires: root.expires, ...what });
  const file = encodeRootFile([
    ...trust.links.map(({ envelope }) => envelope),
    signRoot(next, [office.fleet.key('root/root-1.key.pem')]),
  ]);
  const extended = extendTrust(trust, file, Date.now());
  if (!extended.ok) throw new TypeError('the statement follows');
  ({ trust } = extended);
}
const addKey = (key: KeyObject): void => {
  change({ results: [rootKeyOf(key, publicPem(key))] });
};
const revokeFirst = (): void => {
  change({ revoke: [{ id: keyId(office.settings.resultKey), reason: 'replaced' }] });
};

const renew = async (resultKey: KeyObject): Promise<number> =>
  renewEndorsements({
    registry: desk.registry,
    trust,
    resultKey,
    log: { write: (_level, _event, message) => said.push(message) },
  });

/** What counts of it by the root of now. */
async function endorsement(): Promise<Endorsement | null> {
  const roster = new Roster(desk.registry, trust.resultKeys);
  await roster.load();
  return roster.get(device.id)?.endorsement?.endorsement ?? null;
}

describe('an endorsement', () => {
  it('is signed anew by the newer key while the old one counts, word for word, and outlives it', async () => {
    const before = await endorsement();
    addKey(newer);
    expect([await renew(newer), await renew(newer)]).toEqual([1, 0]);
    expect(said).toEqual(['1 endorsements signed anew by the newer result key']);
    revokeFirst();
    expect(await endorsement()).toEqual(before);
    expect(before).not.toBeNull();
  });

  it('is left to the controller with the newer key: two of them do not sign in turn', async () => {
    addKey(newer);
    await renew(newer);
    expect(await renew(office.settings.resultKey)).toBe(0);
  });

  it('that was signed by a revoked key counts no more, and is not signed anew, whatever date it has', async () => {
    const row = await desk.registry.device(device.id);
    const honest = await endorsement();
    addKey(newer);
    revokeFirst();
    const forged: Endorsement = { ...(honest as Endorsement), tier: 'hardware', issuedAt: 1 };
    const envelope = signStatement('endorsement', forged, office.settings.resultKey);
    expect(await desk.registry.endorseAgain(device.id, row?.endorsement ?? '', envelope)).toBe(true);
    expect(await renew(newer)).toBe(0);
    expect(await endorsement()).toBeNull();
  });
});

describe('a device whose endorsement counts no more', () => {
  beforeEach(() => {
    addKey(newer);
    revokeFirst();
    office = { ...office, settings: { ...office.settings, resultKey: newer } };
  });

  it('is endorsed again by a person, by what it proved, with its certificate', async () => {
    const other = await openDesk(office, {}, desk.registry, () => trust);
    expect(await endorsement()).toBeNull();
    expect(await other.desk.endorseAgain(device.id, 'Jo')).toBe(true);
    expect(await endorsement()).toMatchObject({ deviceId: device.id, approvedBy: 'Jo' });
    expect(await other.desk.endorseAgain(device.id, 'Jo')).toBe(false);
    expect((await desk.registry.history(device.id, 1)).map(({ text }) => text)).toEqual(['endorsed again by Jo']);
  });

  it('is still known by its keys: it may ask again, and nobody else in its name', async () => {
    const other = await openDesk(office, {}, desk.registry, () => trust);
    const thief = await SoftDevice.make(office.fleet, null);
    const { akPublic } = await thief.tpm.identity();
    await other.desk.receive(device.id, await device.request({ akPublic }));
    expect(outcome(other).reason).toContain('enrol-known-id');
    await ask(other, device);
    expect(outcome(other).outcome).toBe('approved');
  });
});

it('a device that waits, and is then let in as pinned, is shown as pinned', async () => {
  const late = await SoftDevice.make(office.fleet, null);
  await ask(desk, late);
  expect(await desk.registry.device(late.id)).toMatchObject({ state: 'pending', tier: 'software' });
  desk.allowed.add([{ ekName: await late.ekName(), note: 'bench', pinned: true }]);
  expect(await desk.desk.admitAllowed(late.id)).toBe(true);
  const row = await desk.registry.device(late.id);
  const opened = openStatement('endorsement', toUtf8(row?.endorsement ?? ''), trust.resultKeys);
  expect([row?.tier, opened?.tier]).toEqual(['pinned', 'pinned']);
});

it('a controller does all this when it starts with a newer key', async () => {
  await using broker = await office.fleet.startBroker();
  expect(broker.pid).toBeGreaterThan(0);
  const first = await startController(office.fleet);
  const joining = await newcomerBus(office.fleet);
  await device.enrol(joining, 'pending');
  await first.controller.operator.approve(device.id);
  await first[Symbol.asyncDispose]();
  addKey(newer);
  const { controllerDir } = office.fleet;
  writeFileSync(join(controllerDir, 'root.json'), encodeRootFile(trust.links.map(({ envelope }) => envelope)));
  const pem = newer.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(controllerDir, 'keys/result.key.pem'), pem, { mode: 0o600 });
  const second = await running(office.fleet);
  expect(second.lines.some((line) => line.includes('1 endorsements signed anew'))).toBe(true);
  const row = await second.registry.device(device.id);
  const only = new Map([...trust.resultKeys].filter(([id]) => id === keyId(newer)));
  expect(openStatement('endorsement', toUtf8(row?.endorsement ?? ''), only)?.deviceId).toBe(device.id);
});
