// Replays a kernel measurement list against PCR 10, and ties it to the boot by its first record.
import { sha256, SHA256_BYTES } from '../crypto/digest.ts';
import type { ImaRecord } from './ima-record.ts';
import type { PcrValues } from './pcr-replay.ts';

export interface ImaReplay {
  /** Records from the beginning whose replay is the quoted PCR 10. The list may be longer: it grew after the quote. */
  readonly explained: number;
  /** Violations among those. */
  readonly violations: number;
}

/** How much of `records` explains this value of PCR 10; null: no part from the beginning does. */
export function replayImaList(records: readonly ImaRecord[], quoted: Uint8Array): ImaReplay | null {
  let value: Buffer = Buffer.alloc(SHA256_BYTES);
  let [violations, explained] = [0, 0];
  let found: ImaReplay | null = value.equals(quoted) ? { explained, violations } : null;
  for (const record of records) {
    value = sha256(value, record.extended);
    explained += 1;
    if (record.violation) violations += 1;
    if (value.equals(quoted)) found = { explained, violations };
  }
  return found;
}

const AGGREGATE = 'boot_aggregate';

/**
 * Whether the list's first record names this boot: SHA-256 over PCR 0 to 9 (Linux 5.8 and newer), or over PCR 0 to 7 (older).
 * `missing`: there is no such record, or a PCR is not given.
 */
export function bootAggregate(records: readonly ImaRecord[], pcrs: PcrValues): 'same' | 'other' | 'missing' {
  const [first] = records;
  if (first?.path !== AGGREGATE || first.violation || first.algorithm !== 'sha256') return 'missing';
  const values = Array.from({ length: 10 }, (_, pcr) => pcrs.get(pcr));
  if (values.slice(0, 8).includes(undefined)) return 'missing';
  const known = values.filter((value) => value !== undefined);
  const sums = [sha256(...known.slice(0, 8)), ...(known.length === 10 ? [sha256(...known)] : [])];
  return sums.some((sum) => sum.equals(first.fileDigest)) ? 'same' : 'other';
}
