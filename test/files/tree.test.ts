// Every kind of thing that can lie in a folder has one defined answer when the folder is listed.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compareUtf8 } from '../../src/bytes/text.ts';
import { FileFault } from '../../src/files/fault.ts';
import { listTree, TREE_LIMITS } from '../../src/files/tree.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tree-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('listTree', () => {
  test('names every regular file with its size, sorted by the bytes of the path', async () => {
    mkdirSync(join(root, 'b/c'), { recursive: true });
    mkdirSync(join(root, 'empty folder'));
    for (const [path, size] of [
      ['b/c/x', 3],
      ['b-1', 1],
      ['a', 0],
      ['é', 2],
      ['b/z', 4],
    ] as const) {
      writeFileSync(join(root, path), 'y'.repeat(size));
    }
    const { files, faults } = await listTree(root);
    expect(faults).toEqual([]);
    expect(files).toEqual([
      { path: 'a', size: 0 },
      { path: 'b-1', size: 1 },
      { path: 'b/c/x', size: 3 },
      { path: 'b/z', size: 4 },
      { path: 'é', size: 2 },
    ]);
    const paths = files.map((file) => file.path);
    expect(paths).toEqual(paths.toSorted(compareUtf8));
  });

  test('never follows a symbolic link, to a file, a folder, itself or nowhere', async () => {
    mkdirSync(join(root, 'real'));
    writeFileSync(join(root, 'real/f'), 'x');
    symlinkSync('real/f', join(root, 'to-file'));
    symlinkSync('real', join(root, 'to-folder'));
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('/nowhere', join(root, 'dangling'));
    const { files, faults } = await listTree(root);
    expect(files.map((f) => f.path)).toEqual(['real/f']);
    expect(faults).toEqual(['dangling', 'loop', 'to-file', 'to-folder'].map((path) => ({ path, kind: 'symlink' })));
  });

  test('names pipes and sockets as special', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(join(root, 'socket'), resolve);
    });
    try {
      const { files, faults } = await listTree(root);
      expect(files).toEqual([]);
      expect(faults).toEqual([
        { path: 'pipe', kind: 'special' },
        { path: 'socket', kind: 'special' },
      ]);
    } finally {
      server.close();
    }
  });

  test('shows the bytes of a name that is not UTF-8 or has control characters, and lists no such file', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x61, 0xff, 0x62])]), 'x');
    writeFileSync(join(root, 'line\nbreak'), 'x');
    const { files, faults } = await listTree(root);
    expect(files).toEqual([]);
    expect(faults).toEqual([
      { path: String.raw`a\xffb`, kind: 'bad-name' },
      { path: String.raw`line\x0abreak`, kind: 'bad-name' },
    ]);
  });

  test('names a folder that may not be read', () => {
    mkdirSync(join(root, 'closed'));
    chmodSync(join(root, 'closed'), 0o000);
    chmodSync(root, 0o755);
    // Root may read everything, so as root the listing is made by a child that is nobody.
    const code = `import { listTree } from ${JSON.stringify(new URL('../../src/files/tree.ts', import.meta.url).href)};
      console.log(JSON.stringify(await listTree(process.argv[1])));`;
    const who = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', code, root], {
      ...who,
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).toEqual({ files: [], faults: [{ path: 'closed', kind: 'unreadable' }] });
  });

  test('leaves out what is excluded, with everything below it', async () => {
    mkdirSync(join(root, '.git/objects'), { recursive: true });
    writeFileSync(join(root, '.git/objects/o'), 'x');
    writeFileSync(join(root, 'f'), 'x');
    const { files } = await listTree(root, { exclude: (path) => path === '.git' });
    expect(files.map((f) => f.path)).toEqual(['f']);
  });

  test('stops at the greatest number of entries and says so once', async () => {
    for (let i = 0; i < 200; i++) writeFileSync(join(root, `f${i}`), '');
    const { files, faults } = await listTree(root, { limits: { ...TREE_LIMITS, maxEntries: 100 } });
    expect(files).toHaveLength(100);
    expect(faults).toEqual([{ path: '.', kind: 'too-many' }]);
  });

  test('does not descend deeper than the limit', async () => {
    mkdirSync(join(root, 'a/b/c'), { recursive: true });
    writeFileSync(join(root, 'a/f'), '');
    writeFileSync(join(root, 'a/b/c/g'), '');
    const { files, faults } = await listTree(root, { limits: { ...TREE_LIMITS, maxDepth: 2 } });
    expect(files.map((f) => f.path)).toEqual(['a/f']);
    expect(faults).toEqual([{ path: 'a/b', kind: 'too-deep' }]);
  });

  test.each([
    ['a symbolic link', 'symlink'],
    ['a file', 'special'],
    ['nothing', 'missing'],
  ] as const)('refuses a root that is %s', async (what, kind) => {
    const path = join(root, 'root');
    if (what === 'a file') writeFileSync(path, '');
    if (what === 'a symbolic link') symlinkSync('.', path);
    const error: unknown = await listTree(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FileFault);
    expect(error).toMatchObject({ kind, code: 'MEASURE_FAILED' });
  });
});
