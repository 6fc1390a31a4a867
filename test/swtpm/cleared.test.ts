// A TPM that is cleared on a device: its counters catch up, and no lease of before comes back; the identity stays, and what was lost is known.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leaseNow } from '../../src/agent/lease.ts';
import { LeaseKeeper } from '../../src/agent/lease-keeper.ts';
import { quoteClock } from '../../src/agent/quote-clock.ts';
import { settleTpmLife } from '../../src/agent/tpm-life.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { toHex } from '../../src/bytes/text.ts';
import type { ResultStatement } from '../../src/protocol/messages.ts';
import { clear } from '../../src/tpm/commands/hierarchy.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import type { DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';

const FLEET = 'ab'.repeat(16);
const DEVICE = 'abcdefghijklmnopqrstuvwxyz234567';
const HOUR = 3_600_000;
const silent = { write: () => undefined };

let swtpm: SoftwareTpm;
beforeAll(async () => {
  swtpm = await startSoftwareTpm({ ekCertificates: false });
});
afterAll(async () => swtpm[Symbol.asyncDispose]());

const openTpm = async (): Promise<DeviceTpm> =>
  openDeviceTpm({ transport: await openSocketTransport({ path: swtpm.socketPath }) });

async function agent(tpm: DeviceTpm, journal: MemoryJournal, session: number): Promise<LeaseKeeper> {
  const life = await settleTpmLife(journal, tpm, silent);
  const { clockUpdateMs } = await tpm.identity();
  const owner = { fleetId: FLEET, deviceId: DEVICE, session: Buffer.alloc(16, session) };
  return new LeaseKeeper({ journal, tpm, life, clockUpdateMs, ...owner });
}

/** Quotes, and takes the result that grants an hour. */
async function granted(tpm: DeviceTpm, keeper: LeaseKeeper): Promise<void> {
  const { attest } = await tpm.quote(Buffer.alloc(32, 1), { bank: 'sha256', pcrs: [14] });
  const { clock, resetCount, restartCount } = quoteClock(attest);
  const digest = sha256(attest);
  await keeper.remember({ digest, clock, epoch: { resetCount, restartCount }, logTo: 1 });
  const result: ResultStatement = {
    v: 1,
    fleetId: FLEET,
    deviceId: DEVICE,
    evidence: toHex(digest),
    status: 'affirming',
    assurance: 'A1',
    slots: [],
    findings: [],
    appraisedAt: 1,
    leaseForMs: HOUR,
    exp: 2,
    acknowledged: [],
  };
  expect(await keeper.take(result)).toMatchObject({ taken: true, lease: true });
}

describe('a life of the TPM', () => {
  test('is the same after a reboot and a power cut, and another after each clear', async () => {
    const lives: string[] = [];
    const note = async (tpm: DeviceTpm): Promise<void> => void lives.push(toHex(await tpm.life()));
    for (const clean of [true, false]) {
      await using tpm = await openTpm();
      await note(tpm);
      await tpm[Symbol.asyncDispose]();
      await swtpm.restart({ clean });
    }
    for (let i = 0; i < 2; i++) {
      await using tpm = await openTpm();
      await note(tpm);
      await clear(tpm.queue);
      await note(tpm);
    }
    await swtpm.restart({ clean: true });
    await using tpm = await openTpm();
    await note(tpm);
    const [first, , , second, , third] = lives;
    expect(lives).toEqual([first, first, first, second, second, third, third]);
    expect(new Set(lives).size).toBe(3);
  });
});

describe('a lease that a TPM gave before it was cleared', () => {
  test('does not run when counters and clock are where they were: by clock and counters alone it would', async () => {
    const journal = new MemoryJournal();
    await swtpm.restart({ clean: true });
    let akName: Buffer;
    {
      await using tpm = await openTpm();
      await clear(tpm.queue);
    }
    {
      await using tpm = await openTpm();
      akName = (await tpm.identity()).akName;
      const keeper = await agent(tpm, journal, 1);
      await granted(tpm, keeper);
      expect((await keeper.now()).state).toBe('running');
      await clear(tpm.queue);
    }
    // As often as it takes: more resets than when the lease was given.
    for (let i = 0; i < 2; i++) await swtpm.restart({ clean: true });
    await using tpm = await openTpm();
    const { clockUpdateMs } = await tpm.identity();
    const lease = await journal.lease();
    if (lease === null) throw new Error('a lease was given');
    const clock = await tpm.readClock();
    // The TPM's clock is let run until it is where it was.
    const caughtUp = { ...clock, clock: lease.from.clock > clock.clock ? lease.from.clock : clock.clock };
    expect(leaseNow(lease, caughtUp, clockUpdateMs).state).toBe('running');
    const keeper = await agent(tpm, journal, 2);
    expect(leaseNow(await journal.lease(), caughtUp, clockUpdateMs).state).toBe('expired');
    expect((await keeper.now()).state).not.toBe('running');
    expect((await tpm.identity()).akName).toEqual(akName);
    await granted(tpm, keeper);
    expect((await keeper.now()).state).toBe('running');
  });

  test('ends under an agent that lives on: it starts again, and its key is gone', async () => {
    const journal = new MemoryJournal();
    await using tpm = await openTpm();
    const keeper = await agent(tpm, journal, 1);
    await granted(tpm, keeper);
    await clear(tpm.queue);
    await expect(keeper.now()).rejects.toMatchObject({ code: 'TPM_MOVED' });
    await expect(tpm.quote(Buffer.alloc(32), { bank: 'sha256', pcrs: [14] })).rejects.toMatchObject({
      code: 'TPM_RESPONSE',
    });
  });

  test('is ended again when the power is cut between ending it and knowing the new life', async () => {
    const journal = new MemoryJournal();
    await using tpm = await openTpm();
    await granted(tpm, await agent(tpm, journal, 1));
    await clear(tpm.queue);
    const cut = { ...journalParts(journal), put: async () => Promise.reject(new Error('the power is cut')) };
    await expect(settleTpmLife(cut, tpm, silent)).rejects.toThrow('the power is cut');
    expect((await journal.lease())?.leaseForMs).toBe(0);
    await settleTpmLife(journal, tpm, silent);
    expect(await journal.get('tpm-life')).toEqual(await tpm.life());
  });
});

function journalParts(journal: MemoryJournal): Parameters<typeof settleTpmLife>[0] {
  return {
    get: async (key) => journal.get(key),
    put: async (key, value) => journal.put(key, value),
    lease: async () => journal.lease(),
    setLease: async (lease) => journal.setLease(lease),
  };
}
