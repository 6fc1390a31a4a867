// Replays a firmware log: the SHA-256 PCR values it explains, and where they differ from those that a TPM quoted.
import { sha256, SHA256_BYTES } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import { EV_NO_ACTION } from './event-types.ts';
import type { FirmwareEvent, FirmwareLog } from './event-log.ts';

/** PCR values by index, 32 bytes each. */
export type PcrValues = ReadonlyMap<number, Buffer>;

/** PCRs that a static boot may extend: a log that claims others is not of this boot. */
export const BOOT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const STARTUP_LOCALITY = Buffer.from('StartupLocality\0', 'latin1');

function isStartupLocality({ pcr, type, data }: FirmwareEvent): boolean {
  return pcr === 0 && type === EV_NO_ACTION && data.subarray(0, STARTUP_LOCALITY.length).equals(STARTUP_LOCALITY);
}

/**
 * PCR 0 begins as the locality of TPM2_Startup (PFP 1.05, 10.4.5.3). The event is in no digest, so it is taken only where it can
 * be honest: once, before PCR 0 is extended, naming locality 0, 3 or 4. A lie makes the replay miss the quoted value.
 */
function initialPcr0(events: readonly FirmwareEvent[]): Buffer {
  const value = Buffer.alloc(SHA256_BYTES);
  const first = events.findIndex(({ pcr, type }) => pcr === 0 && type !== EV_NO_ACTION);
  const told = events.filter((event) => isStartupLocality(event));
  for (const event of told) {
    const locality = event.data[STARTUP_LOCALITY.length] ?? 0xff;
    const misplaced = told.length > 1 || (first !== -1 && event.index > (events[first]?.index ?? 0));
    if (misplaced || event.data.length !== STARTUP_LOCALITY.length + 1 || ![0, 3, 4].includes(locality)) {
      const where = { field: `events[${event.index}]`, offset: 0 };
      throw new WireError('WIRE_MALFORMED', 'a startup locality that is repeated, late or none', where);
    }
    value[SHA256_BYTES - 1] = locality;
  }
  return value;
}

/** The value that the log gives to each of PCR 0 to 9, and to each other PCR it names. Errors: WireError. */
export function replayFirmwareLog({ events }: FirmwareLog): PcrValues {
  const values = new Map<number, Buffer>(BOOT_PCRS.map((pcr) => [pcr, Buffer.alloc(SHA256_BYTES)]));
  values.set(0, initialPcr0(events));
  for (const { pcr, type, digest } of events) {
    if (type === EV_NO_ACTION) continue;
    values.set(pcr, sha256(values.get(pcr) ?? Buffer.alloc(SHA256_BYTES), digest));
  }
  return values;
}

export interface PcrDifference {
  readonly pcr: number;
  /** What the log replays to; null where it says nothing of this PCR. */
  readonly replayed: Buffer | null;
  readonly quoted: Buffer;
}

/** Every quoted PCR that the replay does not explain; empty: the log is that of this boot. */
export function unexplainedPcrs(replayed: PcrValues, quoted: PcrValues): PcrDifference[] {
  const differences: PcrDifference[] = [];
  for (const [pcr, value] of quoted) {
    const own = replayed.get(pcr) ?? null;
    if (own?.equals(value) !== true) differences.push({ pcr, replayed: own, quoted: value });
  }
  return differences;
}
