// Rehearsals as a build server runs them: one good release and eight bad ones, all at once, and one that is interrupted.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { acts, TITLES } from '../../src/rehearse/acts.ts';
import { flipByte } from '../../src/testing/tamper.ts';
import { makeTestFleet, TEST_PROFILE } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { BINARY as main, playingIn, rehearsed } from '../support/rehearsal.ts';
import type { Rehearsed } from '../support/rehearsal.ts';
import { readXml } from '../support/xml.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-e2e-'));
const env = { ...process.env, TMPDIR: join(folder, 'tmp') };
let fleet: TestFleet;
/** The folder of the good release. */
let good = '';

async function rehearse(name: string, release: string, ...more: string[]): Promise<Rehearsed> {
  const publisher = join(fleet.dir, 'publisher/publisher.pub.pem');
  const profile = more.includes('--profile') ? [] : ['--profile', fleet.profileFile];
  const args = ['--key', publisher, '--release', release, ...profile, ...more];
  return rehearsed(args, { tmp: env.TMPDIR, junit: join(folder, `${name}.xml`) });
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

const ended = new Map<string, Rehearsed>();
const get = (name: string): Rehearsed => {
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
  const plays: Record<string, () => Promise<Rehearsed>> = {
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
    expect(report.scenes.map((scene) => scene.name)).toEqual(Object.keys(TITLES));
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

  test.each(Object.keys(BAD))(
    'says of a release that is %s which scenes were not played, and because of which',
    (name) => {
      const { report, xml } = get(name);
      const failed = report.scenes.findIndex((scene) => scene.result === 'failed');
      const after = report.scenes.slice(failed + 1).filter((scene) => scene.result !== 'passed');
      expect(report.scenes.map((scene) => scene.name)).toEqual(
        acts(report.scenes.some(({ name: one }) => one === 'before')),
      );
      expect(after.length).toBeGreaterThan(5);
      for (const scene of after) expect(scene.saw).toMatch(/^not played: (?:signed|install) was not as expected \(/);
      expect(readXml(xml).find('skipped')).toHaveLength(after.length);
    },
  );

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
    expect(playingIn(env.TMPDIR)).toEqual([]);
    expect(await readdir(env.TMPDIR)).toEqual([]);
  });

  test.each([
    ['SIGINT', 'while the device starts', 'what a publisher signed'],
    ['SIGINT', 'in the middle of an installation', 'The device judges'],
    ['SIGKILL', 'in the middle of an installation', 'The device judges'],
  ] as const)('leaves nothing behind after %s %s', { timeout: 120_000 }, async (signal, _, moment) => {
    const publisher = join(fleet.dir, 'publisher/publisher.pub.pem');
    const args = ['rehearse', '--release', good, '--profile', fleet.profileFile, '--key', publisher];
    const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const exit = once(child, 'exit') as Promise<[number | null]>;
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes(moment)) child.kill(signal);
    });
    const [code] = await exit;
    expect(code).toBe(signal === 'SIGINT' ? 130 : null);
    // Nobody waits for the guard of one that was killed.
    const isClean = async (): Promise<boolean> =>
      playingIn(env.TMPDIR).length === 0 && (await readdir(env.TMPDIR)).length === 0;
    const patience = signal === 'SIGKILL' ? 200 : 0;
    for (let tries = 0; tries < patience && !(await isClean()); tries += 1) await delay(50);
    expect(playingIn(env.TMPDIR)).toEqual([]);
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
