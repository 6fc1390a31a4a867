// Two controllers as the binary makes and runs them: one database, one broker, each with its own folder and socket.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeviceView } from '../../src/controller/views.ts';
import { touchstone as call } from '../support/binary.ts';
import type { Called } from '../support/binary.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { newcomerBus } from '../support/members.ts';
import { PostgresServer } from '../support/postgres.ts';
import { SoftDevice } from '../support/soft-device.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

let server: PostgresServer;
let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
let second: string;
const daemons: ChildProcess[] = [];
const said: string[] = [];

const touchstone = async (...args: readonly string[]): Promise<Called> => call(args);

/** Starts a daemon; resolves when it says that it is ready. */
async function start(state: string): Promise<void> {
  const child = spawn(process.execPath, [MAIN, 'controller', '--state', state], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  daemons.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.push(text);
      if (text.includes('is ready')) resolve();
    });
    child.once('exit', (code) => {
      reject(new Error(`the daemon ended with ${code}: ${said.join('')}`));
    });
  });
}

beforeAll(async () => {
  server = await PostgresServer.start();
  fleet = await makeTestFleet({ controller: { registry: server.database() } });
  release = await fleet.release();
  broker = await fleet.startBroker();
  second = join(fleet.dir, 'controller-2');
  const made = await touchstone('fleet', 'controller', '--state', fleet.controllerDir, '--out', second);
  if (made.code !== 0) throw new Error(made.stderr);
  await touchstone('release', 'add', release.folder, '--state', second);
  await Promise.all([start(fleet.controllerDir), start(second)]);
}, 120_000);
afterAll(async () => {
  for (const child of daemons) {
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('what one decides counts with the other, and both go on', async () => {
  const device = await SoftDevice.make(fleet, release);
  const joining = await newcomerBus(fleet);
  await device.enrol(joining, 'pending');
  const waiting = device.enrol(joining, 'approved');
  expect((await touchstone('device', 'approve', device.id, '--state', fleet.controllerDir)).code).toBe(0);
  await waiting;
  await using bus = await device.connect();
  await device.answerAll(bus);
  for (const state of [fleet.controllerDir, second]) {
    expect((await touchstone('device', 'attest', device.id, '--state', state)).code).toBe(0);
  }
  expect((await touchstone('device', 'quarantine', device.id, '--reason', 'seal', '--state', second)).code).toBe(0);
  expect((await touchstone('device', 'attest', device.id, '--state', fleet.controllerDir)).code).toBe(1);
  expect((await touchstone('device', 'approve', device.id, '--state', fleet.controllerDir)).code).toBe(0);
  expect((await touchstone('device', 'attest', device.id, '--state', second)).code).toBe(0);
  const lists = await Promise.all(
    [fleet.controllerDir, second].map(async (state) => {
      const { stdout } = await touchstone('device', 'list', '--state', state, '--json');
      return (JSON.parse(stdout) as { devices: DeviceView[] }).devices.map(({ id, state: of }) => [id, of]);
    }),
  );
  expect(lists[0]).toEqual(lists[1]);
});

test('a token of one lets a device in, whichever of them hears it', async () => {
  for (let i = 0; i < 4; i++) {
    const { stdout } = await touchstone(
      'device',
      'token',
      `line ${i}`,
      '--state',
      i % 2 === 0 ? second : fleet.controllerDir,
    );
    const device = await SoftDevice.make(fleet, release);
    expect((await device.enrol(await newcomerBus(fleet), 'approved', { token: stdout.trim() })).at).toBe('approved');
  }
});

test('the other folder is for its owner only, has a name of its own, and is made only where the registry is shared', async () => {
  expect((await stat(second)).mode & 0o777).toBe(0o700);
  for (const key of ['result.key.pem', 'operator.key.pem', 'ca.key.pem', 'challenge.key.hex', 'broker-client.key.pem'])
    expect((await stat(join(second, 'keys', key))).mode & 0o777).toBe(0o600);
  const [mine, theirs] = await Promise.all(
    [fleet.controllerDir, second].map(async (state) => readFile(join(state, 'keys/broker-client.key.pem'), 'utf8')),
  );
  expect(mine).not.toBe(theirs);
  const again = await touchstone('fleet', 'controller', '--state', fleet.controllerDir, '--out', second);
  expect([again.code, again.stderr.includes('there already')]).toEqual([3, true]);
  await using other = await makeTestFleet();
  const alone = await touchstone(
    'fleet',
    'controller',
    '--state',
    other.controllerDir,
    '--out',
    join(other.dir, 'two'),
  );
  expect([alone.code, alone.stderr.includes('PostgreSQL')]).toEqual([3, true]);
});
