// What time it is on a device whose clock anyone may have turned: never before what is known to have passed.
export interface KnownTimes {
  /** ms: when this software was built, or 0. */
  readonly built: number;
  /** ms: fleet.json's minimum. */
  readonly fleetMinimum: number;
  /** ms: the last time the journal has seen, or 0. */
  readonly last: number;
  /** ms: what the machine's clock says. */
  readonly rtc: number;
}

export interface DeviceTime {
  readonly now: number;
  readonly source: 'clock' | 'floor';
}

/** A clock further ahead than this of everything known is a battery that ran out in the other direction. */
const PLAUSIBLE_MS = 20 * 365.25 * 86_400_000;

/** max(build time, fleet minimum, journal's last, plausible clock). */
export function deviceTime(known: KnownTimes): DeviceTime {
  const floor = Math.max(known.built, known.fleetMinimum, known.last);
  const plausible = known.rtc >= floor && known.rtc - floor <= PLAUSIBLE_MS;
  return plausible ? { now: Math.floor(known.rtc), source: 'clock' } : { now: floor, source: 'floor' };
}
