// Files and links change in one step or not at all, and nothing temporary stays behind.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
  existsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  removeFileDurably,
  removeTree,
  replaceSymlink,
  sweepTemporaries,
  TEMPORARY_PREFIX,
  writeFileDurably,
} from '../../src/files/durable.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'durable-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

test('writeFileDurably writes the bytes with exactly the mode, new or over an old file', async () => {
  const path = join(root, 'f');
  writeFileSync(path, 'a much longer old content', { mode: 0o644 });
  await writeFileDurably(path, 'new', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await writeFileDurably(join(root, 'g'), Buffer.from([1]), 0o666);
  expect(statSync(join(root, 'g')).mode & 0o777).toBe(0o666);
  expect(readdirSync(root)).toEqual(['f', 'g']);
});

test('writeFileDurably that fails leaves the old file and nothing temporary', async () => {
  mkdirSync(join(root, 'target'));
  await expect(writeFileDurably(join(root, 'target'), 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY/);
  expect(readdirSync(root)).toEqual(['target']);
});

test('replaceSymlink switches a link in one step and makes it where there was none', async () => {
  const link = join(root, 'link');
  await replaceSymlink(link, 'one');
  await replaceSymlink(link, 'two');
  expect(readlinkSync(link)).toBe('two');
  expect(readdirSync(root)).toEqual(['link']);
});

test('removeTree removes read-only folders, follows no link, and is content with nothing', async () => {
  const outside = join(root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'kept'), 'x');
  const tree = join(root, 'tree');
  mkdirSync(join(tree, 'deep'), { recursive: true });
  writeFileSync(join(tree, 'deep/f'), 'x', { mode: 0o400 });
  symlinkSync(outside, join(tree, 'link'));
  chmodSync(join(tree, 'deep'), 0o500);
  chmodSync(tree, 0o500);
  await removeTree(tree);
  expect(existsSync(tree)).toBe(false);
  expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('x');
  await removeTree(tree);
});

test('removeFileDurably removes a file or link, and is content with nothing', async () => {
  symlinkSync('nowhere', join(root, 'link'));
  await removeFileDurably(join(root, 'link'));
  await removeFileDurably(join(root, 'link'));
  expect(readdirSync(root)).toEqual([]);
});

test('sweepTemporaries removes what a cut left behind and nothing else', async () => {
  writeFileSync(join(root, `${TEMPORARY_PREFIX}f-0011`), 'half');
  writeFileSync(join(root, 'f'), 'whole');
  await sweepTemporaries(root);
  expect(readdirSync(root)).toEqual(['f']);
});
