// What devices will report of a release: the events of their log and the value of their event PCR, computed before anything runs.
import type { Components, LogEvent, SlotEvent } from '../cel/events.ts';
import { ZERO_PCR, makeRecord, replay } from '../cel/record.ts';
import type { CelRecord } from '../cel/record.ts';
import { fromHex } from '../bytes/text.ts';
import { configsDigest } from '../profile/configs.ts';
import type { Profile, SlotProfile } from '../profile/profile.ts';
import { manifestDigest } from '../release/manifest.ts';
import type { SignedRelease } from '../release/open.ts';

/** What differs from device to device and from start to start. */
export interface RunFacts {
  readonly deviceId: string;
  /** 16 bytes: random at each start of the agent. */
  readonly session: Uint8Array;
  readonly components: Components;
}

/** A release that goes into a slot. */
export interface Install {
  readonly slot: string;
  readonly release: Pick<SignedRelease, 'id' | 'passport' | 'statement'>;
}

/** A slot that nothing was ever installed in, as a new device measures it. */
function emptyEvent(slot: SlotProfile): SlotEvent {
  return {
    v: 1,
    type: 'slot',
    slot: slot.name,
    cause: 'measured',
    release: null,
    statement: null,
    manifest: manifestDigest([]),
    configs: configsDigest(slot.configs),
    differing: [],
    more: 0,
  };
}

/** The event of an installation: the same on every device of the profile, byte for byte. Errors: RangeError for a slot that the profile lacks. */
export function installEvent(profile: Profile, { slot, release }: Install): SlotEvent {
  const found = profile.slots.find((one) => one.name === slot);
  if (found === undefined) throw new RangeError(`the profile has no slot ${slot}`);
  return {
    ...emptyEvent(found),
    cause: 'activated',
    release: fromHex(release.id),
    statement: release.statement.digest,
    manifest: fromHex(release.passport.manifestDigest),
  };
}

/** The log of a device that was never used, from its first start through the installations. */
export function predictedLog(profile: Profile, installs: readonly Install[], run: RunFacts): CelRecord[] {
  const { deviceId, session, components } = run;
  const events: LogEvent[] = [
    { v: 1, type: 'boot', deviceId, why: 'first', components },
    { v: 1, type: 'agent-start', session, previous: 'first', components },
    ...profile.slots.map(emptyEvent),
    ...installs.map((one) => installEvent(profile, one)),
  ];
  return events.map((event, index) => makeRecord(index + 1, profile.tpm.eventPcr, event));
}

/** The event PCR after these records. */
export function predictedPcr(records: readonly CelRecord[]): Buffer {
  return replay(ZERO_PCR, records);
}
