// The power is cut before every step of an installation, and before every step of the recovery after it.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { StepHook } from '../../src/gate/places.ts';
import { Device } from '../gate/device.ts';
import { FILES, makeRelease, writeTree } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'cuts-'));
const text = (number: number): string => `weights of version ${number}`;
let first: MadeRelease;
let second: MadeRelease;

beforeAll(async () => {
  const make = async (number: number): Promise<MadeRelease> =>
    makeRelease(join(root, String(number)), pool, {
      files: { ...FILES, 'classifier.onnx': text(number) },
      passport: { securityVersion: number },
    });
  first = await make(1);
  second = await make(2);
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

class PowerCut extends Error {}

/** Counts steps; with `at`, the power goes before that one. */
function cutter(at: number | null): { readonly names: string[]; readonly step: StepHook } {
  const names: string[] = [];
  const step: StepHook = (name) => {
    names.push(name);
    if (at !== null && names.length > at) throw new PowerCut(name);
  };
  return { names, step };
}

/** Runs until it ends or the power is cut; true for a cut. */
async function untilCut(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
    return true;
  }
}

interface Scene {
  readonly name: string;
  prepare(device: Device): Promise<void>;
  /** What may be read through the slot before and after; null: nothing. */
  readonly may: readonly (string | null)[];
}

const SCENES: readonly Scene[] = [
  { name: 'the first release of a slot', prepare: async () => {}, may: [null, text(2)] },
  {
    name: 'an upgrade',
    prepare: async (device) => {
      await device.install(first.id, first.folder);
    },
    may: [text(1), text(2)],
  },
  {
    name: 'the same release over an altered one',
    prepare: async (device) => {
      await device.install(second.id, second.folder);
      const folder = join(device.stateDir, 'releases', second.id);
      chmodSync(folder, 0o755);
      rmSync(join(folder, 'passport.json'));
    },
    may: [text(2), null],
  },
  {
    name: 'a release from the inbox over something strange in the slot',
    prepare: async (device) => {
      writeTree(join(device.stateDir, 'slots', 'main', 'model'), { 'classifier.onnx': 'put in by hand' });
      await makeRelease(join(device.stateDir, 'inbox', second.id), pool, {
        files: { ...FILES, 'classifier.onnx': text(2) },
        passport: { securityVersion: 2 },
      });
    },
    may: [null, text(2)],
  },
];

function seen(device: Device): string | null {
  return device.linked() === null ? null : device.read('classifier.onnx');
}

const source = (scene: Scene): string | null => (scene.name.includes('inbox') ? null : second.folder);

/** What must hold once a start has recovered. */
async function assertRecovered(device: Device, scene: Scene): Promise<void> {
  const row = await device.row();
  expect(['NONE', 'TRIAL', 'COMMITTED']).toContain(row.state);
  expect(device.linked()).toBe(row.state === 'TRIAL' ? row.staged : row.active);
  const stored = [row.active, row.previous, row.staged].filter((id) => id !== null).toSorted();
  expect(device.names('releases')).toEqual(stored);
  expect(scene.may).toContain(seen(device));
  // What is on trial can pass it, the switch still works, and what is wanted gets there.
  if (row.state === 'TRIAL') await device.gate().commit('main');
  expect(await device.install(second.id, source(scene) ?? second.folder)).toMatchObject({ rule: 'done' });
  expect(seen(device)).toBe(text(2));
}

async function stepsOf(scene: Scene): Promise<number> {
  await using device = new Device(pool);
  await scene.prepare(device);
  const { names, step } = cutter(null);
  await device.install(second.id, source(scene), { changes: { step } });
  return names.length;
}

describe('a cut before every step of', () => {
  test.each(SCENES)('$name leaves one loadable signed model, or the slot as it was', async (scene) => {
    const steps = await stepsOf(scene);
    expect(steps).toBeGreaterThan(8);
    for (let at = 0; at < steps; at++) {
      await using device = new Device(pool);
      await scene.prepare(device);
      const { step } = cutter(at);
      const cut = await untilCut(async () => device.install(second.id, source(scene), { changes: { step } }));
      expect(cut).toBe(true);
      await device.gate().recover();
      await assertRecovered(device, scene);
    }
  });

  test.each(SCENES)('the recovery of $name is recovered from as well', async (scene) => {
    const steps = await stepsOf(scene);
    let cuts = 0;
    for (let at = 0; at < steps; at++) {
      for (let again = 0, more = true; more; again++) {
        await using device = new Device(pool);
        await scene.prepare(device);
        await untilCut(async () => device.install(second.id, source(scene), { changes: { step: cutter(at).step } }));
        more = await untilCut(async () => device.gate({ step: cutter(again).step }).recover());
        cuts += more ? 1 : 0;
        await device.gate().recover();
        await assertRecovered(device, scene);
      }
    }
    expect(cuts).toBeGreaterThan(0);
  });
});

test('a recovery with nothing to recover changes nothing', async () => {
  await using device = new Device(pool);
  await device.gate().recover();
  expect(device.names('releases')).toEqual([]);
  await device.install(first.id, first.folder);
  const before = await device.row();
  await device.gate().recover();
  expect(await device.row()).toEqual(before);
  expect(device.linked()).toBe(first.id);
});

test('what a cut left of an unfinished copy is never in the way', async () => {
  await using device = new Device(pool);
  await device.install(first.id, first.folder);
  const left = join(device.stateDir, 'releases', '.touchstone-tmp-x');
  writeFileSync(left, 'half');
  const status = join(device.stateDir, '.touchstone-tmp-status.json-x');
  writeFileSync(status, '{');
  await device.gate().recover();
  expect(device.names('releases')).toEqual([first.id]);
  expect(device.names('.').filter((name) => name.startsWith('.touchstone-tmp-'))).toEqual([]);
});
