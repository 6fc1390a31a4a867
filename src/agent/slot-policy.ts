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

const USE_OF = { stop: 'stopped', degraded: 'degraded', 'last-good': 'stopped' } as const;

function leaseWords(lease: LeaseNow): string {
  if (lease.state === 'none') return 'the controller has not yet said that it trusts this device';
  if (lease.state === 'expired') return `the controller's last word (${lease.status}) ran out`;
  return lease.state === 'void' ? `the controller's last word is void: ${lease.why}` : '';
}

/**
 * Measurement first, lease second: a lease never makes an altered model loadable. `last-good` is stopped until the release before
 * it has been put back.
 */
export function slotState(slot: SlotProfile, found: SlotFound, lease: LeaseNow): SlotState {
  if (found === 'empty') return { use: 'stopped', found, why: 'the slot holds no release' };
  if (found === 'altered') {
    return { use: USE_OF[slot.onFailure], found, why: 'what is in the slot is not what the publisher signed' };
  }
  if (lease.state === 'running' || slot.onLeaseExpired === 'continue') {
    const tail = lease.state === 'running' ? '' : `; the profile lets it continue although ${leaseWords(lease)}`;
    return { use: 'ready', found, why: `measured as the publisher signed it${tail}` };
  }
  return { use: USE_OF[slot.onLeaseExpired], found, why: leaseWords(lease) };
}

/** The word of claims for it. */
export function claimState(state: SlotState): 'empty' | 'active' | 'altered' | 'stopped' {
  if (state.found === 'empty') return 'empty';
  if (state.found === 'altered') return 'altered';
  return state.use === 'stopped' ? 'stopped' : 'active';
}
