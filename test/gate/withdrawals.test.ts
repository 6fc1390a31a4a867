// A withdrawn release stays out for as long as its publisher is believed, whatever has been installed since.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Passport } from '../../src/release/types.ts';
import {
  makeRelease,
  named,
  NOW,
  other,
  publisher,
  rootStatement,
  signPassport,
  stranger,
  trustOf,
} from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { Device } from './device.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'withdrawals-'));
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const make = async (passport: Partial<Passport> = {}): Promise<MadeRelease> =>
  makeRelease(mkdtempSync(join(root, 'r-')), pool, { passport });

/** A device that had a bad release, then one that withdraws it, then two more. */
async function scene(): Promise<{ device: Device; bad: MadeRelease }> {
  const bad = await make({ version: 'bad' });
  const device = new Device(pool);
  const rest = [await make({ withdraws: [bad.id] }), await make({ version: '3' }), await make({ version: '4' })];
  for (const { id, folder } of [bad, ...rest]) await device.install(id, folder);
  return { device, bad };
}

test('it is refused when the release that withdrew it is long gone', async () => {
  const { device, bad } = await scene();
  await using _device = device;
  expect(device.names('releases')).toHaveLength(2);
  await device.gate().recover();
  const outcome = await device.install(bad.id, bad.folder);
  expect(outcome).toMatchObject({ kind: 'refused', rule: 'release-withdrawn' });
});

test('it is taken again when the key that withdrew it was revoked: what a thief says does not count', async () => {
  await using device = new Device(pool);
  const publishers = [...rootStatement.publishers, { ...named(stranger), modelIds: ['lane-keeper'] }];
  const fine = await makeRelease(mkdtempSync(join(root, 'r-')), pool, { key: stranger });
  const thief = await make({ version: '2', withdraws: [fine.id] });
  await device.install(thief.id, thief.folder);
  const before = { trust: trustOf({ publishers }) };
  expect(await device.install(fine.id, fine.folder, { changes: before })).toMatchObject({ rule: 'release-withdrawn' });
  const revoked = [{ id: named(publisher).id, reason: 'stolen', at: NOW }];
  const after = { trust: trustOf({ publishers, revoked }) };
  expect(await device.install(fine.id, fine.folder, { changes: after })).toMatchObject({ rule: 'done' });
});

test('publishers of other models, strangers and noise withdraw nothing', async () => {
  await using device = new Device(pool);
  const fine = await make({ version: 'fine' });
  const first = await make();
  await device.install(first.id, first.folder);
  const folder = join(device.stateDir, 'withdrawals');
  const said = { ...first.passport, withdraws: [fine.id] };
  writeFileSync(join(folder, 'other.json'), signPassport({ ...said, modelId: 'door-watcher' }, [other]).bytes);
  writeFileSync(join(folder, 'others.json'), signPassport(said, [other]).bytes);
  writeFileSync(join(folder, 'stranger.json'), signPassport(said, [stranger]).bytes);
  writeFileSync(join(folder, 'critical.json'), signPassport({ ...said, crit: ['more'] }, [publisher]).bytes);
  writeFileSync(join(folder, 'noise.json'), '{');
  symlinkSync('/etc/passwd', join(folder, 'link.json'));
  expect(await device.install(fine.id, fine.folder)).toMatchObject({ rule: 'done' });
});
