// How a TPM's counters and clock may move from one accepted quote to the next.
import type { TpmClock } from '../tpm/port.ts';
import type { RowState } from './types.ts';

/** The TPM saves its clock every 4096 ms; a power cut loses at most what came after (Part 1, 36.3). */
const CLOCK_LOSS_MS = 4096n;

/** resetCount never goes back; while it stands still, restartCount does not either. Only TPM2_Clear or another TPM do that. */
export function counterWentBack(quote: TpmClock, row: RowState): boolean {
  if (quote.resetCount < row.maxResetCount) return true;
  const { log } = row;
  return log !== null && quote.resetCount === log.epoch.resetCount && quote.restartCount < log.epoch.restartCount;
}

/** `safe` is the TPM's own word that its clock is not behind any value it showed; else it may be behind by one save. */
export function clockWentBack(quote: TpmClock, row: RowState): boolean {
  const sameReset = row.log !== null && row.log.epoch.resetCount === quote.resetCount;
  const loss = quote.safe || sameReset ? 0n : CLOCK_LOSS_MS;
  return quote.clock + loss < row.clock;
}
