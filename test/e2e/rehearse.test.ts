// Rehearsals as a build server runs them: one good release and eight bad ones, all at once, and one that is interrupted.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import type { RehearsalReport } from '../../src/rehearse/report.ts';
import { flipByte } from '../../src/testing/tamper.ts';
import { makeTestFleet, TEST_PROFILE } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { readXml } from '../support/xml.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
const env = { ...process.env, TMPDIR: join(folder, 'tmp') };
let fleet: TestFleet;
/** The folder of the good release. */
let good = '';

/** Command lines of processes that name the folder in which rehearsals play. */
function running(): string[] {
  const listed = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout.split('\n');
  return listed.filter((line) => line.includes(`${env.TMPDIR}/touchstone-`));
}

interface Ended {
  readonly code: number | null;
  readonly report: RehearsalReport;
  readonly xml: string;
  readonly messages: string;
}

async function rehearse(name: string, release: string, ...more: string[]): Promise<Ended> {
  const junit = join(folder, `${name}.xml`);
  const publisher = join(fleet.dir, 'publisher/publisher.pub.pem');
  const profile = more.includes('--profile') ? [] : ['--profile', fleet.profileFile];
  const args = ['rehearse', '--json', '--junit', junit, '--key', publisher, '--release', release, ...profile, ...more];
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, messages]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => messages.push(text));
  const [code] = (await once(child, 'close')) as [number | null];
  const document = JSON.parse(out.join('')) as { rehearsals?: readonly RehearsalReport[] };
  const [report] = document.rehearsals ?? [];
  if (report === undefined) throw new Error(`${name}: ${messages.join('')}`);
  return { code, report, xml: await readFile(junit, 'utf8'), messages: messages.join('') };
}

/** Each bad release: what is wrong with it, and the rule that must say so. */
const BAD = {
  unsigned: 'release-unsigned',
  'signed by a stranger': 'release-signer',
  tampered: 'release-file-changed',
  old: 'release-older',
  misplaced: 'release-slot-role',
  expired: 'release-expired',
  'of a refused format': 'release-format',
  'failing its health check': 'health-output',
} as const;

/** A runtime that doubles a number: what a device's own would do with the model. */
const RUNTIME = `import { createInterface } from 'node:readline';
for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(JSON.parse(line) * 2));
`;
/** Model files whose health check holds, or does not. */
const health = (output: number): Record<string, string> => ({
  'model.bin': `doubles, it says: 1 becomes ${output}`,
  'health.json': JSON.stringify({ v: 1, cases: [{ input: 1, output }] }),
});
const healthCheck = { healthCheck: 'health.json' };

const ended = new Map<string, Ended>();
const get = (name: string): Ended => {
  const found = ended.get(name);
  if (found === undefined) throw new Error(`${name} was not played`);
  return found;
};

/** Makes every release and plays all of them at the same time. */
beforeAll(async () => {
  await mkdir(env.TMPDIR);
  const runtime = join(folder, 'runtime.mjs');
  await writeFile(runtime, RUNTIME);
  const slots = TEST_PROFILE.slots.map((slot) => ({ ...slot, runtimeCommand: [process.execPath, runtime] }));
  fleet = await makeTestFleet({ profile: { ...TEST_PROFILE, slots } });
  const into = join(folder, 'releases');
  await mkdir(into);
  const one = await fleet.release({ into, securityVersion: 1 });
  const two = await fleet.release({
    into,
    version: '2.0.0',
    securityVersion: 2,
    files: health(2),
    passport: healthCheck,
  });
  const sick = await fleet.release({
    into,
    version: '2.0.0',
    securityVersion: 2,
    files: health(3),
    passport: healthCheck,
  });
  good = two.folder;
  const spoiled = async (name: string, change: (dir: string) => Promise<void>): Promise<string> => {
    const dir = join(folder, name);
    await cp(two.folder, dir, { recursive: true });
    await change(dir);
    return dir;
  };
  const unsigned = await spoiled('unsigned', async (dir) => {
    await rm(join(dir, 'model.sig'));
    await rm(join(dir, 'passport.json'));
  });
  const tampered = await spoiled('tampered', async (dir) => flipByte(join(dir, 'model/model.bin')));
  const stranger = await fleet.release({ into, key: generateKey('p256').privateKey });
  const misplaced = await fleet.release({ into, passport: { slotRole: 'elsewhere' } });
  const expired = await fleet.release({ into, passport: { notAfter: Date.UTC(2020, 1, 1) } });
  const pickle = await fleet.release({ into, files: { 'model.pkl': 'numbers that are a program' } });
  const onlyOnnx = join(folder, 'only-onnx.json');
  await writeFile(onlyOnnx, JSON.stringify({ ...TEST_PROFILE, formats: ['onnx'] }));
  const plays: Record<string, () => Promise<Ended>> = {
    good: async () => rehearse('good', two.folder, '--from', one.folder, '--max-disk', '100'),
    unsigned: async () => rehearse('unsigned', unsigned),
    'signed by a stranger': async () => rehearse('stranger', stranger.folder),
    tampered: async () => rehearse('tampered', tampered),
    old: async () => rehearse('old', one.folder, '--from', two.folder),
    misplaced: async () => rehearse('misplaced', misplaced.folder),
    expired: async () => rehearse('expired', expired.folder),
    'failing its health check': async () => rehearse('sick', sick.folder, '--from', one.folder),
    'of a refused format': async () => rehearse('format', pickle.folder, '--profile', onlyOnnx),
  };
  await Promise.all(Object.entries(plays).map(async ([name, play]) => ended.set(name, await play())));
}, 300_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

describe('touchstone rehearse', () => {
  test('plays a good release through every scene and ends with 0', () => {
    const { code, report } = get('good');
    expect(report.scenes.filter((scene) => scene.result !== 'passed')).toEqual([]);
    expect({ code, ok: report.ok, rule: report.rule }).toEqual({ code: 0, ok: true, rule: null });
    const names = 'signed signed-before before install verdict resources prediction power-cut tampering way-back';
    expect(report.scenes.map((scene) => scene.name).join(' ')).toBe(names);
  });

  test('predicts events and PCR value that are those of the real run', () => {
    const { run, predicted } = get('good').report;
    expect(run?.asPredicted).toBe(true);
    expect(run?.measuredPcr).toBe(run?.predictedPcr);
    expect(run?.events.map((event) => event.type)).toEqual(['boot', 'agent-start', 'slot', 'slot', 'slot']);
    expect(run?.events.at(-1)?.digest).toBe(predicted?.digest);
  });

  test('says that an upgrade with a higher security version leaves no way back', () => {
    const wayBack = get('good').report.scenes.at(-1);
    expect(wayBack?.expected).toContain('release-older');
  });

  test.each(Object.entries(BAD))('ends with 1 for a release that is %s, and names %s', (name, rule) => {
    const { code, report, xml } = get(name);
    expect({ code, ok: report.ok, rule: report.rule }).toEqual({ code: 1, ok: false, rule });
    expect(
      readXml(xml)
        .find('failure')
        .map((one) => one.attributes['type']),
    ).toEqual([rule]);
  });

  test('writes JUnit whose numbers are those of its cases', () => {
    for (const { xml, report } of ended.values()) {
      const root = readXml(xml);
      const [suite] = root.find('testsuite');
      const count = (tag: string): string => String(root.find(tag).length);
      expect(suite?.attributes).toMatchObject({
        tests: count('testcase'),
        failures: count('failure'),
        skipped: count('skipped'),
        errors: '0',
      });
      expect(root.find('testcase')).toHaveLength(report.scenes.length);
    }
  });

  test('leaves nothing behind, however many play at once', async () => {
    expect(running()).toEqual([]);
    expect(await readdir(env.TMPDIR)).toEqual([]);
  });

  test.each([
    ['while the device starts', 'what a publisher signed'],
    ['in the middle of an installation', 'The device judges'],
  ])('leaves nothing behind when it is interrupted %s', { timeout: 120_000 }, async (_, moment) => {
    const publisher = join(fleet.dir, 'publisher/publisher.pub.pem');
    const args = ['rehearse', '--release', good, '--profile', fleet.profileFile, '--key', publisher];
    const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const exit = once(child, 'exit') as Promise<[number]>;
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes(moment)) child.kill('SIGINT');
    });
    const [code] = await exit;
    expect(code).toBe(130);
    expect(running()).toEqual([]);
    expect(await readdir(env.TMPDIR)).toEqual([]);
  });

  test('what cannot be played here ends with 3, and never says that a release is bad', () => {
    const publisher = join(fleet.dir, 'publisher/publisher.pub.pem');
    const run = (release: string, path: string): { status: number | null; code: unknown } => {
      const args = ['rehearse', '--json', '--release', release, '--profile', fleet.profileFile, '--key', publisher];
      const ran = spawnSync(process.execPath, [main, ...args], { env: { ...env, PATH: path }, encoding: 'utf8' });
      return { status: ran.status, code: (JSON.parse(ran.stdout) as { error?: { code: string } }).error?.code };
    };
    const path = process.env['PATH'] ?? '';
    expect(run(join(folder, 'nowhere'), path)).toEqual({ status: 3, code: 'RELEASE_INVALID' });
    // Without swtpm in it.
    expect(run(good, folder)).toEqual({ status: 3, code: 'CONFIG_MISSING' });
  });

  test('who may sign must be said: wrong usage otherwise', () => {
    const args = ['rehearse', '--release', 'r', '--profile', fleet.profileFile];
    const run = spawnSync(process.execPath, [main, ...args], { env, encoding: 'utf8' });
    expect({ status: run.status, told: run.stderr.includes('--key') }).toEqual({ status: 2, told: true });
  });
});
