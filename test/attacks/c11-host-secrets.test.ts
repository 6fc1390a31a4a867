// C11, secrets on a host: no key and no token is readable by others, goes through a link, or is said in a log or an error.
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFleet } from '../../src/controller/fleet-files.ts';
import { lineLog } from '../../src/log.ts';
import { loadSettings } from '../../src/controller/settings.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { Tokens } from '../../src/controller/tokens.ts';
import { Scratch, quickly } from '../support/binary.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet } from '../support/fleet.ts';
import { newcomerBus, running } from '../support/members.ts';
import { SoftDevice } from '../support/soft-device.ts';

let fleet: TestFleet;
let broker: TestBroker;
beforeAll(async () => {
  fleet = await makeTestFleet();
  broker = await fleet.startBroker();
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const SECRET = /PRIVATE KEY|^[0-9a-f]{64}\s*$/;
const isSecret = (path: string): boolean => SECRET.test(readFileSync(path, 'latin1'));

describe('what a fleet is made of', () => {
  test('every secret of it is its owner’s alone, and what ships with devices holds none', () => {
    const secrets = filesBelow(fleet.dir).filter(isSecret);
    expect(secrets.length).toBeGreaterThanOrEqual(9);
    for (const path of secrets) expect([path, lstatSync(path).mode & 0o077]).toEqual([path, 0]);
    expect(secrets.filter((path) => path.startsWith(fleet.deviceDir))).toEqual([]);
  });

  test('is never written through a link that somebody put there first, nor over anything', async () => {
    await using scratch = await Scratch.make();
    await scratch.write({ 'victim.txt': 'mine' });
    const plan = {
      dir: scratch.path('fleet'),
      modelIds: ['m'],
      brokerHost: 'localhost',
      bind: '127.0.0.1',
      fleetPort: 1,
      enrolPort: 2,
      rootKeys: 1,
      threshold: 1,
      now: Date.now(),
    };
    mkdirSync(join(plan.dir, 'root'), { recursive: true });
    symlinkSync(scratch.path('victim.txt'), join(plan.dir, 'root', 'root-1.key.pem'));
    expect(() => makeFleet(plan)).toThrow('EEXIST');
    expect(readFileSync(scratch.path('victim.txt'), 'utf8')).toBe('mine');
  });

  test('the registry, the socket and the tokens of a controller are its own user’s', async () => {
    const controller = await running(fleet);
    await controller.controller.admissions.token('line 4', 3_600_000);
    for (const name of ['registry.sqlite', 'control.sock']) {
      expect([name, lstatSync(join(fleet.controllerDir, name)).mode & 0o077]).toEqual([name, 0]);
    }
  });
});

describe('a secret is never said', () => {
  test('by a controller that issues a token, lets a device in and refuses others', async () => {
    const controller = await running(fleet);
    const { admissions } = controller.controller;
    const token = await admissions.token('line 4', 3_600_000);
    const device = await SoftDevice.make(fleet, null);
    await device.enrol(await newcomerBus(fleet), 'approved', { token });
    const wrong = await admissions.token('line 5', 3_600_000);
    const other = await SoftDevice.make(fleet, null);
    await other.enrol(await newcomerBus(fleet), 'pending', { token: `${wrong}x` });
    const keys = filesBelow(fleet.dir).filter(isSecret);
    const needles = keys.map(
      (path) =>
        readFileSync(path, 'utf8')
          .split('\n')
          .find((line) => !line.includes('-----')) ?? '',
    );
    const said = [
      ...controller.lines,
      JSON.stringify(await controller.registry.history(device.id, 100)),
      JSON.stringify(await controller.registry.history(other.id, 100)),
      JSON.stringify(await controller.controller.health()),
    ].join('\n');
    for (const needle of [token, wrong, ...needles]) {
      expect(needle.length).toBeGreaterThan(20);
      expect(said).not.toContain(needle);
    }
    expect(said).toContain('token line 4');
  });

  test('by the error about a key that is damaged', async () => {
    await using broken = await makeTestFleet();
    const file = join(broken.controllerDir, 'keys/result.key.pem');
    const [, body = ''] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, `-----BEGIN PRIVATE KEY-----\n${body}x\n-----END PRIVATE KEY-----\n`);
    const failed = ((): unknown => {
      try {
        return loadSettings(broken.controllerDir, Date.now());
      } catch (error) {
        return error;
      }
    })();
    const text = `${String(failed)} ${JSON.stringify(failed, Object.getOwnPropertyNames(failed))}`;
    expect(failed).toBeInstanceOf(Error);
    expect(text).not.toContain(body.slice(0, 30));
  });

  test('on the command line: no option of any command takes a key, a token or a password itself', async () => {
    const { stdout } = await quickly(['completion', 'bash']);
    const options = [...new Set(stdout.match(/--[a-z-]+/g))];
    expect(options.length).toBeGreaterThan(20);
    const suspicious = options.filter((name) => /token|secret|password|auth/.test(name) && !name.endsWith('-file'));
    expect(suspicious).toEqual([]);
  });
});

test('a token that was used or never given opens nothing', async () => {
  await using scratch = await Scratch.make();
  await using registry = openSqliteRegistry(scratch.path('registry.sqlite'));
  const tokens = new Tokens(registry);
  const one = await tokens.issue('one', 1000);
  const asked = ['', `${one} `, one, one];
  const taken: (string | null)[] = [];
  for (const token of asked) taken.push(await tokens.take(token, 1000));
  expect(taken).toEqual([null, null, 'one', null]);
});

test.each(['text', 'json'] as const)('a %s log is one line for each thing, whatever others name', (format) => {
  const lines: string[] = [];
  const put = (line: string): void => {
    lines.push(line);
  };
  const hostile = 'device\n2026-01-01T00:00:00.000Z info: all is well\r\u001b[2J\u202e\u0085\u2028';
  lineLog(format, () => 0, put).write('info', 'x', hostile, { device: hostile });
  expect(lines).toHaveLength(1);
  const [line = ''] = lines;
  expect(line.indexOf('\n')).toBe(line.length - 1);
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u{202a}-\u{202e}]/u);
});

test('a json log says exactly what others named, once it is read', () => {
  const said: string[] = [];
  const hostile = 'a\u0085b\u202ec\u001bd\\u0085';
  lineLog(
    'json',
    () => 0,
    (line) => said.push(line),
  ).write('info', 'x', hostile, { device: hostile });
  expect(JSON.parse(said.join(''))).toMatchObject({ message: hostile, device: hostile });
});
