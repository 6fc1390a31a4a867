// What a slot may be used for now: the profile's word on failure and on an expired lease, applied to what was found.
import type { SlotProfile } from '../profile/profile.ts';
import type { EngineLack } from './engine-keeper.ts';
import type { Glasses } from './glass.ts';
import type { LeaseNow } from './lease.ts';

/** What the last measurement found. */
export type SlotFound = 'empty' | 'as-signed' | 'altered';

/**
 * ready: load it. break-glass: load it; somebody at the device answers for that, for a while. degraded: the owner lets it run, marked.
 * stopped: do not load.
 */
export type SlotUse = 'ready' | 'break-glass' | 'degraded' | 'stopped';

export interface SlotState {
  readonly use: SlotUse;
  readonly found: SlotFound;
  /** It is the publisher's, whole, healthy and at or above its floor: nothing but the controller's word may be missing. */
  readonly vouchable: boolean;
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
  /** What its engine lacks, where the profile asks for one; absent or null: nothing. */
  readonly engine?: EngineLack | null;
}

const AT_REST: SlotStage = { trial: null, needs: null };

const TRIAL_WORDS = {
  health: 'on trial: its health check has not ended',
  result: 'on trial until the controller has seen it',
  floor: 'passed its trial, and waits for its version floor',
} as const;

/** What the slots lean on beside what was measured: the controller's word, and that of people at the device. */
export interface Word {
  readonly lease: LeaseNow;
  readonly glasses: Glasses;
}

/**
 * Measurement first, word second: neither a lease nor a broken glass makes an altered model loadable. `last-good` is stopped until the
 * release before it has been put back. What is on trial may be loaded like any other, but not before its health check has passed.
 */
export function slotState(slot: SlotProfile, found: SlotFound, word: Word, stage: SlotStage = AT_REST): SlotState {
  const { trial, needs, engine = null } = stage;
  const { lease, glasses } = word;
  const unfit = (use: SlotUse, why: string): SlotState => ({ use, found, why, vouchable: false });
  if (found === 'empty') {
    const why = needs === null || needs === 0n ? 'the slot holds no release' : noLoadable(needs);
    return unfit('stopped', why);
  }
  if (found === 'altered') {
    return unfit(USE_OF[slot.onFailure], 'what is in the slot is not what the publisher signed');
  }
  if (engine !== null) return unfit(engine.altered ? USE_OF[slot.onFailure] : 'stopped', engine.why);
  if (trial === 'health') return unfit('stopped', TRIAL_WORDS.health);
  const fit = (use: SlotUse, why: string): SlotState => ({ use, found, why, vouchable: true });
  if (lease.state === 'running' || slot.onLeaseExpired === 'continue') {
    const tail = lease.state === 'running' ? '' : `; the profile lets it continue although ${leaseWords(lease)}`;
    const onTrial = trial === null ? '' : `; ${TRIAL_WORDS[trial]}`;
    return fit('ready', `measured as the publisher signed it${onTrial}${tail}`);
  }
  const glass = glasses.get(slot.name);
  if (glass !== undefined) return fit('break-glass', `under break-glass, ${leaseWords(lease)}: ${glass.reason}`);
  return fit(USE_OF[slot.onLeaseExpired], leaseWords(lease));
}

/** The word of claims for it. */
export function claimState(state: SlotState): 'empty' | 'active' | 'altered' | 'stopped' {
  if (state.found === 'empty') return 'empty';
  if (state.found === 'altered') return 'altered';
  return state.use === 'stopped' ? 'stopped' : 'active';
}
