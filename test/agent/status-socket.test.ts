// The status as a stream: whoever connects hears the last word at once, then every new one, and can say nothing.
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { StatusSocket } from '../../src/agent/status-socket.ts';
import type { AgentStatus } from '../../src/agent/status.ts';

const folder = await mkdtemp(join(tmpdir(), 'ts-status-'));
afterAll(async () => rm(folder, { recursive: true }));

const status = (writtenAt: number): AgentStatus => ({
  v: 1,
  bootId: 'boot',
  writtenAt,
  validUntil: writtenAt + 1,
  deviceId: 'd',
  fleetId: 'f',
  agent: '1',
  verdict: null,
  slots: [],
});

/** Reads lines one after another. */
function reader(path: string): { socket: Socket; next(): Promise<AgentStatus> } {
  const socket = connect(path);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  return {
    socket,
    next: async () => JSON.parse(((await lines.next()) as { value: string }).value) as AgentStatus,
  };
}

describe('the status socket', () => {
  it('tells the last status at once, and then every new one', async () => {
    const path = join(folder, 'a');
    await using socket = await StatusSocket.open(path);
    socket.publish(status(1));
    const listener = reader(path);
    expect(await listener.next()).toEqual(status(1));
    socket.publish(status(2));
    expect(await listener.next()).toEqual(status(2));
    listener.socket.destroy();
  });

  it('takes nothing from a listener, however much is sent', async () => {
    const path = join(folder, 'b');
    await using socket = await StatusSocket.open(path);
    const listener = reader(path);
    listener.socket.write(Buffer.alloc(1 << 20, 'x'));
    socket.publish(status(3));
    expect(await listener.next()).toEqual(status(3));
    listener.socket.destroy();
  });

  it('cuts off a listener that does not read', async () => {
    const path = join(folder, 'c');
    await using socket = await StatusSocket.open(path);
    const deaf = connect(path);
    await once(deaf, 'connect');
    deaf.pause();
    const large = { ...status(4), slots: Array.from({ length: 32 }, () => slotOf('x'.repeat(2000))) };
    // Written faster than it can be sent: the event loop gets no turn in between.
    for (let i = 0; i < 64; i += 1) socket.publish(large);
    deaf.on('error', () => undefined).resume();
    await once(deaf, 'close');
    const listener = reader(path);
    expect(await listener.next()).toEqual(large);
    listener.socket.destroy();
  });

  it('takes the place of what a killed agent left, and lets every user connect', async () => {
    const path = join(folder, 'd');
    await writeFile(path, '');
    await using socket = await StatusSocket.open(path);
    expect(socket).toBeDefined();
    expect((await stat(path)).mode & 0o777).toBe(0o666);
  });

  it('says when the path is too long for a socket', async () => {
    await expect(StatusSocket.open(join(folder, 'x'.repeat(200)))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

function slotOf(why: string): AgentStatus['slots'][number] {
  return { slot: 's', use: 'ready', why, release: null, version: null, leaseUntil: null, afterLease: 'stopped' };
}
