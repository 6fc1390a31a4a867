// A command whose release lies on a web server: fetched beside everything else, overtaken by newer ones, gone on with after a cut.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CommandDesk } from '../../src/agent/command-desk.ts';
import { CommandRunner } from '../../src/agent/command-runner.ts';
import { Incoming } from '../../src/agent/incoming.ts';
import { Mailbox } from '../../src/agent/mailbox.ts';
import { readTransferNote, writeTransferNote } from '../../src/agent/transfer-note.ts';
import { systemClock } from '../../src/clock.ts';
import { HashPool } from '../../src/files/hash-pool.ts';
import type { Report } from '../../src/evidence/claims.ts';
import type { TransferProfile } from '../../src/profile/transfer.ts';
import type { Command, CommandBody } from '../../src/protocol/messages.ts';
import { Device } from '../gate/device.ts';
import { FLEET_ID, makeRelease, stranger } from '../release/publisher.ts';
import type { MadeRelease } from '../release/publisher.ts';
import { QUICK } from '../transfer/fetching.ts';
import { WebServer } from '../transfer/web-server.ts';

const pool = new HashPool();
const root = mkdtempSync(join(tmpdir(), 'incoming-'));
let one: MadeRelease;
let two: MadeRelease;
beforeAll(async () => {
  one = await makeRelease(join(root, 'one'), pool);
  two = await makeRelease(join(root, 'two'), pool, { passport: { version: '2.0.0' } });
});
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await pool[Symbol.asyncDispose]();
});

const SILENT = { write: () => {} };
const SESSION = Buffer.alloc(16, 1);

/** What of an agent has to do with commands, on a real gate. */
class Agent implements AsyncDisposable {
  readonly device: Device = new Device(pool);
  readonly errors: unknown[] = [];
  told = 0;
  runner: CommandRunner;
  #incoming: Incoming;
  #seq = 0;

  private constructor(device: Device, incoming: Incoming) {
    this.device = device;
    this.#incoming = incoming;
    this.runner = this.#newRunner();
  }

  static async start(profile: TransferProfile = { plainHttp: true }, device = new Device(pool)): Promise<Agent> {
    const gate = device.gate();
    await gate.recover();
    const incoming = await Incoming.open({
      stateDir: device.stateDir,
      profile,
      clock: systemClock,
      log: SILENT,
      env: {},
      judge: async (body, files) => gate.judgeFiles(body, files),
      limits: { ...QUICK, plainHttp: profile.plainHttp ?? false, bytesPerSecond: profile.bytesPerSecond ?? null },
    });
    return new Agent(device, incoming);
  }

  #newRunner(): CommandRunner {
    const mailbox = new Mailbox((error) => void this.errors.push(error));
    const { device } = this;
    const gate = device.gate();
    return new CommandRunner({
      journal: device.journal,
      desk: new CommandDesk({ fleetId: FLEET_ID, deviceId: 'd', session: SESSION.toString('hex') }),
      session: SESSION,
      log: SILENT,
      now: () => 0,
      hasSlot: (slot) => ['main', 'signs'].includes(slot),
      install: async (body, row) => gate.install(body, row),
      beside: {
        incoming: this.#incoming,
        soon: (work) => void mailbox.put(work),
        tell: async () => {
          this.told++;
          return Promise.resolve();
        },
      },
      takeFloors: async () => Promise.reject(new TypeError('no floors here')),
      measureAll: async () => Promise.resolve({ kind: 'command', rule: 'done', detail: 'measured' }),
    });
  }

  async run(id: string, body: CommandBody): Promise<boolean> {
    const command: Command = {
      v: 1,
      fleetId: FLEET_ID,
      deviceId: 'd',
      session: SESSION.toString('hex'),
      seq: ++this.#seq,
      id,
      body,
    };
    return this.runner.run(command);
  }

  async reports(): Promise<readonly Report[]> {
    return this.device.journal.reports();
  }

  async reportOf(id: string): Promise<Report> {
    return vi.waitFor(async () => {
      const report = (await this.reports()).find((entry) => entry.subject === id);
      if (report === undefined) throw new Error(`no report of ${id} yet`);
      return report;
    }, 10_000);
  }

  async stop(): Promise<void> {
    await this.#incoming[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.device[Symbol.asyncDispose]();
  }
}

const install = (release: string, source: string | null, order = 1, slot = 'main'): CommandBody => ({
  kind: 'install',
  slot,
  order,
  release,
  source,
});

describe('a release on a web server', () => {
  test('is fetched, let in by the gate, reported and told of; nothing stays in between', async () => {
    await using server = await WebServer.start(one.folder);
    await using agent = await Agent.start();
    expect(await agent.run('a', install(one.id, server.url))).toBe(false);
    expect(await agent.reportOf('a')).toMatchObject({ kind: 'activated', rule: 'done', slot: 'main' });
    expect(agent.device.linked()).toBe(one.id);
    expect(agent.device.read('classifier.onnx')).toBe('weights of version 1');
    await vi.waitFor(() => {
      expect(agent.told).toBe(1);
    });
    expect(readdirSync(join(agent.device.stateDir, 'incoming'))).toEqual([]);
    expect(agent.errors).toEqual([]);
  });

  test('by a stranger is refused by its signature, and none of its model was asked for', async () => {
    const bad = await makeRelease(join(root, 'bad'), pool, { key: stranger });
    await using server = await WebServer.start(bad.folder);
    await using agent = await Agent.start();
    await agent.run('a', install(bad.id, server.url));
    expect(await agent.reportOf('a')).toMatchObject({ kind: 'refused', rule: 'release-signer' });
    expect(server.asked).toEqual(['GET passport.json', 'GET model.sig']);
    expect(readdirSync(join(agent.device.stateDir, 'incoming'))).toEqual([]);
  });

  test('that has another file than signed is refused, and what came is thrown away', async () => {
    await using server = await WebServer.start(one.folder);
    server.trick = (path, request, response) => {
      if (path !== 'model/classifier.onnx' || request.method !== 'GET') return false;
      response.writeHead(200, {}).end('weights of VERSION 1');
      return true;
    };
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url));
    expect(await agent.reportOf('a')).toMatchObject({ kind: 'refused', rule: 'release-file-changed' });
    expect(readdirSync(join(agent.device.stateDir, 'incoming'))).toEqual([]);
    expect(agent.device.linked()).toBeNull();
  });

  test('that cannot be reached, or not by this profile, is a failed command that says why', async () => {
    const server = await WebServer.start(one.folder);
    await server[Symbol.asyncDispose]();
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url));
    expect((await agent.reportOf('a')).detail).toContain('TRANSFER_UNAVAILABLE');
    await using strict = await Agent.start({});
    await strict.run('b', install(one.id, server.url));
    expect((await strict.reportOf('b')).detail).toContain('http is not allowed');
    await using blind = await Agent.start({ caFile: '/nowhere/ca.pem' });
    await blind.run('c', install(one.id, server.url));
    expect((await blind.reportOf('c')).detail).toContain('CONFIG_MISSING');
  });
});

test('a disk that has no place for a release ends its command, and not the agent', async () => {
  await using server = await WebServer.start(one.folder);
  await using agent = await Agent.start();
  const incoming = join(agent.device.stateDir, 'incoming');
  rmSync(incoming, { recursive: true });
  // A file in its place: no folder can be made there.
  writeFileSync(incoming, '');
  await agent.run('a', install(one.id, server.url));
  expect(await agent.reportOf('a')).toMatchObject({ kind: 'command', rule: 'failed' });
  expect(agent.errors).toEqual([]);
  rmSync(incoming);
  await agent.run('b', install(one.id, server.url, 2));
  expect(await agent.reportOf('b')).toMatchObject({ kind: 'activated', rule: 'done' });
});

describe('while a release is fetched', () => {
  /** A server that keeps everybody waiting for the model of its release. */
  const holding = async (): Promise<WebServer> => {
    const server = await WebServer.start(one.folder);
    server.trick = (path, request, response) => {
      if (path !== 'model/classifier.onnx' || request.method !== 'GET') return false;
      response.writeHead(200, { 'content-length': 20 });
      response.write('weights');
      return true;
    };
    return server;
  };
  const asked = async (server: WebServer): Promise<void> =>
    vi.waitFor(() => {
      expect(server.asked).toContain('GET model/classifier.onnx');
    });

  test('other commands are carried out, and the journal holds no mark of it', async () => {
    await using server = await holding();
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url));
    await asked(server);
    expect(await agent.device.journal.started()).toBeNull();
    expect(await agent.run('b', { kind: 'measure', order: 1 })).toBe(true);
    expect(await agent.reportOf('b')).toMatchObject({ rule: 'done' });
  });

  test('a newer command for the slot ends it, and is carried out', async () => {
    await using server = await holding();
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url, 1));
    await asked(server);
    expect(await agent.run('b', install(two.id, two.folder, 2))).toBe(true);
    expect(await agent.reportOf('a')).toMatchObject({
      rule: 'superseded-order',
      slot: 'main',
      detail: expect.stringContaining('while the release was fetched'),
    });
    expect(agent.device.linked()).toBe(two.id);
  });

  test('an older command for the slot changes nothing', async () => {
    await using server = await holding();
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url, 5));
    await asked(server);
    await agent.run('b', install(two.id, 'http://localhost:1/', 4));
    expect(await agent.reportOf('b')).toMatchObject({ rule: 'superseded-order' });
    server.trick = () => false;
    expect(await agent.reportOf('a')).toMatchObject({ rule: 'done' });
  });

  test('the next slot waits its turn', async () => {
    await using server = await holding();
    const signs = { modelId: 'sign-reader', slotRole: 'reading' };
    const other = await makeRelease(join(root, 'signs'), pool, { passport: signs });
    await using second = await WebServer.start(other.folder);
    await using agent = await Agent.start();
    await agent.run('a', install(one.id, server.url));
    await agent.run('b', install(other.id, second.url, 1, 'signs'));
    await asked(server);
    expect(second.asked).toEqual([]);
    server.trick = () => false;
    expect(await agent.reportOf('b')).toMatchObject({ rule: 'done', slot: 'signs' });
    expect(agent.device.linked('signs')).toBe(other.id);
  });

  test('a stop reports nothing and keeps what came; the command, given again, goes on with it', async () => {
    await using server = await holding();
    const agent = await Agent.start();
    await agent.run('a', install(one.id, server.url));
    await asked(server);
    await agent.stop();
    const folder = join(agent.device.stateDir, 'incoming', one.id);
    expect(await agent.reports()).toEqual([]);
    expect(existsSync(folder)).toBe(true);
    server.trick = () => false;
    await using again = await Agent.start({ plainHttp: true }, agent.device);
    await again.run('a', install(one.id, server.url));
    expect(await again.reportOf('a')).toMatchObject({ rule: 'done' });
  });

  test('what came of a command that nobody waits for any more is cleared away', async () => {
    await using server = await WebServer.start(one.folder);
    await using agent = await Agent.start();
    const left = join(agent.device.stateDir, 'incoming', 'ab'.repeat(32));
    mkdirSync(left, { recursive: true });
    await agent.run('a', install(one.id, server.url));
    await agent.reportOf('a');
    expect(existsSync(left)).toBe(false);
  });
});

test('how far a transfer is stands beside the status, and a start does not believe an old one', async () => {
  const note = { v: 1, slot: 'main', release: one.id, there: 5, of: 10 } as const;
  await using agent = await Agent.start();
  const { stateDir } = agent.device;
  await writeTransferNote(stateDir, note);
  expect(await readTransferNote(stateDir)).toEqual(note);
  await using again = await Agent.start({}, agent.device);
  expect(await readTransferNote(again.device.stateDir)).toBeNull();
});
