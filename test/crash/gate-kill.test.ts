// A process is killed in the middle of an installation, at every step of it, with the real journal; the next start makes it good.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StateGate } from '../../src/agent/model-gate.ts';
import { removeTree } from '../../src/files/durable.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import { signRoot } from '../../src/release/root-keys.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { profile } from '../gate/device.ts';
import {
  FILES,
  fleetFile,
  jsonBytes,
  makeRelease,
  NOW,
  rootKeys,
  rootStatement,
  trustOf,
} from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'kill-'));
const releases: MadeRelease[] = [];

beforeAll(async () => {
  for (const number of [1, 2]) {
    const files = { ...FILES, 'classifier.onnx': String(number).repeat(3_000_000) };
    releases.push(await makeRelease(join(root, `r${number}`), pool, { files, passport: { securityVersion: number } }));
  }
});
afterAll(async () => {
  await removeTree(root);
  await pool[Symbol.asyncDispose]();
});

const CHILD = new URL('gate-child.ts', import.meta.url).pathname;

/** Runs the child; kills it as soon as it says a line that begins with `killAt`. Its lines, in order. */
async function run(dir: string, args: readonly string[], killAt: string | null): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, dir, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (killAt !== null && line.startsWith(killAt)) child.kill('SIGKILL');
  }
  await gone;
  return lines;
}

/** A device on which the first release runs. */
async function firstDevice(): Promise<string> {
  const dir = mkdtempSync(join(root, 'device-'));
  mkdirSync(join(dir, 'state'));
  writeFileSync(join(dir, 'now'), String(NOW));
  writeFileSync(join(dir, 'fleet.json'), jsonBytes(fleetFile));
  writeFileSync(join(dir, 'root.json'), jsonBytes(signRoot(rootStatement, rootKeys.slice(0, 2))));
  await installs(dir, 1);
  return dir;
}

/** The same again: quicker than installing it. */
function copyOf(dir: string): string {
  const copy = mkdtempSync(join(root, 'device-'));
  cpSync(dir, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

function releaseOf(number: number): MadeRelease {
  const release = releases[number - 1];
  if (release === undefined) throw new RangeError(`no release ${number}`);
  return release;
}

async function installs(dir: string, number: number, stop = '', killAt: string | null = null): Promise<string[]> {
  const { id, folder } = releaseOf(number);
  return run(dir, [id, folder, stop], killAt);
}

/** Starts again without a command, and looks at what a consumer would open. */
async function afterStart(dir: string): Promise<string> {
  const stateDir = join(dir, 'state');
  await using journal = await openJournal({ path: join(stateDir, 'journal.sqlite') });
  const parts = {
    journal,
    stateDir,
    trust: trustOf(),
    profile,
    pool,
    session: Buffer.alloc(16, 8),
    now: () => NOW,
    agentVersion: '0.1.0',
  };
  const gate = new StateGate(parts);
  await gate.recover();
  // What is on trial then has to pass it as well.
  if ((await gate.standing('main')).row.state === 'TRIAL') await gate.commit('main');
  const rows = await journal.slots();
  const [row] = rows;
  expect(row?.staged).toBeNull();
  const stored = [row?.active, row?.previous].filter((id) => typeof id === 'string').toSorted();
  expect(readdirSync(join(dir, 'state', 'releases')).toSorted()).toEqual(stored);
  const model = join(dir, 'state', 'slots', 'main', 'model');
  const weights = readFileSync(join(model, 'classifier.onnx'), 'utf8');
  const number = Number(weights[0]);
  expect(row?.active).toBe(releaseOf(number).id);
  expect(weights).toBe(String(number).repeat(3_000_000));
  expect(readdirSync(model).toSorted()).toEqual(['MODEL_CARD.md', 'classifier.onnx', 'labels']);
  return String(number);
}

test('killed at every step of an upgrade, the next start has the old release or the new one, whole', async () => {
  const first = await firstDevice();
  const said = (await installs(copyOf(first), 2)).filter((line) => /^\d/.test(line));
  expect(said.length).toBeGreaterThan(8);
  const seen = new Set<string>();
  for (const [step] of said.entries()) {
    const dir = copyOf(first);
    const lines = await installs(dir, 2, String(step), `${step} `);
    expect(lines.at(-1)).toBe(said[step]);
    seen.add(await afterStart(dir));
    await removeTree(dir);
  }
  expect([...seen].toSorted()).toEqual(['1', '2']);
}, 180_000);

test('killed while it copies and when it has, the next start has a whole release', async () => {
  const first = await firstDevice();
  const seen: string[] = [];
  for (const killAt of ['1 copy', '2 write', '3 clear', '4 name']) {
    const dir = copyOf(first);
    // It does not wait at the step: the kill comes somewhere in what follows.
    await installs(dir, 2, '', killAt);
    seen.push(await afterStart(dir));
    await removeTree(dir);
  }
  expect(seen.filter((number) => number !== '1' && number !== '2')).toEqual([]);
}, 180_000);
