// The power is cut before every step of a trial and its end, with the floor in a TPM; and a disk of before is put under the TPM of after.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { removeTree } from '../../src/files/durable.ts';
import type { StepHook } from '../../src/gate/places.ts';
import type { SlotRow } from '../../src/store/journal.ts';
import { MemoryFloor } from '../fakes/memory-floor.ts';
import { Device } from '../gate/device.ts';
import { FILES, makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'trial-cuts-'));
const make = async (number: number): Promise<MadeRelease> =>
  makeRelease(join(root, String(number)), pool, {
    files: { ...FILES, 'classifier.onnx': `weights of version ${number}` },
    passport: { securityVersion: number },
  });
const [one, two] = [await make(1), await make(2)];
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

class PowerCut extends Error {}

interface World {
  readonly device: Device;
  readonly floor: MemoryFloor;
  readonly step: StepHook;
  /** Names of the steps so far; with `at` the power goes before that one. */
  readonly names: string[];
}

function world(device: Device, floorAt: bigint, at: number | null): World {
  const names: string[] = [];
  const step = (name: string): void => {
    names.push(name);
    if (at !== null && names.length > at) throw new PowerCut(name);
  };
  return { device, floor: new MemoryFloor(floorAt, step), step, names };
}

async function untilCut(work: () => Promise<unknown>): Promise<boolean> {
  return work().then(
    () => false,
    (error: unknown) => {
      if (error instanceof PowerCut) return true;
      throw error;
    },
  );
}

/** How a trial of release 2 ends. */
const ENDS = {
  commits: async ({ device, floor, step }: World): Promise<void> => {
    await device.stage(two.id, two.folder, { changes: { floor, step } });
    await device.gate({ floor, step }).commit('main');
  },
  fails: async ({ device, floor, step }: World): Promise<void> => {
    await device.stage(two.id, two.folder, { changes: { floor, step } });
    await device.gate({ floor, step }).rollBack('main', { rule: 'health-exit', detail: 'exit code 1' });
  },
} as const;

/** What holds after every start, whatever was cut. */
async function assertWhole(device: Device, floor: MemoryFloor): Promise<SlotRow> {
  const row = await device.row();
  const number = row.state === 'TRIAL' || (row.state === 'COMMITTED' && row.active === two.id) ? 2 : 1;
  expect(device.linked()).toBe(number === 2 ? two.id : one.id);
  expect(device.read('classifier.onnx')).toBe(`weights of version ${number}`);
  // Nothing below the floor can be opened, and the floor is not above what was committed.
  expect(BigInt(number)).toBeGreaterThanOrEqual(floor.value);
  const committed = BigInt(row.securityVersion);
  expect(row.state === 'COMMITTED' ? floor.value : committed).toBe(committed);
  expect(row.state).not.toBe('STAGED');
  expect(device.names('releases')).toContain(number === 2 ? two.id : one.id);
  return row;
}

async function ready(): Promise<Device> {
  const device = new Device(pool);
  await device.install(one.id, one.folder);
  return device;
}

describe.each(Object.entries(ENDS))('a trial that %s', (_, run) => {
  test('is cut before every step, and again before every step of the start after it', async () => {
    await using whole = await ready();
    const uncut = world(whole, 1n, null);
    await run(uncut);
    expect(uncut.names.length).toBeGreaterThan(12);
    let starts = 0;
    for (let at = 0; at < uncut.names.length; at++) {
      for (let again = 0, more = true; more; again++) {
        await using device = await ready();
        const first = world(device, 1n, at);
        expect(await untilCut(async () => run(first))).toBe(true);
        const second = world(device, first.floor.value, again);
        more = await untilCut(async () => device.gate({ floor: second.floor, step: second.step }).recover());
        const floor = new MemoryFloor(second.floor.value);
        await device.gate({ floor }).recover();
        const row = await assertWhole(device, floor);
        // It ends: the trial can pass, or is rolled back after its boots; a failed one has its reason in a report.
        if (row.state === 'TRIAL') await device.gate({ floor }).commit('main');
        const back = uncut.names.slice(0, at).includes('journal the roll-back');
        expect((await device.journal.reports()).length).toBe(back ? 1 : 0);
        await assertWhole(device, floor);
        starts += 1;
      }
    }
    expect(starts).toBeGreaterThan(uncut.names.length);
  }, 240_000);
});

test('a disk of any moment under the TPM of afterwards opens nothing below the floor, and loses nothing that passed', async () => {
  await using whole = await ready();
  const uncut = world(whole, 1n, null);
  await ENDS.commits(uncut);
  const needed: (bigint | null)[] = [];
  for (let at = 0; at < uncut.names.length; at++) {
    await using device = await ready();
    await untilCut(async () => ENDS.commits(world(device, 1n, at)));
    const rows = await device.journal.slots();
    // The disk as it was, copied: the journal of the restored device says what it said then.
    await using restored = new Device(pool);
    await removeTree(restored.stateDir);
    cpSync(device.stateDir, restored.stateDir, { recursive: true, verbatimSymlinks: true });
    for (const row of rows) await restored.journal.setSlot(row);
    const gate = restored.gate({ floor: new MemoryFloor(2n) });
    await gate.recover();
    needed.push(gate.needs('main'));
    const row = await restored.row();
    expect(restored.linked()).toBe(gate.needs('main') === null ? two.id : null);
    expect(row).toMatchObject({ state: 'COMMITTED', active: gate.needs('main') === null ? two.id : one.id });
    // NOLOAD takes an upgrade.
    expect(await restored.install(two.id, two.folder)).toMatchObject({ rule: 'done' });
  }
  expect(new Set(needed)).toEqual(new Set([2n, null]));
}, 120_000);
