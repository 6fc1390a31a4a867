// How one epoch of the TPM followed another, by its counters, its clock and whether it kept the PCRs.
import type { EpochChange } from '../cel/events.ts';
import type { LogHead } from '../store/journal.ts';
import { sameEpoch } from '../tpm/port.ts';
import type { TpmClock } from '../tpm/port.ts';

/** A TPM records its clock at least once per 2^22 ms (Part 2, 10.11.1); a power cut loses at most what came after. */
const CLOCK_LOSS_MS = 1n << 22n;

/**
 * `before` is where the journal last stood. The PCR, not the counters, tells resumed from restarted: `kept` says whether it is as the
 * log left it. `safe` is the TPM's word that its clock is not behind any value it showed: else a power cut may have taken it back.
 */
export function epochChange(
  before: Pick<LogHead, 'epoch' | 'clock'> | null,
  now: TpmClock,
  kept: boolean,
): EpochChange {
  if (before === null) return 'first';
  const { resetCount, restartCount } = before.epoch;
  if (now.resetCount < resetCount) return 'tpm-cleared-or-replaced';
  if (now.resetCount === resetCount && now.restartCount < restartCount) return 'tpm-cleared-or-replaced';
  const mayLose = now.resetCount > resetCount && !now.safe;
  if (now.clock + (mayLose ? CLOCK_LOSS_MS : 0n) < before.clock) return 'clock-rolled-back';
  if (sameEpoch(now, before.epoch)) return 'continued';
  if (now.resetCount === resetCount) return kept ? 'resumed' : 'restarted';
  return now.safe ? 'rebooted' : 'power-cut';
}
