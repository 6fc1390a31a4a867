// `touchstone profile config PATH…`: the entries by which a profile names config files, measured as a device will measure them.
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { toHex } from '../bytes/text.ts';
import { TouchstoneError } from '../errors.ts';
import { FileFault } from '../files/fault.ts';
import { HashPool } from '../files/hash-pool.ts';
import { findConfig } from '../measure/config-measurer.ts';
import { manifestDigest } from '../release/manifest.ts';
import { interruptible } from './interrupt.ts';
import { cleanText, outputOf } from './output.ts';

export interface ConfigOptions {
  readonly root?: string;
}

interface Entry {
  readonly path: string;
  readonly sha256: string;
  readonly files: number;
}

function assertUsable(path: string, root: string | undefined): void {
  if (!path.startsWith('/') || path.split('/').some((part) => part === '.' || part === '..')) {
    throw new TouchstoneError('USAGE', `${path} must be the absolute path on the device, without . and ..`);
  }
  // It would become part of the pattern.
  if (root !== undefined && /[*?]/.test(resolve(root))) {
    throw new TouchstoneError('USAGE', `--root ${root} may hold no * and ?`);
  }
}

async function entryOf(path: string, root: string | undefined, pool: HashPool, signal: AbortSignal): Promise<Entry> {
  const found = await findConfig(root === undefined ? path : join(resolve(root), path), { pool, signal });
  const [fault] = found.faults;
  // A device would report it; what cannot be measured cannot be demanded either.
  if (fault !== undefined) throw new FileFault(fault.kind, `${path}: ${fault.path}`);
  if (found.entries.length === 0) throw new TouchstoneError('MEASURE_FAILED', `${path}: no file there`);
  return { path, sha256: toHex(manifestDigest(found.entries)), files: found.entries.length };
}

/** `touchstone profile config`. */
export async function config(paths: readonly string[], options: ConfigOptions, command: Command): Promise<void> {
  const output = outputOf(command);
  for (const path of paths) assertUsable(path, options.root);
  await using pool = new HashPool();
  const entries = await interruptible(async (signal) => {
    const all: Entry[] = [];
    for (const path of paths) all.push(await entryOf(path, options.root, pool, signal));
    return all;
  });
  output.result({ configs: entries.map((entry) => ({ ...entry })) }, () =>
    [
      ...entries.map(({ path, files }) => `${cleanText(path)}: ${files === 1 ? 'one file' : `${files} files`}`),
      '',
      'For "configs" of a slot in the profile:',
      ...entries.map(({ path, sha256 }) => `  ${JSON.stringify({ path, sha256 })}`),
    ].join('\n'),
  );
}
