// What a fleet's export is read as, and which rehearsals it needs: one for all devices that a release finds alike.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFleetExport } from '../../src/rehearse/fleet-export.ts';
import type { ExportedDevice, FleetExport } from '../../src/controller/fleet-export.ts';
import { exportBytes } from '../../src/rehearse/fetch-export.ts';
import { groupsOf } from '../../src/rehearse/jobs.ts';
import { makeTestFleet, MODEL_ID, TEST_PROFILE } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await makeTestFleet();
});
afterAll(async () => fleet[Symbol.asyncDispose]());

const ONE = '11'.repeat(32);
const TWO = '22'.repeat(32);

function device(id: string, release: string | null, more: Partial<ExportedDevice> = {}): ExportedDevice {
  const slots = [{ slot: 'detector', release, version: release === null ? null : '1' }];
  return { id, label: null, profile: TEST_PROFILE.id, slots, floors: [], ...more };
}

async function document(devices: readonly ExportedDevice[], change: Partial<FleetExport> = {}): Promise<Buffer> {
  const words = async (name: string): Promise<string> => readFile(join(fleet.deviceDir, name), 'base64');
  const exact = (profile: object): string => Buffer.from(JSON.stringify(profile)).toString('base64');
  const gateway = { ...TEST_PROFILE, id: 'gateway', hardwareClass: 'gateway' };
  return Buffer.from(
    JSON.stringify({
      v: 1,
      exportedAt: 1,
      fleet: await words('fleet.json'),
      root: await words('root.json'),
      profiles: [exact(TEST_PROFILE), exact(gateway)],
      devices,
      ...change,
    } satisfies FleetExport),
  );
}

const passport = { modelId: MODEL_ID, slotRole: 'detector', hardwareClass: ['development'] };

describe('the rehearsals that a fleet needs', () => {
  test('are one for each profile, running release and floor, the most devices first', async () => {
    const floors = [{ slot: 'detector', floor: 3 }];
    const all = [device('a', ONE), device('b', TWO), device('c', TWO), device('d', TWO, { floors }), device('e', null)];
    const known = readFleetExport(await document(all), 'x', Date.now());
    expect(groupsOf(known, passport, null).groups).toEqual([
      { profile: 'test-edge', running: TWO, floor: null, devices: 2 },
      { profile: 'test-edge', running: ONE, floor: null, devices: 1 },
      { profile: 'test-edge', running: TWO, floor: 3, devices: 1 },
      { profile: 'test-edge', running: null, floor: null, devices: 1 },
    ]);
  });

  test('leave out whom the release is not meant for, and say so', async () => {
    const all = [device('a', ONE), device('b', ONE, { profile: 'gateway' }), device('c', ONE, { profile: 'lost' })];
    const known = readFleetExport(await document(all), 'x', Date.now());
    const { groups, notes } = groupsOf(known, passport, null);
    expect(groups).toEqual([{ profile: 'test-edge', running: ONE, floor: null, devices: 1 }]);
    expect(notes).toEqual([
      "1 of the fleet's devices: the release is not meant for gateway",
      "1 of the fleet's devices: the profile lost is not in the export",
    ]);
    // What cannot be read could be meant for anybody.
    expect(groupsOf(known, null, null).groups.map((one) => one.profile)).toEqual(['test-edge', 'gateway']);
  });
});

describe('a fleet export', () => {
  test('that somebody else signed, that is no JSON, or that has another field is refused', async () => {
    const now = Date.now();
    const root = await readFile(join(fleet.deviceDir, 'root.json'), 'utf8');
    const bad = [
      await document([], { root: Buffer.from(root.replace(/"sig": "\w{4}/, '"sig": "AAAA')).toString('base64') }),
      Buffer.from('{'),
      Buffer.from((await document([])).toString().replace('{"v":1', '{"more":1,"v":1')),
    ];
    for (const bytes of bad) {
      expect(() => readFleetExport(bytes, 'x', now)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
  });

  test('is fetched over https alone', async () => {
    const { signal } = new AbortController();
    await expect(exportBytes('http://localhost/fleet.json', signal)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(exportBytes('https://', signal)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(exportBytes(join(fleet.dir, 'nowhere'), signal)).rejects.toMatchObject({ code: 'CONFIG_MISSING' });
  });
});
