// What is signed here verifies here, for folders and single files, whole and in shards; anything else about the files does not.
import fc from 'fast-check';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { verifyEcdsa } from '../../src/crypto/ecdsa.ts';
import { pae } from '../../src/crypto/dsse.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { checkFiles, readingIn } from '../../src/release/check-files.ts';
import type { CheckedFiles, CheckOptions } from '../../src/release/check-files.ts';
import { diffManifests, manifestDigest } from '../../src/release/manifest.ts';
import { DEFAULT_IGNORES, ignoring, listModel } from '../../src/release/model-files.ts';
import type { ModelFiles } from '../../src/release/model-files.ts';
import { readBundle } from '../../src/release/oms-bundle.ts';
import { makeStatement, signStatement } from '../../src/release/oms-sign.ts';
import type { StatementOptions } from '../../src/release/oms-sign.ts';
import { IN_TOTO_TYPE, readStatement } from '../../src/release/oms-statement.ts';
import type { OmsStatement } from '../../src/release/oms-statement.ts';
import { handStatement, publisher, writeTree } from './publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'oms-'));
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const fresh = (): string => mkdtempSync(join(root, 'm-'));
const list = async (path: string): Promise<ModelFiles> => listModel(path, ignoring(DEFAULT_IGNORES));

async function signed(path: string, options: Partial<StatementOptions> = {}): Promise<OmsStatement> {
  const made = await makeStatement(await list(path), { method: 'files', ignored: [], pool, ...options });
  const read = readBundle(signStatement(made.statement, publisher));
  if ('faults' in read) throw new Error('not a bundle');
  expect(verifyEcdsa(publisher, pae(IN_TOTO_TYPE, read.bundle.payload), read.bundle.signature)).toBe(true);
  const said = readStatement(read.bundle.payload);
  if ('faults' in said) throw new Error(said.faults.map((fault) => fault.found).join());
  return said.statement;
}

async function checkedIn(
  path: string,
  statement: OmsStatement,
  options: Omit<CheckOptions, 'read'>,
): Promise<CheckedFiles> {
  const model = await list(path);
  return checkFiles(model, statement, { read: readingIn(model.folder, pool), ...options });
}

async function rulesOf(path: string, statement: OmsStatement, surplusAllowed = false): Promise<string[]> {
  const checked = await checkedIn(path, statement, { withManifest: true, surplusAllowed });
  return [...new Set(checked.faults.map((fault) => fault.rule))];
}

const trees = fc.dictionary(
  fc.constantFrom('a', 'b', 'c.bin', 'd/e', 'd/f', 'g/h/i', 'a-b', 'ö'),
  fc.string({ minLength: 1, maxLength: 20 }),
  { minKeys: 1, maxKeys: 6, noNullPrototype: true },
);
const methods = fc.record({
  method: fc.constantFrom('files' as const, 'shards' as const),
  shardBytes: fc.integer({ min: 1, max: 9 }),
});

test('any tree, signed whole or in shards, verifies, and not after one byte, one file more or one less', async () => {
  await fc.assert(
    fc.asyncProperty(trees, methods, async (files, how) => {
      const dir = fresh();
      writeTree(dir, files);
      const statement = await signed(dir, how);
      expect(await rulesOf(dir, statement)).toEqual([]);
      const [path = ''] = Object.keys(files);
      const good = readFileSync(join(dir, path));
      writeFileSync(join(dir, path), Buffer.concat([good.subarray(1), Buffer.from([(good[0] ?? 0) ^ 0x80])]));
      expect(await rulesOf(dir, statement)).toEqual(['release-file-changed']);
      writeFileSync(join(dir, path), Buffer.concat([good, Buffer.from('x')]));
      expect(await rulesOf(dir, statement)).toEqual(['release-file-changed']);
      rmSync(join(dir, path));
      expect(await rulesOf(dir, statement)).toEqual(['release-file-missing']);
      writeFileSync(join(dir, path), good);
      writeFileSync(join(dir, 'surplus'), 'x');
      expect(await rulesOf(dir, statement)).toEqual(['release-file-surplus']);
      expect(await rulesOf(dir, statement, true)).toEqual([]);
      rmSync(dir, { recursive: true });
    }),
    { numRuns: 25 },
  );
});

test.each(['files', 'shards'] as const)(
  'a model of one file, by %s, is that file, whatever lies beside it',
  async (method) => {
    const dir = fresh();
    writeTree(dir, { 'model.onnx': 'weights', other: 'x' });
    const path = join(dir, 'model.onnx');
    const statement = await signed(path, { method, shardBytes: 4 });
    expect(statement.subject.name).toBe('model.onnx');
    expect(await rulesOf(path, statement)).toEqual([]);
    writeFileSync(path, 'weightz');
    expect(await rulesOf(path, statement)).toEqual(['release-file-changed']);
  },
);

test('a model of one file under the reference tool’s name is found by its own name', async () => {
  const dir = fresh();
  writeTree(dir, { f: 'x' });
  const made = await signed(join(dir, 'f'));
  const { payload } = made;
  const dotted = readStatement(
    Buffer.from(payload.toString().replace('"name":"f","digest":"', '"name":".","digest":"')),
  );
  if ('faults' in dotted) throw new Error('a good statement');
  expect(await rulesOf(join(dir, 'f'), dotted.statement)).toEqual([]);
  expect(await rulesOf(dir, dotted.statement)).toEqual([]);
});

test('BLAKE2b statements are checked, and give the manifest in SHA-256', async () => {
  const dir = fresh();
  writeTree(dir, { f: 'abc' });
  const digest =
    'ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923';
  const resources = [{ name: 'f', digest, algorithm: 'blake2b' }];
  const read = readStatement(handStatement({ resources, serialization: { hash_type: 'blake2b' } }));
  if ('faults' in read) throw new Error('a good statement');
  const { statement: sha } = await makeStatement(await list(dir), { method: 'files', ignored: [], pool });
  const options = { withManifest: true };
  const [blake, plain] = await Promise.all([checkedIn(dir, read.statement, options), checkedIn(dir, sha, options)]);
  expect(blake.faults).toEqual([]);
  expect(manifestDigest(blake.entries)).toEqual(manifestDigest(plain.entries));
});

test('empty files, which shards cannot name, are named apart and are in the manifest', async () => {
  const dir = fresh();
  writeTree(dir, { f: 'abc', empty: '' });
  const statement = await signed(dir, { method: 'shards' });
  const seen = await checkedIn(dir, statement, { withManifest: true });
  expect(seen).toMatchObject({ faults: [], unseen: ['empty'] });
  expect(seen.entries.map((entry) => entry.path).toSorted()).toEqual(['empty', 'f']);
  const quick = await checkedIn(dir, statement, { withManifest: false });
  expect(quick).toMatchObject({ faults: [], entries: [], unseen: ['empty'] });
});

describe('what cannot be signed is said', () => {
  test.each([
    ['a folder without files', {}, 'files', 'holds no file to sign'],
    ['only empty files, in shards', { empty: '' }, 'shards', 'all files are empty'],
  ] as const)('%s', async (_, files, method, why) => {
    const dir = fresh();
    writeTree(dir, files);
    const making = makeStatement(await list(dir), { method, ignored: [], pool });
    await expect(making).rejects.toMatchObject({ code: 'RELEASE_INVALID', message: expect.stringContaining(why) });
  });

  test('a symbolic link', async () => {
    const dir = fresh();
    writeTree(dir, { f: 'x' });
    symlinkSync('f', join(dir, 'link'));
    const making = makeStatement(await list(dir), { method: 'files', ignored: [], pool });
    await expect(making).rejects.toMatchObject({ code: 'RELEASE_INVALID' });
    const statement = await signed(fresh1());
    expect(await rulesOf(dir, statement)).toEqual(['release-file-kind']);
    expect(await rulesOf(dir, statement, true)).toEqual([]);
  });

  const fresh1 = (): string => {
    const dir = fresh();
    writeTree(dir, { f: 'x' });
    return dir;
  };

  test('a file whose name no verifier would take', async () => {
    const model: ModelFiles = {
      folder: fresh1(),
      single: false,
      name: 'm',
      files: [{ path: './f', size: 1 }],
      faults: [],
    };
    await expect(makeStatement(model, { method: 'files', ignored: [], pool })).rejects.toMatchObject({
      code: 'RELEASE_INVALID',
    });
  });

  test('nothing at all', async () => {
    await expect(list(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'RELEASE_INVALID' });
    const gone = new AbortController();
    gone.abort(new Error('stopped'));
    await expect(listModel(fresh1(), () => false, gone.signal)).rejects.toThrow('stopped');
  });
});

test('paths that are left out are left out exactly, with all below them, and recorded in order', async () => {
  const dir = fresh();
  writeTree(dir, { f: 'x', 'code/a': 'y', codex: 'z', 'deep/code': 'w' });
  const out = ignoring(['./code/', 'nothing']);
  expect(['code', 'code/a', 'codex', 'deep/code', 'f'].filter((path) => out(path))).toEqual(['code', 'code/a']);
  const model = await listModel(dir, out);
  const { statement } = await makeStatement(model, { method: 'files', ignored: ['z', 'code'], pool });
  expect(statement.serialization.ignore_paths).toEqual(['code', 'z']);
});

test('progress and a stop reach the hashing, when signing and when checking', async () => {
  const dir = fresh();
  writeTree(dir, { f: 'x'.repeat(100), g: 'y'.repeat(50) });
  let bytes = 0;
  const onProgress = (more: number): void => {
    bytes += more;
  };
  const statement = await signed(dir, { onProgress, signal: new AbortController().signal });
  expect(bytes).toBe(150);
  const more = { withManifest: false, onProgress };
  await checkedIn(dir, statement, more);
  expect(bytes).toBe(300);
  const stopped = AbortSignal.abort(new Error('stopped'));
  await expect(checkedIn(dir, statement, { ...more, signal: stopped })).rejects.toThrow('stopped');
});

describe('the canonical manifest', () => {
  const entry = (path: string, byte: number) => ({ path, size: 1, sha256: Buffer.alloc(32, byte) });

  test('is the same in whatever order the files came', () => {
    const entries = [entry('b', 1), entry('a', 2), entry('ä', 3)];
    expect(manifestDigest(entries)).toEqual(manifestDigest(entries.toReversed()));
    expect(manifestDigest(entries)).not.toEqual(manifestDigest(entries.slice(1)));
  });

  test('has no path twice and no short digest', () => {
    expect(() => manifestDigest([entry('a', 1), entry('a', 2)])).toThrow(RangeError);
    expect(() => manifestDigest([{ path: 'a', size: 1, sha256: Buffer.alloc(31) }])).toThrow(RangeError);
  });

  test('two differ in what changed, came and went, and the rest is counted', () => {
    const expected = [entry('a', 1), entry('b', 2), entry('c', 3)];
    const found = [entry('a', 1), entry('b', 9), entry('d', 4)];
    const { differing, more } = diffManifests(expected, found, 2);
    expect(differing.map(({ path, expected: want, found: got }) => [path, want?.[0], got?.[0]])).toEqual([
      ['b', 2, 9],
      ['c', 3, undefined],
    ]);
    expect(more).toBe(1);
    expect(diffManifests(expected, expected, 2)).toEqual({ differing: [], more: 0 });
  });
});
