// Measuring configs: files, folders and patterns, the same on every machine, and no way to hide one.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HashPool } from '../../src/files/hash-pool.ts';
import { findConfig, measureConfigs } from '../../src/measure/config-measurer.ts';
import { configPattern } from '../../src/measure/config-pattern.ts';
import { faultDigest } from '../../src/measure/found-files.ts';
import { measureSlot } from '../../src/measure/slot-measurer.ts';
import { configsDigest } from '../../src/profile/configs.ts';
import { manifestDigest } from '../../src/release/manifest.ts';
import { sha256, signedRelease, slotProfile, SlotFolder, writeFiles } from './slots.ts';
import type { Files } from './slots.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'configs-'));
afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let count = 0;
function folderWith(files: Files): string {
  const folder = join(root, `${++count}`);
  mkdirSync(folder);
  writeFiles(folder, files);
  return folder;
}

const manifest = (files: Files): string =>
  manifestDigest(
    Object.entries(files).map(([path, text]) => ({ path, size: text.length, sha256: sha256(text) })),
  ).toString('hex');
const paths = async (path: string): Promise<string[]> =>
  (await findConfig(path, { pool })).entries.map((one) => one.path);

describe('a pattern', () => {
  const MATCHES: readonly [string, string, boolean][] = [
    ['/a/*.json', 'x.json', true],
    ['/a/*.json', '.json', true],
    ['/a/*.json', 'x.json5', false],
    ['/a/*.json', 'b/x.json', false],
    ['/a/?.json', 'xy.json', false],
    ['/a/**', 'x', true],
    ['/a/**', 'b/c/x', true],
    ['/a/**/x', 'x', true],
    ['/a/**/x', 'b/c/x', true],
    ['/a/**/x', 'b/xx', false],
    ['/a/**/b/*', 'b/b/x', true],
    ['/a/*/x', 'x', false],
    ['/a/x+(1).*', 'x+(1).json', true],
    ['/a/x+(1).*', 'xx1.json', false],
  ];
  for (const [pattern, path, matches] of MATCHES) {
    test(`${pattern} ${matches ? 'means' : 'does not mean'} ${path}`, () => {
      expect(configPattern(pattern)).toMatchObject({ base: '/a', plain: false });
      expect(configPattern(pattern).matches(path)).toBe(matches);
    });
  }

  test('of any shape is matched in time that grows with its length, not with its wildcards', () => {
    const pattern = configPattern(`/a/${'**/x/'.repeat(40)}y`);
    expect(pattern.matches(`${'x/'.repeat(400)}z`)).toBe(false);
    expect(pattern.mayHold('x/x')).toBe(true);
  });
});

describe('a config path', () => {
  test('of a file is measured by name and bytes, wherever it lies', async () => {
    const [here, there] = [folderWith({ 'a.json': '{}' }), folderWith({ 'a.json': '{}' })];
    for (const folder of [here, there]) {
      const expected = manifest({ 'a.json': '{}' });
      const found = await measureConfigs([{ path: join(folder, 'a.json'), sha256: expected }], { pool });
      expect(found.differing).toEqual([]);
      expect(found.digest).toEqual(configsDigest([{ path: join(folder, 'a.json'), sha256: expected }]));
    }
  });

  test('of a folder is all that is below it; of a pattern, what it means', async () => {
    const folder = folderWith({ 'a.json': '1', 'b/c.json': '2', 'b/.hidden': '3', 'b/d/e.txt': '4' });
    expect(await paths(folder)).toEqual(['a.json', 'b/.hidden', 'b/c.json', 'b/d/e.txt']);
    expect(await paths(`${folder}/*.json`)).toEqual(['a.json']);
    expect(await paths(`${folder}/**/*.json`)).toEqual(['a.json', 'b/c.json']);
    expect(await paths(`${folder}/b/**`)).toEqual(['.hidden', 'c.json', 'd/e.txt']);
    expect(await paths(`${folder}/*/d/*`)).toEqual(['b/d/e.txt']);
    expect(await paths(`${folder}/nothing*`)).toEqual([]);
  });

  test('that is changed, emptied, gone or a link is named with both digests', async () => {
    const folder = folderWith({ 'a.json': '{}' });
    const path = join(folder, 'a.json');
    const config = { path, sha256: manifest({ 'a.json': '{}' }) };
    const change: readonly [() => void, string | null][] = [
      [() => writeFileSync(path, '[]'), null],
      [() => writeFileSync(path, ''), null],
      [() => unlinkSync(path), 'missing'],
      [() => symlinkSync('/etc/hostname', path), 'symlink'],
    ];
    for (const [happen, kind] of change) {
      happen();
      const found = await measureConfigs([config], { pool });
      expect(found.differing).toMatchObject([{ path, expected: Buffer.from(config.sha256, 'hex') }]);
      expect(found.faults).toEqual(kind === null ? [] : [{ path, kind }]);
      expect(found.digest).not.toEqual(configsDigest([config]));
    }
  });

  test('may hide nothing behind a link or in a folder that is not there, and is not troubled by what it does not mean', async () => {
    const folder = folderWith({ 'conf/a.json': '1', 'note.txt': 'x' });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
    symlinkSync('/nowhere', join(folder, 'note.lnk'));
    expect((await findConfig(`${folder}/*.json`, { pool })).faults).toEqual([]);
    expect((await findConfig(`${folder}/conf/**`, { pool })).faults).toEqual([]);
    // The link might lead to a folder that is meant; the socket cannot.
    expect((await findConfig(`${folder}/*/*.json`, { pool })).faults).toEqual([{ path: 'note.lnk', kind: 'symlink' }]);
    const gone = await measureConfigs([{ path: `${folder}/gone/*.json`, sha256: '00'.repeat(32) }], { pool });
    expect(gone.faults).toEqual([{ path: `${folder}/gone`, kind: 'missing' }]);
    const entry = { path: '.', size: 0, sha256: faultDigest('missing') };
    expect(gone.differing).toMatchObject([{ found: manifestDigest([entry]) }]);
    server.close();
  });

  test('goes with the model of its slot: the profile’s digest when all is well, a difference by path when not', async () => {
    const folder = folderWith({ 'a.json': '{}' });
    const path = join(folder, 'a.json');
    const configs = [{ path, sha256: manifest({ 'a.json': '{}' }) }];
    using slot = new SlotFolder();
    slot.install({ m: 'x' });
    const options = { slot: slotProfile(configs), stateDir: slot.stateDir, expected: signedRelease({ m: 'x' }), pool };
    const well = await measureSlot(options);
    expect(well).toMatchObject({ differing: [], faults: [], configs: configsDigest(configs) });
    writeFileSync(path, '[]');
    const found = await measureSlot(options);
    expect(found.differing.map((one) => one.path)).toEqual([path]);
    expect(found.configs).not.toEqual(configsDigest(configs));
  });
});
