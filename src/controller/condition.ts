// How a device is doing, in one word and one sentence: unreachable, stale, unverifiable and untrusted are four different things.
import type { DeviceRow } from './registry.ts';

export type Condition =
  | 'pending'
  | 'rejected'
  | 'retired'
  | 'quarantined'
  | 'waiting'
  | 'unreachable'
  | 'unverifiable'
  | 'stale'
  | 'untrusted'
  | 'warning'
  | 'trusted';

/** What to do now, for people. */
export const CONDITIONS: Readonly<Record<Condition, string>> = {
  pending: 'compare the device with your inventory, then approve or reject it',
  rejected: 'nothing; approve it if this was a mistake',
  retired: 'nothing; it can only come back by enrolling again',
  quarantined: 'find out why it was set aside, then approve it again or retire it',
  waiting: 'start the agent on the device; it has not sent evidence yet',
  unreachable: 'check power, network and agent of the device; its last verdict says nothing of now',
  unverifiable: 'what it sends is its own but proves nothing: look at the findings, then restart the device',
  stale: 'it is there but its last verdict has run out: ask for evidence with touchstone device attest',
  untrusted: 'keep it from working until the findings are explained: each says what to do',
  warning: 'everything that matters is as signed; read the findings when there is time',
  trusted: 'nothing',
};

export interface ConditionTerms {
  readonly now: number;
  readonly silentAfterMs: number;
  /** How long a verdict is good for; null when the device's profile is not known here. */
  readonly leaseForMs: number | null;
}

type Judged = Pick<DeviceRow, 'state' | 'verdict' | 'trouble' | 'lastSeen' | 'online'>;

/** The first that holds, from what a person must decide to what only has to be known. */
export function conditionOf(device: Judged, { now, silentAfterMs, leaseForMs }: ConditionTerms): Condition {
  const { state, verdict, trouble, lastSeen, online } = device;
  if (state !== 'approved') return state;
  if (lastSeen === null) return 'waiting';
  const ranOut = verdict === null || leaseForMs === null || now - verdict.at > leaseForMs;
  // A last will is only a hint: it counts when the verdict has run out as well.
  if (now - lastSeen > silentAfterMs || (!online && ranOut)) return 'unreachable';
  if (trouble !== null || verdict?.status === 'none') return 'unverifiable';
  if (verdict === null) return 'waiting';
  if (ranOut) return 'stale';
  if (verdict.status === 'contraindicated') return 'untrusted';
  return verdict.status === 'affirming' ? 'trusted' : 'warning';
}
