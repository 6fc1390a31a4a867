// A factory line as people run it: a station's key named by the root, TPMs read, a batch signed, imported, revoked, and written down.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toHex } from '../../src/bytes/text.ts';
import { importPrivateKey } from '../../src/crypto/ecdsa.ts';
import { signBatch } from '../../src/release/batch.ts';
import type { EkBatch } from '../../src/release/batch.ts';
import { quickly, quicklyJson, Scratch, touchstone } from '../support/binary.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { newcomerBus, running } from '../support/members.ts';
import { SoftDevice } from '../support/soft-device.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';

let fleet: TestFleet;
let scratch: Scratch;
let software: SoftwareTpm;
const at = (...parts: string[]): string => scratch.path(...parts);
const rootKey = (): string => `${fleet.dir}/root/root-1.key.pem`;
let made = 0;

/** A change of the root statement in force, for the controller and the copy at the station. */
async function inForce(...change: string[]): Promise<void> {
  const file = at(`root-${++made}.json`);
  const place = ['--fleet', fleet.deviceDir, '--key', rootKey(), '--out', file];
  expect((await quickly(['fleet', ...change, ...place])).code).toBe(0);
  const to = ['--to', fleet.controllerDir, '--to', fleet.deviceDir];
  expect((await quickly(['fleet', 'publish', file, ...to])).code).toBe(0);
}

const sign = (out: string, ...more: string[]): string[] => [
  'station',
  'sign',
  at('line'),
  '--fleet',
  fleet.deviceDir,
  '--key',
  at('keys/station.key.pem'),
  '--ek-roots',
  at('ek-roots'),
  '--out',
  out,
  ...more,
];

beforeAll(async () => {
  [fleet, scratch, software] = await Promise.all([makeTestFleet(), Scratch.make(), startSoftwareTpm()]);
  await quickly(['keygen', '--out', at('keys'), '--name', 'station']);
  await mkdir(at('line'));
  await mkdir(at('ek-roots/hardware'), { recursive: true });
  await mkdir(at('ek-roots/intermediates'), { recursive: true });
  await copyFile(software.rootCertificate, at('ek-roots/hardware/root.pem'));
  await copyFile(software.issuerCertificate, at('ek-roots/intermediates/issuer.pem'));
  const info = await touchstone(['tpm', 'info', '--json', '--tcti', software.tcti]);
  await writeFile(at('line/bench-1.json'), info.stdout);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
  await software[Symbol.asyncDispose]();
});

describe('a station', () => {
  test('signs nothing before the root names it, nor for a profile that it may not let in', async () => {
    const early = await quickly(sign(at('early.json'), '--uncertified', '--profile', 'test-edge'));
    expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('batch-signer-revoked')]);
    await inForce('rotate', '--station-key', `${at('keys/station.pub.pem')}=test-edge`);
    expect((await quickly(['fleet', 'show', '--fleet', fleet.deviceDir])).stdout).toContain('station for test-edge');
    const other = await quickly(sign(at('early.json'), '--uncertified', '--profile', 'gateway'));
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('batch-profile')]);
    await expect(readFile(at('early.json'))).rejects.toThrow('ENOENT');
  });

  test('reads a real TPM, and does not take a software one for hardware', async () => {
    const refused = await quicklyJson(sign(at('refused.json'), '--profile', 'test-edge'));
    expect(refused.code).toBe(1);
    expect(refused.document).toMatchObject({
      file: null,
      faults: [{ file: at('line/bench-1.json'), line: 1, message: 'its certificate names a software TPM' }],
    });
    const signed = await quicklyJson(sign(at('swtpm.json'), '--uncertified', '--profile', 'test-edge'));
    expect([signed.code, signed.document]).toEqual([0, expect.objectContaining({ devices: 1, uncertified: 1 })]);
    const shown = await quicklyJson(['station', 'show', at('swtpm.json'), '--fleet', fleet.deviceDir]);
    const info = JSON.parse(await readFile(at('line/bench-1.json'), 'utf8')) as { endorsementKey: { name: string } };
    expect(shown.document).toMatchObject({
      counts: true,
      batch: { entries: [{ ekName: info.endorsementKey.name, certificate: null, serial: 'bench-1' }] },
    });
    // Never over another.
    expect((await quickly(sign(at('swtpm.json'), '--uncertified', '--profile', 'test-edge'))).code).toBe(3);
  });

  test('shows a batch whose end no calendar holds, as text and as a table', async () => {
    const { document } = await quicklyJson(['station', 'show', at('swtpm.json'), '--fleet', fleet.deviceDir]);
    const { batch } = document as { batch: EkBatch };
    const key = importPrivateKey(await readFile(at('keys/station.key.pem'), 'utf8'));
    await writeFile(at('endless.json'), signBatch({ ...batch, expires: Number.MAX_SAFE_INTEGER }, key));
    const table = ['--csv', at('endless.csv')];
    const shown = await quickly(['station', 'show', at('endless.json'), '--fleet', fleet.deviceDir, ...table]);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining(`until ${Number.MAX_SAFE_INTEGER} ms`)]);
    expect(await readFile(at('endless.csv'), 'utf8')).toContain(`,${Number.MAX_SAFE_INTEGER} ms,`);
  });
});

test('a batch goes to the controller, lets in who waits, and lets in nobody once its station is revoked', async () => {
  await using broker = await fleet.startBroker();
  expect(broker.pid).toBeGreaterThan(0);
  const controller = await running(fleet);
  const [device, later] = [await SoftDevice.make(fleet, null), await SoftDevice.make(fleet, null)];
  const rows = await Promise.all(
    [device, later].map(async (one, n) => `=cam-${n},${toHex((await one.tpm.identity()).ekPublic)},`),
  );
  await writeFile(at('line/table.csv'), ['serial,ek_public,certificate', ...rows].join('\n'));
  const batch = at('batch.json');
  expect((await quickly(sign(batch, '--uncertified', '--profile', 'test-edge'))).code).toBe(0);
  const bus = await newcomerBus(fleet);
  await device.enrol(bus, 'pending');
  const state = ['--state', fleet.controllerDir];
  const imported = await quicklyJson(['device', 'allow', '--import', batch, ...state]);
  expect([imported.code, imported.stderr]).toEqual([0, expect.stringContaining(device.id)]);
  const { batches } = imported.document as { batches: { id: string; count: number; faults: unknown[] }[] };
  expect(batches).toMatchObject([{ count: 3, faults: [] }]);
  const id = batches[0]?.id ?? '';
  const endorsed = await controller.registry.device(device.id);
  expect([endorsed?.state, endorsed?.tier]).toEqual(['approved', 'software']);
  const again = await quicklyJson(['device', 'allow', '--import', batch, ...state]);
  expect([again.code, again.document]).toEqual([
    1,
    expect.objectContaining({ refused: [expect.objectContaining({ rule: 'batch-known' })] }),
  ]);
  expect((await quickly(['device', 'allow', '--import', at('no'), ...state])).code).toBe(2);

  // For auditors: a table, and the batches as they were signed.
  const name = await device.ekName();
  expect((await quickly(['device', 'allow', '--export', at('audit.csv'), ...state])).code).toBe(0);
  const table = await readFile(at('audit.csv'), 'utf8');
  expect(table).toMatch(new RegExp(`^${name},'=cam-0,batch ${id},[0-9a-f]{64},,test-edge,`, 'm'));
  expect((await quickly(['device', 'allow', '--export', at('audit.json'), ...state])).code).toBe(0);
  const audit = JSON.parse(await readFile(at('audit.json'), 'utf8')) as { batches: { envelope: object }[] };
  expect(audit.batches.map((one) => one.envelope)).toEqual([JSON.parse(await readFile(batch, 'utf8'))]);

  const key = (
    (await quicklyJson(['fleet', 'show', '--fleet', fleet.deviceDir])).document as { stations: { id: string }[] }
  ).stations[0];
  await inForce('revoke', key?.id ?? '', '--reason', 'laptop of the line lost');
  await expect
    .poll(() => controller.controller.admissions.expected().batches[0]?.faults.length, { timeout: 20_000 })
    .toBe(1);
  await later.enrol(bus, 'pending');
  const listed = await quickly(['device', 'allow', ...state]);
  expect(listed.stdout).toMatch(/batch-signer-revoked: key [0-9a-f]+: laptop of the line lost/);
  expect((await quickly(['station', 'show', batch, '--fleet', fleet.deviceDir])).code).toBe(1);
  expect((await controller.registry.device(device.id))?.state).toBe('approved');
  expect((await quickly(['device', 'allow', id, '--remove', ...state])).stdout).toContain('taken back');
  await bus[Symbol.asyncDispose]();
});
