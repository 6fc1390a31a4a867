// Where the root asks for several publishers, one stolen key signs nothing; what runs already is not stopped by what the root says later.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { openStored } from '../../src/gate/stored.ts';
import { countersignPassport } from '../../src/release/countersign.ts';
import { keyTableOf, OPEN_CHECKS, openReleaseWith, tableForRunning } from '../../src/release/open.ts';
import type { RootStatement } from '../../src/release/types.ts';
import { makeRelease, named, NOW, other, publisher, rootStatement, trustOf } from './publisher.ts';

const second = generateKey('p256').privateKey;
const two: Partial<RootStatement> = {
  publishers: [...rootStatement.publishers, { ...named(second), modelIds: ['lane-keeper'] }],
  releaseThresholds: [{ modelId: 'lane-keeper', threshold: 2 }],
  revoked: [],
};

let dir: string;
let id: string;
let sig: Buffer;
let passport: Buffer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'two-'));
  await using pool = new HashPool();
  const made = await makeRelease(join(dir, 'made'), pool);
  id = made.id;
  sig = readFileSync(join(made.folder, 'model.sig'));
  passport = readFileSync(join(made.folder, 'passport.json'));
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function rules(keys: readonly KeyObject[], root: Partial<RootStatement> = two, without = ''): string[] {
  const signed = keys.reduce<Buffer>((bytes, key) => countersignPassport(bytes, key), passport);
  const checks = { ...OPEN_CHECKS, content: OPEN_CHECKS.content.filter((check) => check.rule !== without) };
  const opened = openReleaseWith(checks, { sig, passport: signed, ...keyTableOf({ ...rootStatement, ...root }) });
  return opened.ok ? [] : opened.findings.map((finding) => finding.rule);
}

test('two different publishers of the model are enough, and the release keeps its id', () => {
  expect(rules([second])).toEqual([]);
  const both = countersignPassport(passport, second);
  const opened = openReleaseWith(OPEN_CHECKS, { sig, passport: both, ...keyTableOf({ ...rootStatement, ...two }) });
  expect(opened.ok && opened.release.id).toBe(id);
});

test.each<[string, readonly KeyObject[], Partial<RootStatement>]>([
  ['one alone', [], two],
  ['the same one twice', [publisher, publisher], two],
  ['one, and a publisher of other models', [other], two],
  ['one, and a stranger', [generateKey('p256').privateKey], two],
  ['one, and a revoked key', [second], { ...two, revoked: [{ id: named(second).id, reason: 'stolen', at: NOW }] }],
])('is refused by release-threshold, and only by it: %s', (_, keys, root) => {
  expect(rules(keys, root)).toEqual(['release-threshold']);
  expect(rules(keys, root, 'release-threshold')).toEqual([]);
});

test('models of which the root says nothing need one publisher, as ever', () => {
  expect(rules([], { ...two, releaseThresholds: [{ modelId: 'sign-reader', threshold: 2 }] })).toEqual([]);
  expect(rules([], { ...two, releaseThresholds: [] })).toEqual([]);
});

test('a release that was let in stays good when its key is revoked or more signers are asked for; a stranger’s never was', async () => {
  const stored = join(dir, 'state/releases', id);
  mkdirSync(stored, { recursive: true });
  writeFileSync(join(stored, 'model.sig'), sig);
  writeFileSync(join(stored, 'passport.json'), passport);
  const revoked = [{ id: named(publisher).id, reason: 'stolen', at: NOW }];
  expect(rules([], { revoked })).toContain('release-signer-revoked');
  for (const root of [{}, two, { ...two, revoked }]) {
    expect((await openStored(join(dir, 'state'), id, trustOf(root)))?.id).toBe(id);
  }
  const strangers = { publishers: [{ ...named(other), modelIds: ['lane-keeper'] }] };
  expect(await openStored(join(dir, 'state'), id, trustOf(strangers))).toBeNull();
  expect(tableForRunning(rootStatement).publishers).toEqual(rootStatement.publishers);
});
