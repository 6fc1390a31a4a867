// Copying in the pass that hashes: the bytes that were written are those of the digest, whatever the source does meanwhile.
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { aheadIo, asyncIo, BLOCK_BYTES, Blocks, blockingIo, hashOne } from '../../src/files/hash-file.ts';
import type { FileIo } from '../../src/files/hash-file.ts';
import { HashPool } from '../../src/files/hash-pool.ts';

const MiB = 1024 * 1024;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const pattern = (size: number): Buffer => Buffer.alloc(size, 'the quick brown fox ');

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'copy-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Descriptors of a source with these bytes, and of its copy or another target. */
function ends(bytes: Uint8Array, target = join(root, 'to')): { path: string; from: number; to: number } {
  const path = join(root, 'from');
  writeFileSync(path, bytes);
  const [from, to] = [openSync(path, 'r'), openSync(target, 'w')];
  onTestFinished(() => {
    closeSync(from);
    closeSync(to);
  });
  return { path, from, to };
}

const copied = (): Buffer => readFileSync(join(root, 'to'));

async function copyWith(io: FileIo, bytes: Buffer): Promise<string> {
  const { path, from, to } = ends(bytes);
  const task = { path, fd: from, algorithms: ['sha256'], parts: null, size: bytes.length, copyTo: to } as const;
  const { digests } = await hashOne(task, io, new Blocks());
  return digests[0]?.toString('hex') ?? '';
}

test.each([0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 140 * MiB + 17])('a copy of %i bytes is the file', async (size) => {
  const bytes = pattern(size);
  for (const io of [asyncIo, blockingIo, aheadIo]) {
    expect(await copyWith(io, bytes)).toBe(sha256(bytes));
    expect(copied().equals(bytes)).toBe(true);
  }
});

test('a disk that takes a few bytes at a time gets all of them in their places', async () => {
  const bytes = pattern(3 * BLOCK_BYTES + 5);
  const io: FileIo = { ...blockingIo, write: (fd, from, at) => blockingIo.write(fd, from.subarray(0, 100_001), at) };
  expect(await copyWith(io, bytes)).toBe(sha256(bytes));
  expect(copied().equals(bytes)).toBe(true);
});

test('no byte is read twice: a source that changes at every look cannot show one thing and give another', async () => {
  const looks = new Map<number, number>();
  const io: FileIo = {
    ...blockingIo,
    read: (fd, into, length, position) => {
      const got = Number(blockingIo.read(fd, into, length, position));
      const seen = (looks.get(position) ?? 0) + 1;
      looks.set(position, seen);
      return into.fill(seen, 0, got).length === 0 ? 0 : got;
    },
  };
  const digest = await copyWith(io, pattern(4 * MiB));
  expect(digest).toBe(sha256(copied()));
  expect([...looks.values()].filter((times) => times !== 1)).toEqual([]);
  expect(looks.size).toBeGreaterThan(1);
});

test('the pool copies small files here and large ones on a thread, with the digests that were asked for', async () => {
  await using pool = new HashPool();
  for (const size of [1000, 20 * MiB + 1]) {
    const bytes = pattern(size);
    const { path, ...both } = ends(bytes);
    const parts = { algorithm: 'sha256', bytes: 8 * MiB } as const;
    const found = await pool.copyFile(path, both, ['sha256', 'blake2b512'], { size, parts });
    expect(found.digests.map((one) => one.toString('hex'))).toEqual([
      sha256(bytes),
      createHash('blake2b512').update(bytes).digest('hex'),
    ]);
    expect(found.parts.map((one) => one.toString('hex'))).toEqual(
      Array.from({ length: Math.ceil(size / parts.bytes) }, (_, at) =>
        sha256(bytes.subarray(at * parts.bytes, (at + 1) * parts.bytes)),
      ),
    );
    expect(copied().equals(bytes)).toBe(true);
  }
  expect(pool.threads).toBe(1);
});

test.each([1000, 2 * MiB])('a source of %i bytes that is not as long as it was has no digest', async (size) => {
  await using pool = new HashPool();
  for (const other of [size - 1, size + 1]) {
    const { path, ...both } = ends(pattern(size));
    truncateSync(path, other);
    await expect(pool.copyFile(path, both, ['sha256'], { size })).rejects.toMatchObject({ kind: 'changed' });
  }
});

test.each([1000, 2 * MiB])('a full disk is no fault of the source, also for %i bytes', async (size) => {
  await using pool = new HashPool();
  const { path, ...both } = ends(pattern(size), '/dev/full');
  await expect(pool.copyFile(path, both, ['sha256'], { size })).rejects.toMatchObject({
    name: 'Error',
    code: 'ENOSPC',
    message: expect.stringContaining('no space left'),
  });
});

test('a disk that fails while the rest is copied has not got the file', async () => {
  const flush = async (): Promise<void> => {
    throw Object.assign(new Error('i/o error'), { code: 'EIO' });
  };
  await expect(copyWith({ ...asyncIo, flush }, pattern(65 * MiB))).rejects.toMatchObject({ code: 'EIO' });
});
