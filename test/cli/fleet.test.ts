// `touchstone fleet init`: everything a new fleet needs, secrets for their owner only, nothing overwritten.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadSettings } from '../../src/controller/settings.ts';
import { loadTrust } from '../../src/release/root.ts';
import { quickly, Scratch, touchstone, touchstoneJson } from '../support/binary.ts';

const PROFILE = new URL('../../firmware-profiles/swtpm-development.json', import.meta.url).pathname;

let scratch: Scratch;

beforeEach(async () => {
  scratch = await Scratch.make();
});

afterEach(async () => scratch[Symbol.asyncDispose]());

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('touchstone fleet init', () => {
  test('makes a fleet that a controller can load and a device can trust', async () => {
    const { code, document } = await touchstoneJson([
      'fleet',
      'init',
      '--out',
      scratch.path('fleet'),
      '--profile',
      PROFILE,
    ]);
    expect(code).toBe(0);
    expect(document).toMatchObject({
      dir: scratch.path('fleet'),
      modelIds: ['demo-model'],
      threshold: 2,
      broker: { host: 'localhost', bind: '127.0.0.1', fleetPort: 8883, enrolPort: 8884 },
      profiles: ['swtpm-development'],
    });
    const { fleetId, rootKeyIds } = document as { fleetId: string; rootKeyIds: string[] };
    expect(new Set(rootKeyIds).size).toBe(3);
    const settings = loadSettings(scratch.path('fleet/controller'), Date.now());
    expect(settings.trust.fleet.fleetId).toBe(fleetId);
    const device = async (name: string): Promise<Buffer> => readFile(scratch.path('fleet/device', name));
    const trust = loadTrust(await device('fleet.json'), await device('root.json'), Date.now(), 1);
    expect(trust.publishersFor('demo-model').size).toBe(1);
    expect(await device('swtpm-development.json')).toEqual(await readFile(PROFILE));
    expect(await readdir(scratch.path('fleet/controller/profiles'))).toEqual(['swtpm-development.json']);
  });

  test('gives secrets to their owner only, and none to devices', async () => {
    await quickly(['fleet', 'init', '--out', scratch.path('fleet')]);
    const secrets: string[] = [];
    for (const file of await filesIn(scratch.path('fleet'))) {
      const text = await readFile(file, 'utf8');
      if (!/PRIVATE KEY|challenge/.test(text + file)) continue;
      secrets.push(file);
      expect([file, (await stat(file)).mode & 0o777]).toEqual([file, 0o600]);
    }
    expect(secrets.length).toBeGreaterThan(8);
    expect(secrets.filter((file) => file.includes('/device/'))).toEqual([]);
  });

  test('makes certificates that openssl takes', async () => {
    await quickly(['fleet', 'init', '--out', scratch.path('fleet'), '--broker-host', 'mqtt.example.com']);
    const verify = [
      'verify',
      '-CAfile',
      'broker/ca.pem',
      '-purpose',
      'sslserver',
      '-verify_hostname',
      'mqtt.example.com',
      'broker/server.pem',
    ];
    expect(execFileSync('openssl', verify, { cwd: scratch.path('fleet'), encoding: 'utf8' })).toBe(
      'broker/server.pem: OK\n',
    );
  });

  test('says what to take offline and what to type next', async () => {
    const { stdout, stderr } = await touchstone(
      ['fleet', 'init', '--out', 'fleet', '--broker-host', 'mqtt.example.com'],
      { cwd: scratch.dir },
    );
    for (const words of [
      'Take this folder offline now',
      'mosquitto -c fleet/broker/mosquitto.conf',
      'touchstone controller --state fleet/controller',
      'touchstone agent',
    ]) {
      expect(stdout).toContain(words);
    }
    expect(stdout).not.toContain('cannot reach this broker');
    expect(stderr).toBe('');
  });

  test('writes into no folder that holds something', async () => {
    await scratch.write({ 'fleet/mine': 'x' });
    const { code, stderr } = await quickly(['fleet', 'init', '--out', scratch.path('fleet')]);
    expect(code).toBe(3);
    expect(stderr).toContain('is not empty');
    expect(await readdir(scratch.path('fleet'))).toEqual(['mine']);
  });

  test.each([
    [[]],
    [['--out', 'f', '--threshold', '4']],
    [['--out', 'f', '--root-keys', '0']],
    [['--out', 'f', '--fleet-port', '0']],
    [['--out', 'f', '--fleet-port', '8884']],
    [['--out', 'f', '--no-root']],
  ])('calls it wrong usage and writes nothing: %j', async (args) => {
    expect((await quickly(['fleet', 'init', ...args.map((arg) => (arg === 'f' ? scratch.path('f') : arg))])).code).toBe(
      2,
    );
    expect(await readdir(scratch.dir)).toEqual([]);
  });

  test('writes nothing for a profile that is not valid', async () => {
    await scratch.write({ 'bad.json': '{}' });
    const { code, stderr } = await touchstone(['fleet', 'init', '--out', 'f', '--profile', 'bad.json'], {
      cwd: scratch.dir,
    });
    expect(code).toBe(3);
    expect(stderr).toContain('bad.json: line 1');
    expect(await readdir(scratch.dir)).toEqual(['bad.json']);
  });
});

test('a folder of a fleet is made where there was none, and an empty one is taken', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'touchstone-cli-'));
  try {
    expect((await quickly(['fleet', 'init', '--out', empty])).code).toBe(0);
  } finally {
    await rm(empty, { recursive: true, force: true });
  }
  expect((await quickly(['fleet', 'init', '--out', scratch.path('a/b')])).code).toBe(0);
});
