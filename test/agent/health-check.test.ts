// A release's health: each way to fail has its rule and its reason, and no program that is run for it gets away with anything.
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { checkHealth } from '../../src/agent/health-check.ts';
import { differsAt, readHealthPlan } from '../../src/agent/health-plan.ts';
import { WireError } from '../../src/errors.ts';
import type { SlotProfile } from '../../src/profile/profile.ts';
import type { SignedRelease } from '../../src/release/open.ts';
import { slotProfile } from '../measure/slots.ts';

const root = mkdtempSync(join(tmpdir(), 'health-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});
const ID = 'ab'.repeat(32);
const model = join(root, 'releases', ID, 'model');
mkdirSync(model, { recursive: true });

/** A runtime that answers each line by `answer`, an expression of `input`. */
const runtime = (answer: string, more = ''): string[] => [
  process.execPath,
  '-e',
  `${more}
   require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
     const input = JSON.parse(line);
     console.log(JSON.stringify(${answer}));
   });`,
];
const DOUBLE = runtime('input.map((one) => one * 2)');
const CASE = { input: [1, 2], output: [2, 4] };

async function check(
  plan: unknown,
  slot: Partial<SlotProfile>,
  passport: { readonly healthCheck?: string } = { healthCheck: 'health.json' },
): Promise<{ rule: string; detail: string } | null> {
  writeFileSync(join(model, 'health.json'), typeof plan === 'string' ? plan : JSON.stringify(plan));
  const files = [{ path: 'health.json' }];
  const release = { id: ID, passport, statement: { files } } as unknown as SignedRelease;
  const parts = { stateDir: root, monotonic: () => performance.now(), alone: async <T>(work: () => T) => work() };
  return checkHealth({ ...slotProfile(), ...slot }, release, parts);
}

describe('golden cases', () => {
  test('that are answered as expected are healthy', async () => {
    const plan = { v: 1, cases: [CASE, { input: [0.5], output: [1.01], tolerance: 0.02 }], memoryMiB: 4096 };
    expect(await check(plan, { runtimeCommand: DOUBLE })).toBeNull();
  });

  test('are asked with the model folder as the last argument', async () => {
    const plan = { v: 1, cases: [{ input: 0, output: model }] };
    expect(await check(plan, { runtimeCommand: runtime('process.argv.at(-1)') })).toBeNull();
  });

  test.each([
    ['health-output', 'a wrong number', { cases: [CASE] }, runtime('[2, 4.1]'), 'found [2,4.1] at [1]'],
    ['health-output', 'no JSON', { cases: [CASE] }, runtime('1', "console.log('loading');"), 'no JSON: loading'],
    ['health-latency', 'too late', { cases: [CASE], latencyMs: 1 }, DOUBLE, 'allowed are 1 ms'],
    ['health-memory', 'too big', { cases: [CASE], memoryMiB: 1 }, DOUBLE, 'allowed are 1 MiB'],
    [
      'health-runtime',
      'a crash',
      { cases: [CASE] },
      runtime('x', "console.error('no GPU'); process.exit(7);"),
      'code 7: no GPU',
    ],
    ['health-runtime', 'no program', { cases: [CASE] }, ['/nowhere/runtime'], 'ENOENT'],
    ['health-runtime', 'a bad end', { cases: [CASE] }, runtime('[2, 4]', 'process.exitCode = 3;'), 'exit code 3'],
    ['health-plan', 'no case', { cases: [] }, DOUBLE, 'not valid'],
    ['health-plan', 'unknown words', { cases: [CASE], accuracy: 1 }, DOUBLE, 'not valid'],
  ])('fail by %s: %s', async (rule, _, plan, runtimeCommand, words) => {
    const reason = await check({ v: 1, ...plan }, { runtimeCommand });
    expect(reason?.rule).toBe(rule);
    expect(reason?.detail).toContain(words);
  });

  test('fail when nobody can run them, or they are no file of the model', async () => {
    expect((await check({ v: 1, cases: [CASE] }, {}))?.rule).toBe('health-plan');
    const elsewhere = await check('{}', { runtimeCommand: DOUBLE }, { healthCheck: '../../other.json' });
    expect(elsewhere?.detail).toContain('no file of the model');
  });

  test('of a runtime that never answers end, with whatever it started', async () => {
    const pidFile = join(root, 'pid');
    const start = `const child = require('node:child_process').spawn('/bin/sleep', ['1000']);
      require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));`;
    const hangs = runtime('await new Promise(() => {})', start);
    const reason = await check({ v: 1, cases: [CASE] }, { runtimeCommand: hangs, healthSeconds: 3 });
    expect(reason).toMatchObject({ rule: 'health-runtime' });
    expect(reason?.detail).toContain('out of time');
    const { pid } = { pid: readFileSync(pidFile, 'utf8') };
    const state = (): string =>
      existsSync(`/proc/${pid}/stat`) ? (/\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '') : 'gone';
    await vi.waitUntil(() => ['gone', 'Z'].includes(state()), { timeout: 10_000 });
  });

  test('of a runtime that talks without end are not listened to', async () => {
    const floods = [process.execPath, '-e', "setInterval(() => process.stdout.write('x'.repeat(65536)), 1);"];
    expect((await check({ v: 1, cases: [CASE] }, { runtimeCommand: floods }))?.rule).toBe('health-runtime');
  });
});

describe('the operator’s command', () => {
  const node = (script: string): string[] => [process.execPath, '-e', script];
  const none = {};

  test('says yes by exit code 0, and is not asked where there is none', async () => {
    expect(await check('{}', { healthCommand: ['/bin/true'] }, none)).toBeNull();
    expect(await check('{}', {}, none)).toBeNull();
  });

  test('says no by any other, with its last words as the reason', async () => {
    const reason = await check('{}', { healthCommand: node("console.error('lens is dirty'); process.exit(4)") }, none);
    expect(reason).toMatchObject({ rule: 'health-command' });
    expect(reason?.detail).toContain('exit code 4: lens is dirty');
  });

  test('knows slot and model, and nothing of the agent’s environment', async () => {
    vi.stubEnv('TOUCHSTONE_TOKEN', 'secret');
    const reason = await check(
      '{}',
      { healthCommand: node('console.error(JSON.stringify(process.env)); process.exit(1)') },
      none,
    );
    vi.unstubAllEnvs();
    expect(reason?.detail).not.toContain('secret');
    const seen = await check(
      '{}',
      { healthCommand: node(`process.exit(process.env.TOUCHSTONE_MODEL === ${JSON.stringify(model)} ? 0 : 1)`) },
      none,
    );
    expect(seen).toBeNull();
  });

  test('inherits nothing that a library of the agent has open', async () => {
    // What the TPM's library does: a descriptor that programs inherit.
    const opened = openSync('/dev/null', 'r');
    koffi.load('libc.so.6').func('int fcntl(int fd, int cmd, int arg)')(opened, 2, 0);
    const reason = await check(
      '{}',
      { healthCommand: ['/bin/sh', '-c', 'ls /proc/self/fd | tr "\\n" " " >&2; exit 1'] },
      none,
    );
    closeSync(opened);
    // 3 is the folder that ls reads.
    expect(reason?.detail).toContain('exit code 1: 0 1 2 3');
    expect(reason?.detail).not.toContain('4');
  });

  test('is asked only after the golden cases', async () => {
    const slot = { runtimeCommand: runtime('[0]'), healthCommand: node('process.exit(1)') };
    expect((await check({ v: 1, cases: [CASE] }, slot))?.rule).toBe('health-output');
  });
});

describe('an answer', () => {
  test.each([
    [{ a: [1, { b: 2 }] }, { a: [1, { b: 2.05 }] }, 0.1, null],
    [{ a: [1, { b: 2 }] }, { a: [1, { b: 2.2 }] }, 0.1, '.a[1].b'],
    [[1], [1, 2], 0, ''],
    [{ a: 1 }, { b: 1 }, 0, '.a'],
    [[], {}, 0, ''],
    ['x', 'y', 9, ''],
    [null, 0, 9, ''],
    [1, '1', 9, ''],
  ])('of %j for %j within %d differs at %j', (expected, found, tolerance, at) => {
    expect(differsAt(expected, found, tolerance)).toBe(at);
  });

  test('is never within a tolerance that is no number', () => {
    const bytes = Buffer.from('{"v":1,"cases":[{"input":1,"output":1,"tolerance":1e999}]}');
    expect(() => readHealthPlan(bytes)).toThrow(WireError);
  });
});
