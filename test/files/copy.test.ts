// Copying in the pass that hashes: the bytes that were written are those of the digest, whatever the source does meanwhile.
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { aheadIo, asyncIo, blockingIo } from '../../src/files/file-io.ts';
import type { FileIo } from '../../src/files/file-io.ts';
import { BLOCK_BYTES, Blocks, hashOne } from '../../src/files/hash-file.ts';
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

/** What an open descriptor names; null where there is none. */
function linkOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}

const reopened = (fd: number): number => openSync(`/proc/self/fd/${fd}`, 'r+');

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
    read: (fd, into, offset, position) => {
      const got = Number(blockingIo.read(fd, into, offset, position));
      const seen = (looks.get(position) ?? 0) + 1;
      looks.set(position, seen);
      into.fill(seen, offset, offset + got);
      return got;
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

describe('a large copy goes past the cache', () => {
  const SIZE = 18 * MiB + 17;
  const failing = (code: string) => async (): Promise<never> => {
    throw Object.assign(new Error(`it is ${code}`), { code });
  };
  /** As `io`, with `change` where it writes past the cache; remembers which bytes went which way. */
  function watched(io: FileIo, change: Partial<Pick<FileIo, 'direct' | 'write'>> = {}) {
    const ways: { readonly direct: boolean; readonly bytes: number }[] = [];
    const directs = new Set<number>();
    const watching: FileIo = {
      ...io,
      direct: async (fd) => {
        const direct = await (change.direct?.(fd) ?? io.direct(fd));
        directs.add(direct);
        return direct;
      },
      write: async (fd, from, position) => {
        const direct = directs.has(fd);
        const changed = direct ? change.write?.(fd, from, position) : undefined;
        const bytes = await (changed ?? io.write(fd, from, position));
        ways.push({ direct, bytes });
        return bytes;
      },
    };
    const sum = (direct: boolean): number =>
      ways.filter((way) => way.direct === direct).reduce((all, { bytes }) => all + bytes, 0);
    return { io: watching, directs, sum };
  }

  test('all but its last part of a page, and is the file', async () => {
    const bytes = pattern(SIZE);
    for (const io of [asyncIo, aheadIo]) {
      const seen = watched(io);
      expect(await copyWith(seen.io, bytes)).toBe(sha256(bytes));
      expect(copied().equals(bytes)).toBe(true);
      // Some file systems have no direct writing at all.
      const direct = seen.directs.size === 0 ? 0 : 18 * MiB;
      expect([seen.sum(true), seen.sum(false)]).toEqual([direct, SIZE - direct]);
      // Given back: nothing is open under these numbers, or something else.
      for (const fd of seen.directs) expect(linkOf(fd)).not.toBe(join(root, 'to'));
    }
  });

  test.each([
    ['cannot be had', { direct: failing('EINVAL') }],
    ['can be had, and then is refused', { write: failing('EINVAL') }],
  ])('unless that %s', async (_title, change) => {
    const bytes = pattern(SIZE);
    const seen = watched(asyncIo, change);
    expect(await copyWith(seen.io, bytes)).toBe(sha256(bytes));
    expect(copied().equals(bytes)).toBe(true);
    expect([seen.sum(true), seen.sum(false)]).toEqual([0, SIZE]);
  });

  test('and has all bytes in their places when the disk takes some at a time', async () => {
    const bytes = pattern(SIZE);
    for (const most of [100_001, 65_536]) {
      const seen = watched(asyncIo, { write: (fd, from, at) => asyncIo.write(fd, from.subarray(0, most), at) });
      // The fake disk wants no whole pages.
      const io: FileIo = { ...seen.io, direct: async (fd) => reopened(fd) };
      expect(await copyWith(io, bytes)).toBe(sha256(bytes));
      expect(copied().equals(bytes)).toBe(true);
    }
  });

  test('and fails like any other when the disk is full or broken', async () => {
    for (const code of ['ENOSPC', 'EIO']) {
      await expect(
        copyWith(
          watched({ ...asyncIo, direct: async (fd) => reopened(fd) }, { write: failing(code) }).io,
          pattern(SIZE),
        ),
      ).rejects.toMatchObject({ code });
    }
  });

  test('but small ones, and those of a thread that waits for each call, do not', async () => {
    for (const [io, size] of [
      [asyncIo, 15 * MiB],
      [blockingIo, SIZE],
    ] as const) {
      const seen = watched(io);
      await copyWith(seen.io, pattern(size));
      expect(seen.directs.size).toBe(0);
    }
  });
});

test('a disk that fails while the rest is copied has not got the file', async () => {
  const flush = async (): Promise<void> => {
    throw Object.assign(new Error('i/o error'), { code: 'EIO' });
  };
  const failingOpen = async (): Promise<number> => {
    throw new Error('not here');
  };
  await expect(copyWith({ ...asyncIo, direct: failingOpen, flush }, pattern(65 * MiB))).rejects.toMatchObject({
    code: 'EIO',
  });
});
