// Verifying and installing one big release, against `dd conv=fsync` of the same bytes on the same disk.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '../../src/files/durable.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { profile } from '../gate/device.ts';
import { fleetFile, jsonBytes, makeRelease, NOW, rootKeys, rootStatement } from '../release/publisher.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { builtIn, builtProgram } from './built.ts';
import { makeFile } from './hashing.ts';
import { interleave, seconds } from './interleave.ts';
import type { Figure } from './interleave.ts';
import { startOfUnit } from './unit-start.ts';

const run = promisify(execFile);
const PEAK_MIB = 96;

/** The state directory of a device that never held anything, with who is trusted beside it. */
function newDevice(dir: string): string {
  const device = mkdtempSync(join(dir, 'device-'));
  mkdirSync(join(device, 'state'), { mode: 0o700 });
  writeFileSync(join(device, 'now'), String(NOW));
  writeFileSync(join(device, 'profile.json'), jsonBytes(profile));
  writeFileSync(join(device, 'fleet.json'), jsonBytes(fleetFile));
  writeFileSync(join(device, 'root.json'), jsonBytes(signRoot(rootStatement, rootKeys.slice(0, 2))));
  return device;
}

async function measured({ dir, rounds, quick }: BenchOptions): Promise<Figure[]> {
  const mib = quick ? 128 : 1024;
  const program = builtProgram(builtIn(dir), 'test/bench/install-child.ts');
  const folder = join(dir, 'release');
  mkdirSync(join(folder, 'model'), { recursive: true });
  const weights = join(folder, 'model', 'classifier.bin');
  await makeFile(weights, mib * 2 ** 20);
  await using pool = new HashPool();
  const { id } = await makeRelease(folder, pool, { files: {} });
  const { flags, env } = startOfUnit();
  let most = 0;
  const install = async (): Promise<number> => {
    const device = newDevice(dir);
    const { stdout } = await run(process.execPath, [...flags, program, device, id, folder], {
      env: { ...process.env, ...env },
    });
    await removeTree(device);
    const said = JSON.parse(stdout) as { readonly seconds: number; readonly peak: number };
    most = Math.max(most, said.peak);
    return said.seconds;
  };
  const copy = async (): Promise<number> => {
    const target = join(dir, 'copy');
    const took = await seconds(async () => run('dd', [`if=${weights}`, `of=${target}`, 'bs=1M', 'conv=fsync']));
    await rm(target);
    return took;
  };
  const pair = await interleave(rounds, install, copy);
  return [
    {
      name: `verify and install a release of ${mib} MiB`,
      unit: 's',
      ...pair,
      limitName: 'dd conv=fsync of the same bytes',
      bar: { atMost: 1.3 },
    },
    {
      name: '  most memory it ever held',
      unit: 'MiB',
      ours: most,
      limit: PEAK_MIB,
      limitName: 'allowed',
      ratio: most / PEAK_MIB,
      bar: { atMost: 1 },
    },
  ];
}

export const install: Bench = { name: 'install', run: measured };
