// The container of bundles and receipts: tar reads what we write, and nothing that tar could add to it is read by us.
import { spawnSync } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WireError } from '../../src/errors.ts';
import { packUstar, ustarHeader, UstarReader, USTAR_END } from '../../src/files/ustar.ts';

const files = [
  { name: 'a.json', bytes: Buffer.from('{"a":1}') },
  { name: 'model/0', bytes: Buffer.alloc(0) },
  { name: 'model/1', bytes: Buffer.alloc(512, 7) },
  { name: 'model/2', bytes: Buffer.alloc(1300, 8) },
];
const packed = packUstar(files);

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield Promise.resolve(bytes.subarray(at, at + length));
}

async function unpack(bytes: Buffer, length = 700): Promise<{ name: string; bytes: Buffer }[]> {
  const reader = new UstarReader(inPieces(bytes, length));
  const all: { name: string; bytes: Buffer }[] = [];
  for (let entry = await reader.next(); entry !== null; entry = await reader.next()) {
    all.push({ name: entry.name, bytes: await reader.whole(entry, 1 << 20) });
  }
  return all;
}

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ts-ustar-'));
});
afterAll(async () => rm(dir, { recursive: true }));

function tar(...args: string[]): string {
  const ran = spawnSync('tar', args, { cwd: dir, encoding: 'utf8' });
  expect([ran.status, ran.stderr]).toEqual([0, '']);
  return ran.stdout;
}

describe('an archive of plain files', () => {
  test.each([1, 3, 511, 512, 513, 100_000])('is read as it was written, in pieces of %i bytes', async (length) => {
    expect(await unpack(packed, length)).toEqual(files);
  });

  test('is one that tar lists and unpacks', async () => {
    await writeFile(join(dir, 'ours.tar'), packed);
    expect(tar('tf', 'ours.tar').trim().split('\n')).toEqual(files.map(({ name }) => name));
    tar('xf', 'ours.tar');
    expect(await readFile(join(dir, 'model/2'))).toEqual(files[3]?.bytes);
  });

  test('may hold a file longer than eleven octal digits can say', () => {
    const size = 8 ** 11 + 5;
    const header = ustarHeader('big', size);
    expect(header.subarray(124, 136).toString('hex')).toBe('800000000000000200000005');
  });

  test('that says so is read', async () => {
    const reader = new UstarReader(inPieces(ustarHeader('big', 8 ** 11 + 5), 512));
    expect(await reader.next()).toMatchObject({ name: 'big', size: 8 ** 11 + 5 });
  });
});

describe('what is refused', () => {
  test('every truncation', async () => {
    for (let length = 0; length < packed.length; length += 97) {
      await expect(unpack(packed.subarray(0, length))).rejects.toThrow(WireError);
    }
  });

  test('a byte after the end', async () => {
    await expect(unpack(Buffer.concat([packed, Buffer.alloc(1)]))).rejects.toThrow('something follows its end');
    await expect(unpack(Buffer.concat([packed, packed]))).rejects.toThrow('something follows its end');
  });

  test('any bit changed in a header, and any between two entries', async () => {
    const first = files[0]?.bytes.length ?? 0;
    for (let at = 0; at < 1024; at += 1) {
      if (at >= 512 && at < 512 + first) continue;
      for (const bit of [1, 0x80]) {
        const changed = Buffer.from(packed);
        changed[at] = (changed[at] ?? 0) ^ bit;
        await expect(unpack(changed)).rejects.toThrow(WireError);
      }
    }
  });

  test('an entry longer than its reader allows', async () => {
    const reader = new UstarReader(inPieces(packed, 512));
    const entry = await reader.next();
    if (entry === null) throw new TypeError('there is one');
    await expect(reader.whole(entry, 6)).rejects.toThrow('at most 6 are allowed');
  });

  test.each(['a folder', 'a symbolic link', 'a hard link', 'a long name', 'an absolute name'])('%s', async (what) => {
    const made = join(dir, 'made');
    await rm(made, { recursive: true, force: true });
    await mkdir(made);
    await writeFile(join(made, 'one'), 'x');
    if (what === 'a symbolic link') await symlink('/etc/passwd', join(made, 'two'));
    if (what === 'a long name') await writeFile(join(made, 'n'.repeat(120)), 'x');
    if (what === 'a folder') await mkdir(join(made, 'two'));
    if (what === 'a hard link') spawnSync('ln', ['one', 'two'], { cwd: made });
    const named = what === 'an absolute name' ? [join(made, 'one')] : ['-C', made, '.'];
    // As close to what we write as tar can come.
    const args = ['--format=ustar', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--mode=0644', '-P'];
    const format = what === 'a long name' ? ['--format=gnu', ...args.slice(1)] : args;
    tar(...format, '-cf', join(dir, 'theirs.tar'), ...named);
    await expect(unpack(await readFile(join(dir, 'theirs.tar')))).rejects.toThrow(WireError);
  });

  test('the name of an entry that is not plain', () => {
    for (const name of ['', 'a b', 'ä', 'a\n', 'n'.repeat(101)]) {
      expect(() => ustarHeader(name, 0)).toThrow(RangeError);
    }
    expect(USTAR_END).toHaveLength(1024);
  });
});
