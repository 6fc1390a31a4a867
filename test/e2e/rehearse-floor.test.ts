// Rehearsals of a profile with a version floor: raised by the fleet's own token after the trial, and no older disk brings it down.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { SceneReport } from '../../src/rehearse/report.ts';
import { floorDefinitionOf } from '../../src/release/floor-definition.ts';
import { loadTrust } from '../../src/release/root.ts';
import { defineFloors } from '../../src/tpm/floor/definition.ts';
import type { FloorDefinition } from '../../src/tpm/floor/definition.ts';
import { encodeFloorToken } from '../../src/tpm/floor/token-file.ts';
import { floorToken } from '../../src/tpm/floor/token.ts';
import { makeTestFleet, TEST_PROFILE } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { rehearsed } from '../support/rehearsal.ts';
import type { Rehearsed } from '../support/rehearsal.ts';

const SLOW = { timeout: 300_000 };
const FLOOR = 5;
const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
const tmp = join(folder, 'tmp');
let fleet: TestFleet;
let [one, two]: (TestRelease | undefined)[] = [];

beforeAll(async () => {
  await mkdir(tmp);
  const slots = TEST_PROFILE.slots.map((slot) => ({ ...slot, floor: FLOOR }));
  fleet = await makeTestFleet({ profile: { ...TEST_PROFILE, slots } });
  const into = join(folder, 'releases');
  await mkdir(into);
  one = await fleet.release({ into, securityVersion: 1 });
  two = await fleet.release({ into, version: '2.0.0', securityVersion: 2 });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Puts a token from floor 1 to 2 into the second release. */
async function tokenBy(
  definition: FloorDefinition,
  privateKey: ReturnType<typeof generateKey>['privateKey'],
): Promise<void> {
  const order = { kind: 'raise', slot: FLOOR, to: 2n, maxStep: 1n } as const;
  const token = floorToken(definition, order, { by: 'floor', privateKey });
  await writeFile(join(two?.folder ?? '', 'floor-token.json'), encodeFloorToken(token));
}

async function upgrade(): Promise<Rehearsed> {
  const args = ['--fleet', fleet.deviceDir, '--profile', fleet.profileFile, '--release', two?.folder ?? ''];
  return rehearsed([...args, '--from', one?.folder ?? ''], {
    tmp,
    junit: join(folder, 'report.xml'),
  });
}

const named = ({ report }: Rehearsed, name: string): SceneReport | undefined =>
  report.scenes.find((scene) => scene.name === name);

describe('a rehearsal of a profile with a version floor', () => {
  test(
    'refuses a release above the floor that brings no token, or one of somebody else’s floor key',
    SLOW,
    async () => {
      const expected = { ok: false, rule: 'release-floor-token' };
      expect((await upgrade()).report).toMatchObject(expected);
      const { privateKey, publicKey } = generateKey('p256');
      await tokenBy(defineFloors({ floor: publicKey, root: null }), privateKey);
      const { code, report } = await upgrade();
      expect(report).toMatchObject(expected);
      expect(code).toBe(1);
    },
  );

  test('raises it by the fleet’s own token, and no older disk brings a lower release back', SLOW, async () => {
    const at = async (name: string): Promise<Buffer> => readFile(join(fleet.deviceDir, name));
    const { root } = loadTrust(await at('fleet.json'), await at('root.json'), Date.now(), 0);
    const definition = floorDefinitionOf(root);
    if (definition === null) throw new Error('the test fleet has no floor keys');
    await tokenBy(definition, fleet.key('root/floor.key.pem'));
    const played = await upgrade();
    expect(played.report.scenes.filter((scene) => scene.result !== 'passed')).toEqual([]);
    expect(named(played, 'floor')?.saw).toMatch(
      /the slot is empty; floor 2; the release of before: refused: release-older/,
    );
    expect(named(played, 'cut-install')?.saw).toContain('attested');
    expect(played.code).toBe(0);
  });
});
