// Newcomers whose certificates were taken back: refused by a rule, with lists of openssl in the operator's folder.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { EkTrustFolder } from '../../src/controller/ek-trust.ts';
import { CERTIFICATE_CHECKS } from '../../src/controller/newcomer-checks.ts';
import { pinned, readNewcomer } from '../../src/controller/newcomer.ts';
import type { Read } from '../../src/controller/newcomer.ts';
import { Roster } from '../../src/controller/roster.ts';
import { tpmView } from '../../src/controller/tpm-view.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import type { Settings } from '../../src/controller/settings.ts';
import { decodeEnrolRequest } from '../../src/protocol/codec.ts';
import type { EnrolRequest } from '../../src/protocol/messages.ts';
import { publicKeyOf } from '../../src/tpm/wire/public-key.ts';
import { TpmtPublic } from '../../src/tpm/wire/public.ts';
import { Issuer } from '../support/make-ek-certificate.ts';
import { opensslCrl } from '../support/openssl-crl.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { ask, openDesk, openOffice, outcome } from './desk.ts';
import type { Office } from './desk.ts';

const DAY = 86_400_000;
const NOW = Date.now();
const root = new Issuer('vendor root');
const middle = new Issuer('vendor intermediate', root, { serial: Buffer.from([7]) });

let office: Office;
let device: SoftDevice;
let request: EnrolRequest;
const at = (...names: string[]): string => join(office.fleet.controllerDir, 'ek-roots', ...names);

beforeAll(async () => {
  office = await openOffice();
  device = await SoftDevice.make(office.fleet, null);
  const ek = publicKeyOf(decode(TpmtPublic, (await device.tpm.identity()).ekPublic));
  const ekCertificate = middle.issue({ publicKey: ek, serial: Buffer.from([5]) });
  // The intermediate comes along, as from NV.
  request = decodeEnrolRequest(await device.request({ ekCertificate, ekChain: [middle.certificate.raw] }));
  writeFileSync(at('hardware', 'root.pem'), root.certificate.toString());
});
afterEach(() => {
  rmSync(at('crls'), { recursive: true });
  mkdirSync(at('crls'));
});
afterAll(async () => office.fleet[Symbol.asyncDispose]());

function put(name: string, issuer: Issuer, revoked: readonly string[], from = NOW - DAY, until = NOW + DAY): void {
  const key = { key: issuer.key, pem: issuer.certificate.toString() };
  writeFileSync(at('crls', name), opensslCrl(key, { revoked, from, until }));
}

function settings(ekCrls?: 'demanded'): Settings {
  const loaded = loadSettings(office.fleet.controllerDir, NOW);
  return ekCrls === undefined ? loaded : { ...loaded, file: { ...loaded.file, ekCrls } };
}

function read(by: Settings, without = ''): Read {
  const checks = CERTIFICATE_CHECKS.filter(({ name }) => name !== without);
  return readNewcomer(request, by, office.references, NOW, undefined, checks);
}
const rules = (judged: Read): readonly string[] =>
  'refused' in judged ? judged.refused.map(({ rule }) => rule) : ['tier', judged.newcomer.tier];

describe('a newcomer with a vendor’s certificate', () => {
  test('is hardware while no list is there, and while lists have nothing of it', () => {
    expect(rules(read(settings()))).toEqual(['tier', 'hardware']);
    put('root.crl', root, []);
    put('middle.crl', middle, ['06']);
    const judged = read(settings('demanded'));
    expect(rules(judged)).toEqual(['tier', 'hardware']);
    expect('newcomer' in judged && judged.newcomer.warnings).toEqual([]);
  });

  test.each([
    ['itself', 'middle.crl', (): Issuer => middle, '05'],
    ['the authority above it', 'root.crl', (): Issuer => root, '07'],
  ])('is refused when %s was taken back, and by nothing else', (_, file, issuer, serial) => {
    put(file, issuer(), [serial]);
    expect(rules(read(settings()))).toEqual(['enrol-ek-revoked']);
    expect(rules(read(settings(), 'revoked'))).toEqual(['tier', 'hardware']);
  });

  test('stays refused when that list has run out', () => {
    put('middle.crl', middle, ['05'], NOW - 2 * DAY, NOW - DAY);
    expect(rules(read(settings()))).toEqual(['enrol-ek-revoked']);
  });

  test('is let through with a warning when a list has run out that has nothing of it', () => {
    put('middle.crl', middle, [], NOW - 2 * DAY, NOW - DAY);
    const judged = read(settings());
    expect(rules(judged)).toEqual(['tier', 'hardware']);
    expect('newcomer' in judged && judged.newcomer.warnings).toMatchObject([
      { rule: 'enrol-ek-crl', status: 'warning', found: expect.stringContaining('ran out') as string },
    ]);
  });

  test('is refused without an answer where lists are demanded, and only there', () => {
    put('root.crl', root, []);
    put('middle.crl', middle, [], NOW - 2 * DAY, NOW - DAY);
    const judged = read(settings('demanded'));
    expect('refused' in judged && judged.refused).toMatchObject([
      { rule: 'enrol-ek-crl', found: expect.stringMatching(/^none for CN=TPM; .*ran out/) as string },
    ]);
    expect(rules(read(settings('demanded'), 'revocation-answered'))).toEqual(['tier', 'hardware']);
  });

  test('that no root vouches for is not asked for lists: its certificate proves nothing anyway', () => {
    const judged = readNewcomer({ ...request, ekChain: [] }, settings('demanded'), office.references, NOW);
    expect(rules(judged)).toEqual(['tier', 'software']);
    const own = new Issuer('own root');
    const publicKey = publicKeyOf(decode(TpmtPublic, request.ekPublic));
    const by = { ekCertificate: own.issue({ publicKey }), ekChain: [own.certificate.raw] };
    const brought = readNewcomer({ ...request, ...by }, settings('demanded'), office.references, NOW);
    expect(rules(brought)).toEqual(['tier', 'software']);
  });

  test('is of software when it says so, whoever vouches for it, and no operator makes it more', () => {
    const publicKey = publicKeyOf(decode(TpmtPublic, request.ekPublic));
    const ekCertificate = middle.issue({ publicKey, tpm: ['id:00001014', 'swtpm', 'id:00010002'] });
    const judged = readNewcomer({ ...request, ekCertificate }, settings(), office.references, NOW);
    expect(rules(judged)).toEqual(['tier', 'software']);
    expect('newcomer' in judged && pinned(judged.newcomer).tier).toBe('software');
    const unknown = readNewcomer({ ...request, ekCertificate, ekChain: [] }, settings(), office.references, NOW);
    expect('newcomer' in unknown && pinned(unknown.newcomer).tier).toBe('software');
    const genuine = read(settings());
    expect('newcomer' in genuine && pinned(genuine.newcomer).tier).toBe('hardware');
  });
});

test('at the desk a newcomer that was taken back is refused by the rule’s name, the pinned one too', async () => {
  put('middle.crl', middle, ['05']);
  const desk = await openDesk({ ...office, settings: settings() });
  const { ekCertificate, ekChain } = request;
  const bytes = await device.request({ ekCertificate, ekChain });
  await desk.desk.receive(device.id, bytes);
  expect(outcome(desk)).toMatchObject({ outcome: 'rejected', reason: expect.stringContaining('enrol-ek-revoked') });
  expect(await desk.registry.device(device.id)).toBeNull();
});

test('a list that comes while somebody waits stops his approval', async () => {
  const desk = await openDesk({ ...office, settings: settings() });
  const { ekCertificate, ekChain } = request;
  await ask(desk, device, { ekCertificate, ekChain });
  expect(await desk.registry.device(device.id)).toMatchObject({ state: 'pending', tier: 'hardware' });
  put('middle.crl', middle, ['05']);
  expect(await desk.desk.approve(device.id, 'Jo')).toBe(false);
  expect(await desk.registry.device(device.id)).toMatchObject({ state: 'pending' });
});

describe('the folder of what is trusted', () => {
  test('is read again when a file changes, and goes on as it was while one cannot be read', () => {
    const folder = new EkTrustFolder(at());
    expect(folder.current().crls).toHaveLength(0);
    put('middle.crl', middle, ['05']);
    expect(folder.current().crls).toHaveLength(1);
    writeFileSync(at('crls', 'half.crl'), 'half a list');
    expect([folder.current().crls.length, folder.fault]).toEqual([1, expect.stringContaining('half.crl')]);
    rmSync(at('crls', 'half.crl'));
    put('root.pem', root, []);
    expect([folder.current().crls.length, folder.fault]).toEqual([2, null]);
  });

  test('with a file that cannot be read ends a start, with the file’s name', () => {
    writeFileSync(at('crls', 'half.crl'), 'half a list');
    expect(() => new EkTrustFolder(at())).toThrow(/half\.crl: no revocation list/);
  });

  test('that is not there at all trusts nobody', () => {
    expect(new EkTrustFolder(at('nowhere')).current()).toEqual({
      hardware: [],
      software: [],
      intermediates: [],
      crls: [],
    });
  });
});

test('which TPM waits, and which is in, is shown by vendor, model and firmware', async () => {
  const desk = await openDesk({ ...office, settings: settings() });
  const { ekCertificate, ekChain } = request;
  await ask(desk, device, { ekCertificate, ekChain });
  const shown = async (): Promise<unknown> => {
    const row = await desk.registry.device(device.id);
    const roster = new Roster(desk.registry, office.settings.trust.resultKeys);
    await roster.load();
    return row === null ? null : tpmView(row, { registry: desk.registry, roster });
  };
  const tpm = { manufacturer: 'id:54535400', vendor: 'TST', model: 'model', version: 'id:00010002' };
  expect(await shown()).toEqual(tpm);
  await desk.desk.approve(device.id, 'Jo');
  expect(await shown()).toEqual(tpm);
});
