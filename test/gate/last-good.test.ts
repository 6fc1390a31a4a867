// The last good release comes back only for one that is really altered, and only if it may still be opened itself.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { MemoryFloor } from '../fakes/memory-floor.ts';
import { FILES, makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'last-good-'));
const make = async (number: number, passport = {}): Promise<MadeRelease> =>
  makeRelease(join(root, `${number}${Object.keys(passport).join('')}`), pool, {
    files: { ...FILES, 'classifier.onnx': `weights of version ${number}` },
    passport: { version: `${number}.0.0`, ...passport },
  });
const one = await make(1);
const two = await make(2);
const higher = await make(3, { securityVersion: 2 });
const withdrawing = await make(4, { withdraws: [one.id] });
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

let device: Device;
beforeEach(async () => {
  device = new Device(pool);
  await device.install(one.id, one.folder);
  return async () => device[Symbol.asyncDispose]();
});
const alter = (id: string): void => {
  const file = join(device.stateDir, 'releases', id, 'model', 'classifier.onnx');
  chmodSync(file, 0o644);
  writeFileSync(file, 'other weights');
};

describe('the last good release', () => {
  test('is put back for one that is altered, and a report says so', async () => {
    await device.install(two.id, two.folder);
    alter(two.id);
    expect(await device.gate().putBack('main')).toBe(true);
    expect(device.read('classifier.onnx')).toBe('weights of version 1');
    expect(await device.row()).toMatchObject({ state: 'COMMITTED', active: one.id, previous: null });
    expect(device.names('releases')).toEqual([one.id]);
    const [report] = await device.journal.reports();
    expect(report).toMatchObject({ kind: 'rolled-back', rule: 'last-good', subject: two.id, slot: 'main' });
    // There is none before it.
    alter(one.id);
    expect(await device.gate().putBack('main')).toBe(false);
  });

  test('stays where it is while the committed one is as it was signed', async () => {
    await device.install(two.id, two.folder);
    expect(await device.gate().putBack('main')).toBe(false);
    expect(device.linked()).toBe(two.id);
  });

  test('does not come back when it is altered too', async () => {
    await device.install(two.id, two.folder);
    alter(two.id);
    alter(one.id);
    expect(await device.gate().putBack('main')).toBe(false);
  });

  test('does not come back when it was withdrawn', async () => {
    await device.install(withdrawing.id, withdrawing.folder);
    alter(withdrawing.id);
    expect(await device.gate().putBack('main')).toBe(false);
  });

  test('does not come back below the floor, be it in the TPM or in the journal', async () => {
    await device.install(higher.id, higher.folder);
    alter(higher.id);
    expect(await device.gate().putBack('main')).toBe(false);
    expect(await device.gate({ floor: new MemoryFloor(2n) }).putBack('main')).toBe(false);
    expect(await device.gate({ floor: new MemoryFloor(1n) }).putBack('main')).toBe(true);
    expect(device.linked()).toBe(one.id);
  });

  test('does not come into an open trial, which ends by itself', async () => {
    await device.stage(two.id, two.folder);
    alter(two.id);
    expect(await device.gate().putBack('main')).toBe(false);
  });
});
