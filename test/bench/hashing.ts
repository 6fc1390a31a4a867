// Hashing big files that lie in the page cache, against openssl on the same files.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { interleave, seconds } from './interleave.ts';
import type { Figure } from './interleave.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;

/** Writes `size` bytes that no file system makes smaller, and gives their SHA-256. */
export async function makeFile(path: string, size: number): Promise<string> {
  const block = randomBytes(MIB);
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  try {
    for (let at = 0; at < size; at += block.length) {
      block.writeUInt32LE(at / MIB);
      hash.update(block);
      await file.write(block);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

async function openssl(paths: readonly string[]): Promise<void> {
  await run('openssl', ['dgst', '-sha256', ...paths]);
}

async function one(pool: HashPool, { dir, rounds, quick }: BenchOptions): Promise<Figure> {
  const mib = quick ? 128 : 1024;
  const path = join(dir, 'large');
  const expected = await makeFile(path, mib * MIB);
  const hash = async (): Promise<void> => {
    const { sha256 } = await pool.hashFile(path);
    if (sha256.toString('hex') !== expected) throw new Error(`${path}: wrong digest`);
  };
  const pair = await interleave(
    rounds,
    async () => mib / (await seconds(hash)),
    async () => mib / (await seconds(async () => openssl([path]))),
  );
  return {
    name: `hash one file of ${mib} MiB`,
    unit: 'MiB/s',
    ...pair,
    limitName: 'openssl dgst -sha256',
    bar: { atLeast: 0.9 },
  };
}

async function eight(pool: HashPool, { dir, rounds, quick }: BenchOptions): Promise<Figure> {
  const mib = quick ? 16 : 128;
  const paths = Array.from({ length: 8 }, (_, i) => join(dir, `part-${i}`));
  for (const path of paths) await makeFile(path, mib * MIB);
  const pair = await interleave(
    rounds,
    async () => (8 * mib) / (await seconds(async () => Promise.all(paths.map(async (path) => pool.hashFile(path))))),
    async () =>
      (8 * mib) / (await seconds(async () => Promise.all([openssl(paths.slice(0, 4)), openssl(paths.slice(4))]))),
  );
  return {
    name: `hash eight files of ${mib} MiB`,
    unit: 'MiB/s',
    ...pair,
    limitName: 'two openssl processes at once',
    bar: { atLeast: 0.85 },
  };
}

export const hashing: Bench = {
  name: 'hashing',
  run: async (options) => {
    await using pool = new HashPool();
    return [await one(pool, options), await eight(pool, options)];
  },
};
