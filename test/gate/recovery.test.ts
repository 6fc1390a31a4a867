// What a start makes of a state directory that is not as the journal says.
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { removeTree, replaceSymlink } from '../../src/files/durable.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { DAY, makeRelease, named, NOW, publisher, trustOf, writeTree } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'recovery-'));
const first = await makeRelease(join(root, '1'), pool, { passport: { securityVersion: 1 } });
const second = await makeRelease(join(root, '2'), pool, {
  passport: { securityVersion: 2, version: '2.0.0', notAfter: NOW + DAY },
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

let device: Device;
beforeEach(async () => {
  device = new Device(pool);
  await device.install(first.id, first.folder);
  await device.install(second.id, second.folder);
  return async () => device[Symbol.asyncDispose]();
});

const link = (): string => join(device.stateDir, 'slots', 'main');
const alter = (id: string): void => {
  const file = join(device.stateDir, 'releases', id, 'model', 'classifier.onnx');
  chmodSync(file, 0o644);
  writeFileSync(file, 'other weights');
};

describe('a link that is not what the journal says', () => {
  test('is put back, whatever has become of it', async () => {
    const ways: (() => Promise<void>)[] = [
      async () => removeTree(link()),
      async () => replaceSymlink(link(), `../releases/${first.id}`),
      async () => replaceSymlink(link(), '/etc'),
      async () => {
        await removeTree(link());
        writeTree(join(link(), 'model'), { 'classifier.onnx': 'put in by hand' });
      },
    ];
    for (const change of ways) {
      await change();
      await device.gate().recover();
      expect(device.linked()).toBe(second.id);
      expect(device.read('classifier.onnx')).toBe('weights of version 1');
    }
  });

  test('is put back also when the release has expired since: what runs goes on', async () => {
    await removeTree(link());
    await device.gate({ now: () => NOW + 2 * DAY }).recover();
    expect(device.linked()).toBe(second.id);
  });

  test('is taken away when what the journal names is altered, or nobody may have signed it', async () => {
    await replaceSymlink(link(), `../releases/${first.id}`);
    await device.gate({ trust: trustOf({ publishers: [] }) }).recover();
    expect(device.linked()).toBeNull();
    await device.gate().recover();
    expect(device.linked()).toBe(second.id);
    alter(second.id);
    await removeTree(link());
    await device.gate().recover();
    expect(device.linked()).toBeNull();
  });

  test('is left to the measurement when it is where it belongs', async () => {
    alter(second.id);
    await device.gate().recover();
    expect(device.linked()).toBe(second.id);
  });
});

describe('a switch that a cut left open', () => {
  const staged = async (id: string): Promise<void> => {
    await device.journal.setSlot({ ...(await device.row()), staged: id, state: 'STAGED' });
  };

  test('goes on trial only if the release is let in again', async () => {
    await device.journal.setSlot({ ...(await device.row()), active: first.id, previous: null, securityVersion: 1 });
    await staged(second.id);
    await device.gate().recover();
    expect(await device.row()).toMatchObject({
      active: first.id,
      staged: second.id,
      state: 'TRIAL',
      tries: 1,
      securityVersion: 1,
    });
    expect(device.linked()).toBe(second.id);
  });

  test.each([
    ['is older than what runs', async () => staged(first.id)],
    ['is not there', async () => staged('ab'.repeat(32))],
  ])('is undone when the release %s', async (_, open) => {
    await open();
    await device.gate().recover();
    expect(await device.row()).toMatchObject({ active: second.id, staged: null });
    expect(device.linked()).toBe(second.id);
  });

  test('is undone when the release was altered meanwhile, also when the link is switched already', async () => {
    await device.journal.setSlot({ ...(await device.row()), active: first.id, previous: null, securityVersion: 1 });
    await staged(second.id);
    alter(second.id);
    await device.gate().recover();
    expect(await device.row()).toMatchObject({ active: first.id, staged: null });
    expect(device.linked()).toBe(first.id);
    expect(device.names('releases')).toEqual([first.id]);
  });

  test('is undone when its last day has passed: it never ran', async () => {
    await device.journal.setSlot({ ...(await device.row()), active: first.id, previous: null, securityVersion: 1 });
    await staged(second.id);
    await device.gate({ now: () => NOW + 2 * DAY }).recover();
    expect(device.linked()).toBe(first.id);
  });
});

describe('a journal that was lost', () => {
  /** The state directory with an empty journal. */
  const forget = (): Device => new Device(pool, device.stateDir);

  test('has what the slots hold let in again, as if it had just come', async () => {
    const lost = forget();
    await lost.gate().recover();
    expect(await lost.row()).toMatchObject({ active: second.id, previous: null, securityVersion: 2 });
    expect(lost.linked()).toBe(second.id);
    expect(lost.names('releases')).toEqual([second.id]);
  });

  test('does not make an altered release loadable', async () => {
    alter(second.id);
    const lost = forget();
    await lost.gate().recover();
    expect(await lost.row()).toMatchObject({ active: null, securityVersion: 0 });
    expect(lost.linked()).toBeNull();
    expect(lost.names('releases')).toEqual([]);
  });
});

test('what belongs to no slot of the profile is taken out of slots/', async () => {
  symlinkSync(`../releases/${second.id}`, join(device.stateDir, 'slots', 'stray'));
  writeTree(join(device.stateDir, 'slots', 'folder'), { f: 'x' });
  await device.gate().recover();
  expect(device.names('slots')).toEqual(['main']);
});

test('the gate says what a slot should hold, as long as that opens', async () => {
  expect((await device.gate().expected('main'))?.id).toBe(second.id);
  expect(await device.gate().expected('signs')).toBeNull();
  const revoked = [{ id: named(publisher).id, reason: 'stolen', at: NOW }];
  // A revoked key lets nothing new in, and does not stop what was let in before.
  expect((await device.gate({ trust: trustOf({ revoked }) }).expected('main'))?.id).toBe(second.id);
  expect(await device.gate({ trust: trustOf({ publishers: [] }) }).expected('main')).toBeNull();
  await removeTree(join(device.stateDir, 'releases', second.id));
  expect(await device.gate().expected('main')).toBeNull();
});
