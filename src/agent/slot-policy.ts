// What a slot may be used for now: the profile's word on failure and on an expired lease, applied to what was found.
import type { SlotProfile } from '../profile/profile.ts';
import type { LeaseNow } from './lease.ts';

/** What the last measurement found. */
export type SlotFound = 'empty' | 'as-signed' | 'altered';

/** ready: load it. degraded: the owner lets it run, marked. stopped: do not load. */
export type SlotUse = 'ready' | 'degraded' | 'stopped';

export interface SlotState {
  readonly use: SlotUse;
  readonly found: SlotFound;
  /** One sentence for the person or script that asks. */
  readonly why: string;
}

/** NOLOAD: such a device attests, reports and takes an upgrade. */
function noLoadable(needs: bigint): string {
  return needs > 0xffff_ffff_ffff_ffffn
    ? 'no loadable model: the version floor of this TPM cannot be read'
    : `no loadable model: needs release ≥ ${needs}`;
}

const USE_OF = { stop: 'stopped', degraded: 'degraded', 'last-good': 'stopped' } as const;

function leaseWords(lease: LeaseNow): string {
  if (lease.state === 'none') return 'the controller has not yet said that it trusts this device';
  if (lease.state === 'expired') return `the controller's last word (${lease.status}) ran out`;
  return lease.state === 'void' ? `the controller's last word is void: ${lease.why}` : '';
}

/** What a trial waits for. health: its health check runs, nothing may load it. result: for the controller's word, or for time. floor: for the version floor. */
export type TrialStage = 'health' | 'result' | 'floor';

/** How the gate has the slot. */
export interface SlotStage {
  readonly trial: TrialStage | null;
  /** Security version that a release must have at least, where the slot holds none that may be loaded. */
  readonly needs: bigint | null;
}

const AT_REST: SlotStage = { trial: null, needs: null };

const TRIAL_WORDS = {
  health: 'on trial: its health check has not ended',
  result: 'on trial until the controller has seen it',
  floor: 'passed its trial, and waits for its version floor',
} as const;

/**
 * Measurement first, lease second: a lease never makes an altered model loadable. `last-good` is stopped until the release before
 * it has been put back. What is on trial may be loaded like any other, but not before its health check has passed.
 */
export function slotState(slot: SlotProfile, found: SlotFound, lease: LeaseNow, stage: SlotStage = AT_REST): SlotState {
  const { trial, needs } = stage;
  if (found === 'empty') {
    const why = needs === null || needs === 0n ? 'the slot holds no release' : noLoadable(needs);
    return { use: 'stopped', found, why };
  }
  if (found === 'altered') {
    return { use: USE_OF[slot.onFailure], found, why: 'what is in the slot is not what the publisher signed' };
  }
  if (trial === 'health') return { use: 'stopped', found, why: TRIAL_WORDS.health };
  if (lease.state === 'running' || slot.onLeaseExpired === 'continue') {
    const tail = lease.state === 'running' ? '' : `; the profile lets it continue although ${leaseWords(lease)}`;
    const onTrial = trial === null ? '' : `; ${TRIAL_WORDS[trial]}`;
    return { use: 'ready', found, why: `measured as the publisher signed it${onTrial}${tail}` };
  }
  return { use: USE_OF[slot.onLeaseExpired], found, why: leaseWords(lease) };
}

/** The word of claims for it. */
export function claimState(state: SlotState): 'empty' | 'active' | 'altered' | 'stopped' {
  if (state.found === 'empty') return 'empty';
  if (state.found === 'altered') return 'altered';
  return state.use === 'stopped' ? 'stopped' : 'active';
}
