// A broker that freezes one device for 30 hours, then gives out all that it kept; and a device whose calendar says anything.
import { describe, expect, test } from 'vitest';
import { DeviceTime } from '../../src/agent/device-time.ts';
import { LeaseKeeper } from '../../src/agent/lease-keeper.ts';
import { conditionOf } from '../../src/controller/condition.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { toHex } from '../../src/bytes/text.ts';
import type { ResultStatement } from '../../src/protocol/messages.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { build, NOW, policy } from '../verifier/evidence-builder.ts';

const HOUR = 3_600_000;
const LEASE = 300_000;
const FLEET = 'ab'.repeat(16);
const DEVICE = 'abcdefghijklmnopqrstuvwxyz234567';
const SESSION = Buffer.alloc(16, 1);

/** A device with a TPM clock of its own, and no other clock. */
function device() {
  let clock = 1_000_000n;
  let resetCount = 3;
  const journal = new MemoryJournal();
  const life = Buffer.alloc(32, 9);
  const tpm = {
    life: async () => Promise.resolve(life),
    readClock: async () => Promise.resolve({ clock, resetCount, restartCount: 0, safe: true }),
  };
  const keeper = new LeaseKeeper({
    journal,
    tpm,
    life,
    clockUpdateMs: 4096,
    fleetId: FLEET,
    deviceId: DEVICE,
    session: SESSION,
  });
  let sent = 0;
  return {
    pass: (ms: number): void => {
      clock += BigInt(ms);
    },
    cut: (): void => {
      resetCount += 1;
      clock = clock > 4096n ? clock - 4096n : 0n;
    },
    /** Sends evidence; what is answered to it, whenever that comes. */
    evidence: async (): Promise<(status?: ResultStatement['status']) => ResultStatement> => {
      const digest = sha256(Buffer.from(`evidence ${++sent}`));
      await keeper.remember({ digest, clock, epoch: { resetCount, restartCount: 0 }, logTo: sent });
      return (status = 'affirming') => ({
        v: 1,
        fleetId: FLEET,
        deviceId: DEVICE,
        evidence: toHex(digest),
        status,
        assurance: 'A1',
        slots: [],
        findings: [],
        appraisedAt: NOW,
        leaseForMs: LEASE,
        exp: NOW + LEASE,
        acknowledged: [],
      });
    },
    take: async (result: ResultStatement): Promise<unknown> => keeper.take(result),
    state: async (): Promise<string> => (await keeper.now()).state,
  };
}

describe('a device that is frozen for 30 hours', () => {
  test('runs for its lease and not longer, and no answer that was kept lets it run again', async () => {
    const one = device();
    const first = (await one.evidence())();
    await one.take(first);
    const kept: ResultStatement[] = [first];
    let ran = 0;
    for (let minute = 0; minute < 30 * 60; minute++) {
      if ((await one.state()) === 'running') ran += 1;
      // It goes on saying what it is; the broker keeps the answers for itself.
      if (minute % 10 === 0) kept.push((await one.evidence())());
      one.pass(60_000);
    }
    expect(ran).toBe(LEASE / 60_000);
    for (const result of [...kept, ...kept.toReversed()]) {
      await one.take(result);
      expect(await one.state()).toBe('expired');
    }
    await one.take((await one.evidence())());
    expect(await one.state()).toBe('running');
  });

  test('gains nothing by power cuts: each costs it of its lease what a cut may take off the TPM’s clock', async () => {
    const one = device();
    await one.take((await one.evidence())());
    let real = 0;
    while ((await one.state()) === 'running') {
      one.pass(1000);
      real += 1000;
      one.cut();
    }
    expect(real).toBeLessThanOrEqual(LEASE);
  });

  test('does not lose a verdict against it to an older one for it that comes late', async () => {
    const one = device();
    const good = (await one.evidence())();
    const bad = (await one.evidence())('contraindicated');
    await one.take(bad);
    for (const result of [good, bad, good]) await one.take(result);
    expect(await one.state()).toBe('expired');
  });

  test('is unreachable to the controller, not untrusted; and what it said 30 hours ago is late, not a verdict', () => {
    const verdict = { status: 'affirming' as const, assurance: 'A1', findings: [], at: NOW, envelope: '' };
    const row = { state: 'approved' as const, verdict, trouble: null, lastSeen: NOW, online: true };
    const terms = { silentAfterMs: 900_000, leaseForMs: LEASE };
    expect(conditionOf(row, { ...terms, now: NOW + 30 * HOUR })).toBe('unreachable');
    // Hints may come through, or be made by whoever likes: then it is there, and nothing is known of it.
    expect(conditionOf({ ...row, lastSeen: NOW + 30 * HOUR }, { ...terms, now: NOW + 30 * HOUR })).toBe('stale');
    const old = build();
    for (const now of [NOW + policy.maxAgeMs, NOW + 30 * HOUR]) {
      expect(appraise({ ...old, now })).toMatchObject({ accepted: false, status: 'none', next: null });
      expect(appraise({ ...old, now }).findings.map(({ rule }) => rule)).toEqual(['late']);
    }
  });
});

describe('a device whose calendar', () => {
  const [fleetMinimum, signed] = [Date.UTC(2026, 5), Date.UTC(2027, 0)];

  test.each([
    ['has no battery and says 1970', 0],
    ['jumped back to before the fleet was made', Date.UTC(2020, 0)],
    ['says nothing that is a time', -1],
    ['counts in another unit', Date.UTC(2027, 1) * 1000],
  ])('%s goes by what was signed last', async (_, rtc) => {
    const clock = { now: () => rtc, monotonic: () => 0 };
    const time = await DeviceTime.open({ journal: new MemoryJournal(), clock, fleetMinimum });
    await time.hear(signed);
    expect(time.now()).toBe(signed);
  });

  test('says anything has the same lease: no part of it is counted by the calendar', async () => {
    const before = Date.now;
    try {
      for (const year of [1970, 2040, 2026, 1999]) {
        Date.now = () => Date.UTC(year, 0);
        const one = device();
        await one.take((await one.evidence())());
        one.pass(LEASE - 1);
        expect([year, await one.state()]).toEqual([year, 'running']);
        one.pass(1);
        expect([year, await one.state()]).toEqual([year, 'expired']);
      }
    } finally {
      Date.now = before;
    }
  });

  test('says anything is judged the same: its time is told in claims and believed by nobody', () => {
    const verdicts = [0, Date.UTC(2040, 0), NOW, 1].map((now) => {
      const { status, findings, accepted } = appraise(build({ claims: (claims) => ({ ...claims, now }) }));
      return JSON.stringify([status, findings, accepted]);
    });
    expect(new Set(verdicts).size).toBe(1);
  });
});
