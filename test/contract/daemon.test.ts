// The binary as operators use it: the daemon as a process of its own, its socket, and every command that speaks with it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { upTopic } from '../../src/bus/bus.ts';
import type { Bus } from '../../src/bus/bus.ts';
import type { DeviceDetail, DeviceView } from '../../src/controller/views.ts';
import type { TestBroker } from '../support/broker.ts';
import { makeTestFleet } from '../support/fleet.ts';
import type { TestFleet, TestRelease } from '../support/fleet.ts';
import { newcomerBus, trustOf } from '../support/members.ts';
import { SoftDevice } from '../support/soft-device.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

let fleet: TestFleet;
let broker: TestBroker;
let release: TestRelease;
let daemon: ChildProcess;
const said: string[] = [];

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function touchstone(...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, TOUCHSTONE_STATE: fleet.controllerDir },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

async function json<T>(...args: readonly string[]): Promise<T> {
  const { stdout } = await touchstone(...args, '--json');
  return JSON.parse(stdout) as T;
}

/** Starts the daemon; resolves when it says that it is ready. */
async function start(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, 'controller', '--state', fleet.controllerDir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.push(text);
      if (text.includes('is ready')) resolve();
    });
    child.once('exit', (code) => {
      reject(new Error(`the daemon ended with ${code}: ${said.join('')}`));
    });
  });
  return child;
}

beforeAll(async () => {
  fleet = await makeTestFleet();
  release = await fleet.release();
  broker = await fleet.startBroker();
  daemon = await start();
});

afterAll(async () => {
  daemon.kill('SIGKILL');
  await broker[Symbol.asyncDispose]();
  await fleet[Symbol.asyncDispose]();
});

/** A device that enrolled and was approved by the command. */
async function approved(answers = true): Promise<{ device: SoftDevice; bus: Bus }> {
  const device = await SoftDevice.make(fleet, release);
  const joining = await newcomerBus(fleet);
  await device.enrol(joining, 'pending');
  const waiting = device.enrol(joining, 'approved');
  const { code, stdout } = await touchstone('device', 'approve', device.id.slice(0, 12));
  expect([code, stdout.includes(device.id)]).toEqual([0, true]);
  await waiting;
  const bus = await device.connect();
  onTestFinished(async () => bus[Symbol.asyncDispose]());
  if (answers) await device.answerAll(bus);
  return { device, bus };
}

/** Carries out commands as an agent does, ending each as `how` says. */
async function obey(device: SoftDevice, bus: Bus, how: (id: string) => Promise<void>): Promise<void> {
  const next = await device.commands(bus, trustOf(fleet).operatorKeys);
  const work = async (): Promise<void> => {
    const { id, seq } = await next();
    device.lastSeq = seq;
    await how(id);
    await bus.publish(upTopic(device.id, 'status'), device.hint(true, 'challenge'));
  };
  work().catch(() => undefined);
}

describe('touchstone device', () => {
  it('lists who waits, lets a device in, and tells how it is doing', async () => {
    const device = await SoftDevice.make(fleet, release);
    await device.enrol(await newcomerBus(fleet), 'pending');
    const waiting = await touchstone('device', 'list');
    expect(waiting.stdout).toContain(device.id.slice(0, 12));
    expect(waiting.stdout).toContain('compare the device with your inventory');
    const { device: one } = await approved();
    const { code } = await touchstone('device', 'attest', one.id);
    expect(code).toBe(0);
    const { devices } = await json<{ devices: DeviceView[] }>('device', 'list');
    expect(devices.find(({ id }) => id === one.id)).toMatchObject({ state: 'approved', condition: 'warning' });
    expect(devices.find(({ id }) => id === device.id)).toMatchObject({ state: 'pending', condition: 'pending' });
  });

  it('shows for each finding the rule, expected, found, who says so and what to do now', async () => {
    const { device } = await approved();
    await device.install(release, 'changed', 'other bytes');
    const asked = await touchstone('device', 'attest', device.id);
    expect(asked.code).toBe(1);
    for (const word of ['untrusted', 'model-bytes', 'expected:', 'found:', 'says who:', 'what to do:', 'model.bin']) {
      expect(asked.stdout).toContain(word);
    }
    const { device: shown } = await json<{ device: DeviceDetail }>('device', 'show', device.id);
    expect(shown.verdict?.findings.find(({ rule }) => rule === 'model-bytes')?.now).toBeTruthy();
    expect(shown.endorsement?.approvedBy).toBe('operator');
    expect((await touchstone('device', 'show', device.id)).code).toBe(0);
  });

  it('says with exit code 3 that a device gave no answer', async () => {
    const { device } = await approved(false);
    const { code, stderr } = await touchstone('device', 'attest', device.id, '--timeout', '0.2');
    expect([code, stderr.includes('no evidence came')]).toEqual([3, true]);
  });

  it('rejects, quarantines, labels and retires, and keeps the reason', async () => {
    const { device } = await approved();
    expect((await touchstone('device', 'label', device.id, 'dock 7')).code).toBe(0);
    expect((await touchstone('device', 'quarantine', 'dock 7', '--reason', 'seal broken')).code).toBe(0);
    expect((await touchstone('device', 'attest', 'dock 7')).code).toBe(1);
    expect((await touchstone('device', 'retire', 'dock 7', '--reason', 'scrapped')).stdout).toContain('seal broken');
    const refused = await touchstone('device', 'approve', 'dock 7');
    expect([refused.code, refused.stderr.includes('retired')]).toEqual([3, true]);
    const other = await SoftDevice.make(fleet, release);
    await other.enrol(await newcomerBus(fleet), 'pending');
    expect((await touchstone('device', 'reject', other.id, '--reason', 'unknown')).stdout).toContain('unknown');
  });

  it('makes a token that lets a device in by itself', async () => {
    const { stdout } = await touchstone('device', 'token', 'line 4');
    const device = await SoftDevice.make(fleet, release);
    const state = await device.enrol(await newcomerBus(fleet), 'approved', { token: stdout.trim() });
    expect(state.at).toBe('approved');
  });

  it('cannot be used to write to the terminal by what a device says', async () => {
    const { device } = await approved();
    await device.install(release, 'changed', 'x');
    device.report({ kind: 'refused', rule: 'x', slot: null, subject: null, detail: 'right \u202e left' });
    await touchstone('device', 'attest', device.id);
    expect((await touchstone('device', 'show', device.id)).stdout).toContain('\\u{202e}');
  });
});

describe('touchstone upgrade', () => {
  it('follows a device until it has proven that it runs the release', async () => {
    const two = await fleet.release({ version: '2.0.0', securityVersion: 2 });
    const { device, bus } = await approved();
    await touchstone('device', 'attest', device.id);
    await obey(device, bus, async (id) => {
      await device.install(two, 'activated');
      device.report({ kind: 'activated', rule: 'done', slot: 'detector', subject: id, detail: 'runs' });
    });
    const ran = await touchstone('upgrade', device.id, '--release', two.id.slice(0, 10), '--json');
    expect(ran.code).toBe(0);
    const { upgrades } = JSON.parse(ran.stdout) as { upgrades: unknown[] };
    expect(upgrades).toMatchObject([{ device: device.id, end: 'attested', release: two.id, slot: 'detector' }]);
  });

  it('ends with 1 and the rule when the device refuses', async () => {
    const { device, bus } = await approved();
    await touchstone('device', 'attest', device.id);
    await obey(device, bus, async (id) => {
      device.report({ kind: 'refused', rule: 'release-older', slot: 'detector', subject: id, detail: '1 over 2' });
      await Promise.resolve();
    });
    const ran = await touchstone('upgrade', device.id, '--release', release.id);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('release-older');
  });

  it('ends with 3 when it is not over in time, and 0 when it is not waited for', async () => {
    const { device } = await approved();
    const late = await touchstone('upgrade', device.id, '--release', release.id, '--timeout', '0.3');
    expect([late.code, late.stdout.includes('under-way')]).toEqual([3, true]);
    expect((await touchstone('upgrade', device.id, '--release', release.id, '--no-wait')).code).toBe(0);
  });
});

describe('the daemon', () => {
  it('is reached by its own user only', async () => {
    expect((await stat(join(fleet.controllerDir, 'control.sock'))).mode & 0o777).toBe(0o600);
  });

  it('is one on its state directory', async () => {
    const { code, stderr } = await touchstone('controller');
    expect([code, stderr.includes('another controller already listens')]).toEqual([3, true]);
    // And the first one is not disturbed by the try.
    expect((await json<{ devices: DeviceView[] }>('device', 'list')).devices.length).toBeGreaterThan(0);
    expect(said.join('')).not.toContain('the broker is gone');
  });

  it('takes a new release without being told, and says which files it cannot use', async () => {
    const { device } = await approved();
    const added = await fleet.release({ version: '5.0.0', securityVersion: 5 });
    await writeFile(join(fleet.controllerDir, 'profiles', 'broken.json'), '{');
    await device.install(added, 'activated');
    // Not trusted while the release is not known; trusted as soon as it is.
    while ((await touchstone('device', 'attest', device.id)).code !== 0);
    while (!said.some((line) => line.includes('broken.json'))) await once(daemon.stderr ?? daemon, 'data');
    expect(said.join('')).toContain('broken.json');
  });

  it('refuses what is no request of its own', async () => {
    const socketPath = join(fleet.controllerDir, 'control.sock');
    const status = async (method: string, path: string, body: string): Promise<number | undefined> => {
      const asked = request({ socketPath, method, path });
      asked.end(body);
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    expect(await status('GET', '/v1/list', '')).toBe(404);
    expect(await status('POST', '/v1/format', '{}')).toBe(404);
    expect(await status('POST', '/v1/constructor', '{}')).toBe(404);
    expect(await status('POST', '/v1/show', '{')).toBe(409);
    expect(await status('POST', '/v1/show', '{"device":"x","more":1}')).toBe(409);
    expect(await status('POST', '/v1/follow', '{"devices":7}')).toBe(409);
    expect(await status('POST', '/v1/show', `{"device":"${'x'.repeat(300_000)}"}`)).toBe(409);
    expect((await touchstone('device', 'list')).code).toBe(0);
  });

  it('stops cleanly at SIGTERM, and starts again over the socket of one that was killed', async () => {
    daemon.kill('SIGTERM');
    expect(await once(daemon, 'exit')).toEqual([0, null]);
    const gone = await touchstone('device', 'list');
    expect([gone.code, gone.stderr.includes('no controller at')]).toEqual([3, true]);
    daemon = await start();
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
    daemon = await start();
    expect((await touchstone('device', 'list')).code).toBe(0);
  });

  it('does not start when the root does not name its keys', async () => {
    await using other = await makeTestFleet();
    const key = join(other.controllerDir, 'keys', 'result.key.pem');
    await chmod(key, 0o600);
    await writeFile(key, await readFile(join(fleet.controllerDir, 'keys', 'result.key.pem')));
    const { code, stderr } = await touchstone('controller', '--state', other.controllerDir);
    expect([code, stderr.includes('does not name this controller')]).toEqual([3, true]);
  });
});
