// Hashing: the right digest for every kind of file, no digest for a file that is not one or does not hold still.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
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
import { Hashes } from '../../src/files/hashes.ts';
import { hashTree } from '../../src/files/hash-tree.ts';
import { listTree } from '../../src/files/tree.ts';

const MiB = 1024 * 1024;
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const pattern = (size: number): Buffer => Buffer.alloc(size, 'the quick brown fox ');

/** A whole file by its path, and nothing else asked. */
const PLAIN = { fd: null, algorithms: ['sha256'], parts: null, size: null, copyTo: null } as const;

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hash-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function file(name: string, bytes: Uint8Array | string): string {
  const path = join(root, name);
  writeFileSync(path, bytes);
  return path;
}

describe('the digest of one file', () => {
  test.each([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES + 17])(
    'is right for %i bytes, read ahead, blocking or in the background',
    async (size) => {
      const bytes = pattern(size);
      const path = file('f', bytes);
      for (const io of [asyncIo, blockingIo, aheadIo]) {
        const task = { ...PLAIN, path, algorithms: ['sha256', 'blake2b512'] } as const;
        const { size: found, digests } = await hashOne(task, io, new Blocks());
        expect(found).toBe(size);
        expect(digests.map((d) => d.toString('hex'))).toEqual([
          sha256(bytes),
          createHash('blake2b512').update(bytes).digest('hex'),
        ]);
      }
    },
  );

  test('is the same from a worker thread, with progress that adds up to the size', async () => {
    const bytes = pattern(20 * MiB + 5);
    const path = file('large', bytes);
    await using pool = new HashPool();
    let told = 0;
    const { size, sha256: digest } = await pool.hashFile(path, { onProgress: (n) => (told += n) });
    expect(digest.toString('hex')).toBe(sha256(bytes));
    expect([size, told]).toEqual([bytes.length, bytes.length]);
    expect(pool.threads).toBe(1);
  });

  test.each([1, 1000, BLOCK_BYTES - 1, BLOCK_BYTES, MiB + 3, 2 * MiB - 1, 2 * MiB, 3 * MiB])(
    'comes with those of its parts of %i bytes',
    async (length) => {
      const bytes = pattern(length < 1000 ? 2000 : 2 * MiB);
      const path = file('f', bytes);
      const expected = Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
        sha256(bytes.subarray(at * length, (at + 1) * length)),
      );
      await using pool = new HashPool();
      for (const size of [bytes.length, 10 * MiB]) {
        const options = { size, parts: { algorithm: 'sha256', bytes: length } } as const;
        const { digests, parts } = await pool.digestFile(path, ['sha256'], options);
        expect(digests[0]?.toString('hex')).toBe(sha256(bytes));
        expect(parts.map((one) => one.toString('hex'))).toEqual(expected);
      }
    },
  );

  test('of an empty file has no parts, and a part of no bytes is a bug', async () => {
    await using pool = new HashPool();
    const ask = async (bytes: number): Promise<unknown> =>
      pool.digestFile(file('f', ''), [], { parts: { algorithm: 'sha256', bytes } });
    expect(await ask(7)).toMatchObject({ size: 0, digests: [], parts: [] });
    expect(() => new Hashes([], { algorithm: 'sha256', bytes: 0 })).toThrow(RangeError);
  });

  test('of a sparse file of more than 4 GiB is the digest that openssl gives', async () => {
    // On tmpfs, where there is one, a hole costs no memory and no time to read.
    const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : root, 'sparse-'));
    onTestFinished(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const path = join(folder, 'sparse');
    writeFileSync(path, 'head');
    const size = 4 * 1024 * MiB + 4096;
    truncateSync(path, size);
    await using pool = new HashPool();
    const found = await pool.hashFile(path);
    expect(found.size).toBe(size);
    expect(found.sha256.toString('hex')).toBe('bf9829d3e5c0b0eb72d5bcc65e7ebfc014f3115da70cac47baf2460a2bc5e408');
  });
});

describe('what has no digest', () => {
  test('a symbolic link, a pipe, a folder, a device and nothing are refused by their kind', async () => {
    const target = file('target', 'x');
    symlinkSync(target, join(root, 'link'));
    execFileSync('mkfifo', [join(root, 'pipe')]);
    mkdirSync(join(root, 'folder'));
    await using pool = new HashPool();
    for (const [name, kind] of [
      ['link', 'symlink'],
      ['pipe', 'special'],
      ['folder', 'special'],
      ['nothing', 'missing'],
      ['target/x', 'missing'],
    ] as const) {
      await expect(pool.hashFile(join(root, name))).rejects.toMatchObject({ code: 'MEASURE_FAILED', kind });
      // The same from a thread, where a size hint asks for one.
      await expect(pool.hashFile(join(root, name), { size: 10 * MiB })).rejects.toMatchObject({ kind });
    }
    await expect(pool.hashFile('/dev/null')).rejects.toMatchObject({ kind: 'special' });
  });

  test.each(['EACCES', 'EPERM', 'EIO'])('a file whose system calls end in %s is unreadable', async (code) => {
    const refuse = (): never => {
      throw Object.assign(new Error(code), { code });
    };
    const task = { ...PLAIN, path: file('f', 'x') };
    for (const io of [
      { ...blockingIo, open: refuse },
      { ...blockingIo, read: refuse },
    ]) {
      await expect(hashOne(task, io, new Blocks())).rejects.toMatchObject({ kind: 'unreadable' });
    }
  });

  const disturb = (act: () => void): FileIo => {
    let done = false;
    return {
      ...blockingIo,
      read: (fd, into, length, position) => {
        const got = blockingIo.read(fd, into, length, position);
        if (!done) act();
        done = true;
        return got;
      },
    };
  };

  test.each([
    [
      'grows',
      (path: string) => {
        appendFileSync(path, 'more');
      },
    ],
    [
      'shrinks',
      (path: string) => {
        truncateSync(path, BLOCK_BYTES + 1);
      },
    ],
    [
      'is written in place',
      (path: string) => {
        writeFileSync(path, pattern(3 * BLOCK_BYTES).fill(0));
      },
    ],
    [
      'is deleted',
      (path: string) => {
        rmSync(path);
      },
    ],
    [
      'is replaced',
      (path: string) => {
        execFileSync('sh', ['-c', `cp "$1" "$1.new" && mv "$1.new" "$1"`, 'sh', path]);
      },
    ],
    [
      'changes its mode',
      (path: string) => {
        chmodSync(path, 0o600 + 0o40);
      },
    ],
  ])('a file that %s while it is read is refused as changed', async (_what, act) => {
    const path = file('f', pattern(3 * BLOCK_BYTES));
    const task = { ...PLAIN, path };
    await expect(
      hashOne(
        task,
        disturb(() => {
          act(path);
        }),
        new Blocks(),
      ),
    ).rejects.toMatchObject({ kind: 'changed' });
  });
});

describe('the pool', () => {
  test('starts no thread for a few small files', async () => {
    const paths = ['a', 'b', 'c'].map((name) => file(name, name.repeat(10_000)));
    await using pool = new HashPool();
    const found = await Promise.all(paths.map((path) => pool.hashFile(path)));
    expect(found.map((f) => f.sha256.toString('hex'))).toEqual(['a', 'b', 'c'].map((n) => sha256(n.repeat(10_000))));
    expect(pool.threads).toBe(0);
  });

  test('without threads hashes everything here, big and many files too', async () => {
    const large = file('large', pattern(3 * MiB));
    const paths = Array.from({ length: 200 }, (_, i) => file(`f${i}`, String(i)));
    await using pool = new HashPool({ threads: 0 });
    const found = await Promise.all([large, ...paths].map((path) => pool.hashFile(path)));
    expect(found.map((one) => one.sha256.toString('hex'))).toEqual(
      [pattern(3 * MiB), ...paths.map((_, i) => String(i))].map(sha256),
    );
    expect(pool.threads).toBe(0);
  });

  test('lets its threads end when there is nothing to do', async () => {
    const path = file('large', pattern(2 * MiB));
    await using pool = new HashPool({ idleMs: 1 });
    await pool.hashFile(path);
    while (pool.threads > 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await pool.hashFile(path)).sha256.toString('hex')).toBe(sha256(pattern(2 * MiB)));
  });

  test('rejects with the reason of the signal, and goes on with the rest', async () => {
    const path = file('large', '');
    truncateSync(path, 2048 * MiB);
    const other = file('other', 'x');
    await using pool = new HashPool({ threads: 1 });
    const abort = new AbortController();
    const reason = new Error('not wanted any more');
    const running = pool.hashFile(path, {
      signal: abort.signal,
      onProgress: () => {
        abort.abort(reason);
      },
    });
    const queued = pool.hashFile(path, { signal: abort.signal });
    const rest = pool.hashFile(other);
    const settled = await Promise.allSettled([running, queued]);
    expect(settled).toEqual([reason, reason].map((why) => ({ status: 'rejected', reason: why })));
    expect((await rest).sha256.toString('hex')).toBe(sha256('x'));
    await expect(pool.hashFile(path, { signal: abort.signal })).rejects.toBe(reason);
  });

  test('refuses work after it was closed, and what was under way', async () => {
    const path = file('large', '');
    truncateSync(path, 2048 * MiB);
    const pool = new HashPool();
    const running = pool.hashFile(path, {
      onProgress: () => {
        void pool[Symbol.asyncDispose]();
      },
    });
    await expect(running).rejects.toMatchObject({ code: 'MEASURE_FAILED' });
    await expect(pool.hashFile(path)).rejects.toMatchObject({ code: 'MEASURE_FAILED' });
  });

  test('says for each file what asking for a lease gave, and asks on the descriptor that is hashed', async () => {
    const answers = ['leased', 'busy', 'unsupported'] as const;
    const paths = answers.map((name) => file(name, name));
    const asked: number[] = [];
    await using pool = new HashPool({
      lease: (fd) => {
        asked.push(fd);
        return answers[asked.length - 1] ?? 'unsupported';
      },
    });
    for (const [i, path] of paths.entries()) {
      const found = await pool.hashFile(path);
      expect([found.lease, found.sha256.toString('hex')]).toEqual([answers[i], sha256(answers[i] ?? '')]);
    }
    expect(asked).toHaveLength(3);
  });

  test('lists and hashes a folder of 100,000 files', async () => {
    for (let i = 0; i < 100_000; i++) writeFileSync(join(root, `f${i}`), `${i}`);
    const { files, faults } = await listTree(root);
    expect(faults).toEqual([]);
    await using pool = new HashPool();
    const hashed = await hashTree(root, files, pool);
    expect(hashed.faults).toEqual([]);
    expect(hashed.files).toHaveLength(100_000);
    const wrong = hashed.files.filter((f) => f.sha256.toString('hex') !== sha256(f.path.slice(1)));
    expect(wrong).toEqual([]);
  });

  test('a file that went away between listing and hashing is a fault of the folder, not an error', async () => {
    file('here', 'x');
    await using pool = new HashPool();
    const hashed = await hashTree(
      root,
      [
        { path: 'gone', size: 3 },
        { path: 'here', size: 1 },
      ],
      pool,
    );
    expect(hashed.faults).toEqual([{ path: 'gone', kind: 'missing' }]);
    expect(hashed.files.map((f) => f.path)).toEqual(['here']);
  });
});
