// A release rehearsed against a fleet as it is: exported from its controller, read from a file and over https.
import { createPublicKey } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueCertificate, makeAuthority } from '../../src/crypto/certificates.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { FleetExport } from '../../src/controller/fleet-export.ts';
import { enrolledDevice, flipByte } from '../../src/testing.ts';
import type { EnrolledDevice, TestRelease, UpgradeEnd } from '../../src/testing.ts';
import type { Ran } from '../../src/testing/stage.ts';
import { rehearsed } from '../support/rehearsal.ts';
import { WebServer } from '../transfer/web-server.ts';

const SLOW = 300_000;
const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
const tmp = join(folder, 'tmp');
const web = join(folder, 'web');
const file = join(web, 'fleet.json');
let device: EnrolledDevice;
let installed: UpgradeEnd | null = null;
let exported: Ran | null = null;
let [one, two]: (TestRelease | undefined)[] = [];

beforeAll(async () => {
  for (const dir of [tmp, web]) await mkdir(dir);
  device = await enrolledDevice();
  one = await device.release({ version: '1.0.0' });
  two = await device.release({ version: '1.1.0' });
  installed = await device.install(one);
  exported = await device.touchstone('fleet', 'export', '--state', device.sandbox.controllerState, '--out', file);
}, SLOW);
afterAll(async () => {
  await device[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A web server that a certificate authority of this test vouches for, named to the process that asks it. */
async function served(): Promise<WebServer> {
  const [authority, key] = [generateKey('p256').privateKey, generateKey('p256').privateKey];
  const [notBefore, notAfter] = [Date.now() - 3_600_000, Date.now() + 3_600_000];
  await writeFile(join(folder, 'ca.pem'), makeAuthority('test', authority, notBefore, notAfter));
  const publicKey = createPublicKey(key);
  const wish = { commonName: 'web', publicKey, notBefore, notAfter, use: 'server', names: ['localhost'] } as const;
  const cert = issueCertificate(wish, { commonName: 'test', key: authority });
  return WebServer.start(web, { key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), cert });
}

test('the export says what the device is, and holds no secret', async () => {
  expect(installed?.end).toBe('attested');
  expect(exported?.code).toBe(0);
  expect(exported?.stdout).toContain('1 devices and 1 profiles');
  const text = await readFile(file, 'utf8');
  const { devices } = JSON.parse(text) as FleetExport;
  expect(devices).toEqual([
    {
      id: device.id,
      label: null,
      profile: 'testing',
      slots: [{ slot: 'detector', release: one?.id, version: '1.0.0' }],
      floors: [],
    },
  ]);
  expect(text).not.toContain('PRIVATE KEY');
});

test(
  'the controller keeps the same document at hand by itself, and one that it cannot write ends nothing',
  { timeout: SLOW },
  async () => {
    const { sandbox } = device;
    const settings = join(sandbox.controllerState, 'controller.json');
    const before = await readFile(settings, 'utf8');
    const kept = join(web, 'kept.json');
    const restart = async (fleetExport: string | null): Promise<void> => {
      const changed = { ...(JSON.parse(before) as object), ...(fleetExport === null ? {} : { fleetExport }) };
      await writeFile(settings, JSON.stringify(changed));
      await sandbox.controller.end('SIGTERM');
      await sandbox.startController();
    };
    const keptFleet = async (): Promise<object> => {
      const { exportedAt: _, ...fleet } = JSON.parse(await readFile(kept, 'utf8')) as FleetExport;
      return fleet;
    };
    await restart(kept);
    const { exportedAt: _, ...byHand } = JSON.parse(await readFile(file, 'utf8')) as FleetExport;
    await expect.poll(keptFleet, { timeout: 10_000 }).toEqual(byHand);

    await device.touchstone('device', 'label', device.id, 'line 4', '--state', sandbox.controllerState);
    process.kill(sandbox.controller.pid, 'SIGHUP');
    await expect.poll(keptFleet, { timeout: 10_000 }).toMatchObject({ devices: [{ label: 'line 4' }] });

    await restart(join(folder, 'nowhere', 'fleet.json'));
    await sandbox.controller.says(/export .*nowhere.* is not up to date/);
    await device.attest();
    await device.touchstone('device', 'label', device.id, '--state', sandbox.controllerState);
    await restart(null);
  },
);

test('over https, the upgrade from what the devices run is played once for them', { timeout: SLOW }, async () => {
  await using server = await served();
  const args = ['--fleet', `${server.url}fleet.json`, '--release', two?.folder ?? '', '--from', one?.folder ?? ''];
  const env = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
  const { code, reports } = await rehearsed(args, { tmp, junit: join(folder, 'junit.xml'), env });
  expect(reports.map(({ fleet, from, notes }) => ({ fleet, from: from?.id, notes }))).toEqual([
    { fleet: { devices: 1, running: one?.id, floor: null }, from: one?.id, notes: [] },
  ]);
  expect(reports[0]?.scenes.filter((scene) => scene.result !== 'passed')).toEqual([]);
  expect(code).toBe(0);
});

test(
  'from a file, a release of before that was not given is said, and a bad release ends with 1',
  { timeout: SLOW },
  async () => {
    const bad = join(folder, 'bad');
    await cp(two?.folder ?? '', bad, { recursive: true });
    await flipByte(join(bad, 'model/model.bin'));
    const { code, report } = await rehearsed(['--fleet', file, '--release', bad], {
      tmp,
      junit: join(folder, 'bad.xml'),
    });
    expect({ code, rule: report.rule }).toEqual({ code: 1, rule: 'release-file-changed' });
    expect(report.notes).toEqual([expect.stringContaining('give its folder with --from')]);
  },
);
