// Leases on the TPM clock: never longer than granted, whatever power does.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeaseNow } from '../../src/agent/lease.ts';
import { leaseNow as leaseBy, resetCostsMs } from '../../src/agent/lease.ts';
import type { Lease } from '../../src/store/journal.ts';
import type { TpmClock } from '../../src/tpm/port.ts';

const clockAt = (clock: number, resetCount = 5, restartCount = 2): TpmClock => ({
  clock: BigInt(clock),
  resetCount,
  restartCount,
  safe: true,
});
const lease = (leaseForMs: number, clock = 100_000): Lease => ({
  from: {
    digest: Buffer.alloc(32, 1),
    clock: BigInt(clock),
    epoch: { resetCount: 5, restartCount: 2 },
    session: Buffer.alloc(16, 2),
    order: 1,
  },
  leaseForMs,
  status: 'affirming',
});

/** By a TPM that records its clock as often as most do. */
const leaseNow = (...[of, clock]: [Parameters<typeof leaseBy>[0], Parameters<typeof leaseBy>[1]]): LeaseNow =>
  leaseBy(of, clock, 4096);

describe('a lease', () => {
  it('is none before the first result', () => {
    expect(leaseNow(null, clockAt(1))).toEqual({ state: 'none' });
  });

  it('runs from the TPM clock of the quote, not from receipt', () => {
    expect(leaseNow(lease(10_000), clockAt(104_000))).toEqual({ state: 'running', leftMs: 6000, status: 'affirming' });
  });

  it('has ended at the very millisecond it was given for', () => {
    expect(leaseNow(lease(10_000), clockAt(109_999)).state).toBe('running');
    expect(leaseNow(lease(10_000), clockAt(110_000)).state).toBe('expired');
  });

  it('loses 4.1 s with every TPM reset since', () => {
    expect(leaseNow(lease(10_000), clockAt(100_000, 7, 0))).toMatchObject({ leftMs: 10_000 - 2 * resetCostsMs(4096) });
  });

  it('goes on when the clock went back at a power cut, no further than cuts explain', () => {
    expect(leaseNow(lease(10_000), clockAt(95_904, 6, 0)).state).toBe('running');
    expect(leaseNow(lease(10_000), clockAt(95_000, 6, 0)).state).toBe('void');
  });

  it.each([
    ['fewer resets', clockAt(200_000, 4, 2)],
    ['fewer restarts in the same reset', clockAt(100_001, 5, 1)],
    ['a cleared TPM', clockAt(0, 0, 0)],
    ['an earlier clock in the same epoch', clockAt(99_999)],
  ])('is void on %s', (_title, clock) => {
    expect(leaseNow(lease(10_000), clock).state).toBe('void');
  });

  it('counts each reset as what this TPM may lose, on one that records its clock once in 70 minutes too', () => {
    const [hour, update] = [3_600_000, 1 << 22];
    const clock = clockAt(100_000, 6, 0);
    expect(leaseBy(lease(2 * hour), clock, update)).toMatchObject({ leftMs: 2 * hour - resetCostsMs(update) });
    expect(leaseBy(lease(hour), clock, update).state).toBe('expired');
    expect(leaseBy(lease(hour), clock, 4096).state).toBe('running');
  });

  it('is never running after its time of true powered milliseconds, with any cuts between', () => {
    const step = fc.record({ powered: fc.integer({ min: 0, max: 20_000 }), back: fc.integer({ min: 0, max: 4096 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.array(step, { maxLength: 20 }), (granted, steps) => {
        let [clock, resets, truly] = [100_000, 5, 0];
        const outlived: string[] = [];
        const look = (): void => {
          if (truly >= granted) outlived.push(leaseNow(lease(granted), clockAt(clock, resets)).state);
        };
        for (const { powered, back } of steps) {
          clock += powered;
          truly += powered;
          look();
          clock -= back;
          resets += 1;
          look();
        }
        expect(outlived).not.toContain('running');
      }),
    );
  });
});
