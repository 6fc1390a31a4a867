// A release above the floor brings the token that raises it, or stays outside: inside, it would hold the slot for ever.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Floor } from '../../src/gate/floor.ts';
import { MemoryFloor } from '../fakes/memory-floor.ts';
import { FILES, makeRelease } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'needed-'));
const make = async (number: number, securityVersion: number): Promise<MadeRelease> =>
  makeRelease(join(root, String(number)), pool, {
    files: { ...FILES, 'classifier.onnx': `weights of version ${number}` },
    passport: { version: `${number}.0.0`, securityVersion },
  });
const one = await make(1, 1);
const same = await make(2, 1);
const two = await make(3, 2);
/** A thief of the publisher's key signs as high as there is. */
const evil = await make(4, Number.MAX_SAFE_INTEGER);
writeFileSync(join(two.folder, 'floor-token.json'), 'good');
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

class TokenFloor extends MemoryFloor {
  constructor() {
    super(1n);
  }

  override async raise(slot: string, version: number, token?: Uint8Array | null): Promise<void> {
    if (Buffer.from(token ?? []).toString() === 'good' && version === 2) await super.raise(slot, version);
  }

  async refusals(_slot: string, version: number, token: Uint8Array | null): Promise<readonly string[]> {
    if (token === null) return ['no-token'];
    return version === 2 ? [] : ['other-order'];
  }
}

let device: Device;
beforeEach(async () => {
  device = new Device(pool);
  await device.install(one.id, one.folder);
  return async () => device[Symbol.asyncDispose]();
});

test('without a token nothing above the floor is let in, and nothing is staged', async () => {
  const changes = { floor: new TokenFloor() };
  const outcome = await device.stage(evil.id, evil.folder, { changes });
  expect(outcome).toMatchObject({ kind: 'refused', rule: 'release-floor-token' });
  expect(outcome.detail).toContain(`from 1 to ${Number.MAX_SAFE_INTEGER}, found no-token`);
  expect(await device.row()).toMatchObject({ active: one.id, staged: null });
  expect(device.names('releases')).toEqual([one.id]);
});

test('with its token, and at the floor without one, a release goes on trial and is committed', async () => {
  const floor = new TokenFloor();
  expect((await device.stage(same.id, same.folder, { changes: { floor } })).kind).toBe('activated');
  await device.gate({ floor }).commit('main');
  expect((await device.stage(two.id, two.folder, { changes: { floor } })).kind).toBe('activated');
  await device.gate({ floor }).commit('main');
  expect(await device.row()).toMatchObject({ active: two.id, staged: null, state: 'COMMITTED' });
  expect(floor.value).toBe(2n);
});

test('without this check the thief’s release holds the slot: neither committed nor left, and the genuine next one stays outside', async () => {
  const real = new TokenFloor();
  const blind: Floor = {
    read: async () => real.read(),
    raise: async (slot, version, token) => real.raise(slot, version, token),
  };
  const changes = { floor: blind };
  expect((await device.stage(evil.id, evil.folder, { changes })).kind).toBe('activated');
  await device.gate(changes).commit('main');
  expect(await device.row()).toMatchObject({ staged: evil.id, state: 'COMMITTING' });
  expect(await device.stage(two.id, two.folder, { changes })).toMatchObject({ kind: 'refused', rule: 'trial-open' });
});
