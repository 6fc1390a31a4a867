// Measures the configs that a profile names: each path's manifest, and what they come to together.
import { lstat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { toHex } from '../bytes/text.ts';
import type { DifferingFile } from '../cel/events.ts';
import { FileFault } from '../files/fault.ts';
import type { Fault } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { configsDigest } from '../profile/configs.ts';
import type { ConfigProfile } from '../profile/profile.ts';
import { manifestDigest } from '../release/manifest.ts';
import { fromHex } from '../bytes/text.ts';
import { configPattern } from './config-pattern.ts';
import { findFiles, withFaults } from './found-files.ts';
import type { FoundFiles } from './found-files.ts';

export interface ConfigsMeasured {
  /** As `configsDigest` of profile/configs.ts; null where the profile names none. */
  readonly digest: Buffer | null;
  /** The profile's paths whose manifest is not the one it demands, with both manifest digests. */
  readonly differing: readonly DifferingFile[];
  /** By absolute path. */
  readonly faults: readonly Fault[];
}

interface Options {
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function findOne(path: string, { pool, signal }: Options): Promise<FoundFiles> {
  const name = basename(path);
  try {
    const { size, sha256 } = await pool.hashFile(path, signal === undefined ? {} : { signal });
    return withFaults([{ path: name, size, sha256 }], []);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    return withFaults([], [{ path: name, kind: error.kind }]);
  }
}

/**
 * What a config path matches, by paths relative to its fixed part: the name of a lone file, what is below a folder, or what is below
 * the folder before the first wildcard. So the same files have the same manifest wherever they lie.
 */
export async function findConfig(path: string, options: Options): Promise<FoundFiles> {
  const pattern = configPattern(path);
  if (pattern.plain && !(await isFolder(pattern.base))) return findOne(pattern.base, options);
  return findFiles(pattern.base, {
    ...options,
    exclude: (found) => !pattern.matches(found) && !pattern.mayHold(found),
    // A link or an unreadable folder on the way may hide what is meant; a pipe or a file there can't.
    counts: ({ path: found, fault }) =>
      found === '.' || pattern.matches(found) || (fault !== null && fault !== 'special' && pattern.mayHold(found)),
  });
}

function absolute(path: string, fault: Fault): Fault {
  const { base, plain } = configPattern(path);
  if (fault.path === '.') return { ...fault, path: base };
  const folder = plain && fault.path === basename(base) ? dirname(base) : base;
  return { ...fault, path: `${folder === '/' ? '' : folder}/${fault.path}` };
}

/** Errors: MeasureError; the signal's reason. */
export async function measureConfigs(configs: readonly ConfigProfile[], options: Options): Promise<ConfigsMeasured> {
  const measured: ConfigProfile[] = [];
  const differing: DifferingFile[] = [];
  const faults: Fault[] = [];
  for (const { path, sha256: expected } of configs) {
    const found = await findConfig(path, options);
    const digest = manifestDigest(found.entries);
    measured.push({ path, sha256: toHex(digest) });
    if (toHex(digest) !== expected) differing.push({ path, expected: fromHex(expected), found: digest });
    faults.push(...found.faults.map((fault) => absolute(path, fault)));
  }
  return { digest: configsDigest(measured), differing, faults };
}
