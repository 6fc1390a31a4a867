// Tries again what failed on the way, longer apart each time, until too many attempts in a row brought nothing new.
import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import type { TransferLimits } from './limits.ts';

export interface AttemptParts {
  readonly clock: Clock;
  readonly limits: TransferLimits;
  readonly signal: AbortSignal;
  /** Each failed attempt that is followed by another. */
  readonly onRetry: (error: ReleaseError) => void;
}

/** Progress that counts as new: less, attempt by attempt, is a server that only wants to keep us. */
const STEP_BYTES = 64 * 1024;

/** `reached`: how far the work has come, in bytes. Errors: those of `work`; the last one when it is TRANSFER_UNAVAILABLE too often. */
export async function attempts<T>(
  parts: AttemptParts,
  work: () => Promise<T>,
  reached: () => number = () => 0,
): Promise<T> {
  const { clock, limits, signal } = parts;
  let best = reached();
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ReleaseError) || error.code !== 'TRANSFER_UNAVAILABLE') throw error;
      if (reached() >= best + STEP_BYTES) [best, tries] = [reached(), 1];
      if (tries >= limits.tries) throw error;
      parts.onRetry(error);
      const wait = Math.min(limits.retryMs * 2 ** (tries - 1), limits.retryMaxMs);
      await clock.sleep(wait * (0.5 + Math.random() / 2), signal);
    }
  }
}
