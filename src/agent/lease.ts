// How long a result is still good for, on the TPM's clock: the only clock of a device that its owner's disk and calendar can't turn.
import type { Epoch, TpmClock } from '../tpm/port.ts';

/** Beside what the TPM's clock may go back by: how long it may run before it first counts. */
const START_MS = 4;

/**
 * A TPM clock may go back at a power cut by what it had not recorded yet (TPM 2.0 Part 2, 10.11.1), so every reset counts as this
 * much used: a device that is cut again and again can't stretch its lease. `clockUpdateMs`: how often the TPM records its clock.
 */
export function resetCostsMs(clockUpdateMs: number): number {
  return clockUpdateMs + START_MS;
}

/** So long from a moment of the TPM's clock: a lease, or a broken glass. */
export interface Term {
  readonly from: { readonly clock: bigint; readonly epoch: Epoch };
  readonly leaseForMs: number;
  readonly status: string;
}

/** none: no result yet. void: the TPM is not the one, or not in the life, that the lease was given to. */
export type LeaseNow =
  | { readonly state: 'none' }
  | { readonly state: 'running'; readonly leftMs: number; readonly status: string }
  | { readonly state: 'expired'; readonly sinceMs: number; readonly status: string }
  | { readonly state: 'void'; readonly why: string };

/** The controller trusts the device with what it holds: a lease begins, and its end means something. */
export function isGranted(status: string): boolean {
  return status === 'affirming' || status === 'warning';
}

/** What is left of `lease` when the TPM says `clock`. */
export function leaseNow(lease: Term | null, clock: TpmClock, clockUpdateMs: number): LeaseNow {
  if (lease === null) return { state: 'none' };
  const { from } = lease;
  const resets = clock.resetCount - from.epoch.resetCount;
  if (resets < 0) return { state: 'void', why: 'the TPM counts fewer resets than when the lease began' };
  if (resets === 0 && clock.restartCount < from.epoch.restartCount) {
    return { state: 'void', why: 'the TPM counts fewer restarts than when the lease began' };
  }
  const usedMs = Number(clock.clock - from.clock) + resets * resetCostsMs(clockUpdateMs);
  if (usedMs < 0) return { state: 'void', why: 'the TPM clock went back further than power cuts explain' };
  const leftMs = lease.leaseForMs - usedMs;
  return leftMs > 0
    ? { state: 'running', leftMs, status: lease.status }
    : { state: 'expired', sinceMs: -leftMs, status: lease.status };
}
