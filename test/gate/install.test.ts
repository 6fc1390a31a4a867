// A good release goes in, whichever way it comes, and what ran before is kept or cleaned up.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { FILES, makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'releases-'));
const made: MadeRelease[] = [];

beforeAll(async () => {
  for (const number of [1, 2, 3]) {
    const files = { ...FILES, 'classifier.onnx': `weights of version ${number}` };
    const passport = { version: `${number}.0.0`, securityVersion: number };
    made.push(await makeRelease(join(root, String(number)), pool, { files, passport }));
  }
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const release = (number: number): MadeRelease => {
  const one = made[number - 1];
  if (one === undefined) throw new RangeError(`no release ${number}`);
  return one;
};

test('installs a signed release from the folder that the command names', async () => {
  await using device = new Device(pool);
  const { id, folder } = release(1);
  const outcome = await device.install(id, folder);
  expect(outcome).toMatchObject({ kind: 'activated', rule: 'done' });
  expect(device.linked()).toBe(id);
  expect(device.read('classifier.onnx')).toBe('weights of version 1');
  expect(await device.row()).toMatchObject({ active: id, previous: null, staged: null, securityVersion: 1, order: 1 });
});

test('a second release takes the slot, and the first is kept as the one before', async () => {
  await using device = new Device(pool);
  await device.install(release(1).id, release(1).folder);
  const outcome = await device.install(release(2).id, release(2).folder);
  expect(outcome.detail).toContain(`after release ${release(1).id.slice(0, 12)}`);
  expect(device.read('classifier.onnx')).toBe('weights of version 2');
  expect(await device.row()).toMatchObject({ active: release(2).id, previous: release(1).id, securityVersion: 2 });
  expect(device.names('releases')).toEqual([release(1).id, release(2).id].toSorted());
});

test('what no slot uses any more is removed', async () => {
  await using device = new Device(pool);
  for (const number of [1, 2, 3]) await device.install(release(number).id, release(number).folder);
  expect(device.names('releases')).toEqual([release(2).id, release(3).id].toSorted());
});
