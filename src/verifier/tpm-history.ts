// How a TPM's counters and clock may move from one accepted quote to the next.
import type { Claims } from '../evidence/claims.ts';
import type { Tier } from '../protocol/messages.ts';
import type { TpmClock } from '../tpm/port.ts';
import { sameBytes } from './same-bytes.ts';
import type { RowState } from './types.ts';

/**
 * A TPM records its clock at least once per 2^22 ms (Part 2, 10.11.1; most do every 4096 ms), and a power cut loses at most what
 * came after. A software TPM may not record it at all between two writes to its NV memory (swtpm 0.7.1), and calls it safe
 * all the same: after a reset its clock proves nothing.
 */
const CLOCK_LOSS_MS = 1n << 22n;

/**
 * The TPM was cleared since it was let in: by the device's own word, which makes its verdict only worse. Counters and clock then begin
 * anew, and say nothing.
 */
export function wasCleared({ tpmLife }: Pick<Claims, 'tpmLife'>, { log }: RowState): boolean {
  return tpmLife !== undefined && log?.tpmLife !== undefined && !sameBytes(tpmLife, log.tpmLife);
}

/** resetCount never goes back; while it stands still, restartCount does not either. Only TPM2_Clear or another TPM do that. */
export function counterWentBack(quote: TpmClock, row: RowState): boolean {
  if (quote.resetCount < row.maxResetCount) return true;
  const { log } = row;
  return log !== null && quote.resetCount === log.epoch.resetCount && quote.restartCount < log.epoch.restartCount;
}

/** `safe` is the TPM's own word that its clock is not behind any value it showed; else it may be behind by one save. */
export function clockWentBack(quote: TpmClock, row: RowState, tier: Tier): boolean {
  const sameReset = row.log !== null && row.log.epoch.resetCount === quote.resetCount;
  if (tier === 'software' && !sameReset) return false;
  const mayLose = !quote.safe && !sameReset;
  return quote.clock + (mayLose ? CLOCK_LOSS_MS : 0n) < row.clock;
}
