// touchstone/agent as a program on a device uses it: yes only for what a living agent says now, and no for everything else.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { askSlot, slotModel } from '../../src/agent.ts';
import type { AgentStatus } from '../../src/agent.ts';
import { machineNow } from '../../src/agent/machine.ts';

const dir = await mkdtemp(join(tmpdir(), 'ts-slot-answers-'));
afterAll(async () => rm(dir, { recursive: true }));

async function says(change: Partial<AgentStatus>): Promise<void> {
  const { bootId, uptime } = await machineNow();
  const slot = {
    slot: 'detector',
    use: 'ready',
    why: 'as signed',
    release: 'ab',
    version: '1',
    leaseUntil: null,
  } as const;
  const status: AgentStatus = {
    v: 1,
    bootId,
    writtenAt: uptime,
    validUntil: uptime + 600_000,
    deviceId: 'd',
    fleetId: 'f',
    agent: '0.1.0',
    verdict: 'affirming',
    slots: [{ ...slot, afterLease: 'stopped' }],
    ...change,
  };
  await writeFile(join(dir, 'status.json'), JSON.stringify(status));
}

describe('what a program on the device is told of a slot', () => {
  test('yes, while the agent lives and says so', async () => {
    await says({});
    expect(await askSlot(dir, 'detector')).toMatchObject({ trusted: true, use: 'ready' });
    expect(slotModel(dir, 'detector')).toBe(join(dir, 'slots/detector/model'));
  });

  test.each([
    ['of another boot', { bootId: 'before' }],
    ['of an agent that has stopped', { validUntil: 0 }],
  ] as const)('no, when the word is one %s', async (_, change) => {
    await says(change);
    expect(await askSlot(dir, 'detector')).toMatchObject({ trusted: false, use: 'stopped' });
  });

  test('an error, for a slot that there is not, a file that is none, and no agent at all', async () => {
    await says({});
    await expect(askSlot(dir, 'other')).rejects.toMatchObject({ code: 'USAGE' });
    await writeFile(join(dir, 'status.json'), '{"v":1');
    await expect(askSlot(dir, 'detector')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await rm(join(dir, 'status.json'));
    await expect(askSlot(dir, 'detector')).rejects.toMatchObject({ code: 'CONFIG_MISSING' });
  });
});
