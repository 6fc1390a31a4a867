// What goes wrong around a TPM: silence, death, leaked handles, nobody there. Each is an error of its own code.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readHandles } from '../../src/tpm/commands/capabilities.ts';
import { readClock } from '../../src/tpm/commands/lifecycle.ts';
import { contextSave, createPrimary, evictControl, flushContext, readPublic } from '../../src/tpm/commands/objects.ts';
import { openDeviceTpm, type DeviceTpmEvent } from '../../src/tpm/device-tpm.ts';
import { CommandQueue, type QueueEvent, type QueueTiming } from '../../src/tpm/queue.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { openTctiTransport } from '../../src/tpm/transport/tcti.ts';
import { TPM_RH } from '../../src/tpm/wire/constants.ts';
import { AK_TEMPLATE } from '../../src/tpm/wire/templates.ts';
import { startSoftwareTpm, type SoftwareTpm } from '../support/software-tpm.ts';
import { loadedHandles, openQueue, TRANSPORTS } from '../support/tpm-bench.ts';

/** Nothing here waits for a clock: what must not come in time never comes, and what must come has a minute. */
const LATE_AT_ONCE: QueueTiming = { deadlines: { short: 1, nv: 1, key: 1 }, grace: 60_000, backoff: [] };
const GIVES_UP: QueueTiming = { deadlines: { short: 20, nv: 20, key: 20 }, grace: 20, backoff: [] };

let software: SoftwareTpm;
beforeAll(async () => {
  software = await startSoftwareTpm({ ekCertificates: false });
});
afterEach(async () => {
  await software.restart({ clean: false });
});
afterAll(async () => {
  await software[Symbol.asyncDispose]();
});

describe.each(TRANSPORTS)('over $name', ({ open }) => {
  test('a TPM that stops for a while is late, is waited for, and its answer is taken', async () => {
    const events: QueueEvent[] = [];
    const onEvent = (event: QueueEvent): void => {
      events.push(event);
      if (event.kind === 'late') software.resume();
    };
    await using queue = new CommandQueue(await open(software), { timing: LATE_AT_ONCE, onEvent });
    software.suspend();
    expect((await readClock(queue)).clockInfo.resetCount).toBeGreaterThan(0);
    expect(events).toEqual([
      { kind: 'late', command: 'TPM2_ReadClock', afterMs: 1 },
      { kind: 'answered', command: 'TPM2_ReadClock', afterMs: 1 },
    ]);
  });

  test('a TPM that stays silent is judged only after one more wait, and gets no command any more', async () => {
    const events: QueueEvent[] = [];
    const queue = new CommandQueue(await open(software), {
      timing: GIVES_UP,
      onEvent: (event) => events.push(event),
    });
    software.suspend();
    await expect(readClock(queue)).rejects.toMatchObject({ code: 'TPM_TIMEOUT' });
    expect(events.map(({ kind }) => kind)).toEqual(['late']);
    await expect(readClock(queue)).rejects.toMatchObject({ code: 'TPM_TIMEOUT' });
    await queue[Symbol.asyncDispose]();
  });

  test('a TPM that dies in the middle of a command is unavailable; a new connection finds a new epoch', async () => {
    const before = new CommandQueue(await open(software));
    const epoch = (await readClock(before)).clockInfo;
    software.suspend();
    const asked = readClock(before).catch((error: unknown) => error);
    await software.kill();
    expect(await asked).toMatchObject({ code: 'TPM_UNAVAILABLE' });
    await expect(readClock(before)).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' });
    await before[Symbol.asyncDispose]();
    await software.start();
    await using after = new CommandQueue(await open(software));
    expect((await readClock(after)).clockInfo.resetCount).toBe(epoch.resetCount + 1);
  });

  test('a TPM that is not there is unavailable, and the message says where it was looked for', async () => {
    await software.kill();
    await expect(open(software)).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      message: expect.stringContaining(software.socketPath) as unknown,
    });
    await software.start();
  });

  test('what a killed process left loaded is flushed when the TPM is ours', async () => {
    const killed = new CommandQueue(await open(software));
    for (let count = 0; count < 3; count += 1) await createPrimary(killed, TPM_RH.OWNER, AK_TEMPLATE);
    const session = await startSession(killed);
    await contextSave(killed, session.handle);
    for (const kind of ['hmac', 'policy', 'trial'] as const) await startSession(killed, { kind });
    expect(await loadedHandles(killed)).toHaveLength(7);
    await killed[Symbol.asyncDispose]();

    const events: DeviceTpmEvent[] = [];
    await using device = await openDeviceTpm({
      transport: await open(software),
      onEvent: (event) => events.push(event),
    });
    expect(events).toContainEqual({ kind: 'flushed', handles: 7 });
    expect(await loadedHandles(device.queue)).toEqual([]);
  });
});

test('behind a resource manager nothing of others is flushed', async () => {
  const other = await openQueue(software);
  const theirs = await createPrimary(other, TPM_RH.OWNER, AK_TEMPLATE);
  await other[Symbol.asyncDispose]();
  const transport = { ...(await openSocketTransport({ path: software.socketPath })), raw: false };
  await using device = await openDeviceTpm({ transport });
  expect(await readHandles(device.queue, 0x80000000)).toEqual([theirs.handle]);
});

test('nothing stays loaded after operations that failed, however many', async () => {
  await using device = await openDeviceTpm({ transport: await openSocketTransport({ path: software.socketPath }) });
  for (let time = 0; time < 5; time += 1) {
    await expect(device.activateCredential(Buffer.alloc(2), Buffer.alloc(2))).rejects.toThrow(Error);
    await device.random(8);
  }
  expect(await loadedHandles(device.queue)).toEqual([]);
});

test('disposal takes a transient AK out of the TPM, and a persistent one stays', async () => {
  const at = { path: software.socketPath };
  const device = await openDeviceTpm({ transport: await openSocketTransport(at), akHandle: null });
  await device.quote(randomBytes(32), { bank: 'sha256', pcrs: [14] });
  expect(await loadedHandles(device.queue)).toHaveLength(1);
  await device[Symbol.asyncDispose]();
  await using queue = await openQueue(software);
  expect(await loadedHandles(queue)).toEqual([]);
});

test('a handle that holds another key is left alone, and the AK is kept transient', async () => {
  const akHandle = 0x81000300;
  const queue = await openQueue(software);
  const foreign = await createPrimary(queue, TPM_RH.OWNER, AK_TEMPLATE);
  await evictControl(queue, foreign, akHandle);
  await flushContext(queue, foreign);
  await queue[Symbol.asyncDispose]();
  const events: DeviceTpmEvent[] = [];
  await using device = await openDeviceTpm({
    transport: await openSocketTransport({ path: software.socketPath }),
    akHandle,
    onEvent: (event) => events.push(event),
  });
  expect(events).toContainEqual({ kind: 'ak', place: 'transient: handle is foreign' });
  expect((await readPublic(device.queue, akHandle)).name).toEqual(foreign.name);
});

test('a configuration that names no TCTI is unavailable, with libtss2’s reason', async () => {
  await expect(openTctiTransport('nosuch:path=x')).rejects.toMatchObject({
    code: 'TPM_UNAVAILABLE',
    cause: { message: expect.stringContaining('TctiLdr_Initialize') as unknown },
  });
});

test('a TPM without an active SHA-256 bank is refused with what to do', async () => {
  await using other = await startSoftwareTpm({ ekCertificates: false, banks: 'sha384' });
  const transport = await openSocketTransport({ path: other.socketPath });
  await expect(openDeviceTpm({ transport })).rejects.toMatchObject({
    code: 'TPM_UNAVAILABLE',
    message: expect.stringContaining('firmware setup') as unknown,
  });
});
