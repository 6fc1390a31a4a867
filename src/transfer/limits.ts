// How patient a transfer is, and how much it takes: the profile's word, and what nobody needs to choose.
import type { TransferProfile } from '../profile/transfer.ts';

export interface TransferLimits {
  /** All files of one release together; null: what the disk has room for. */
  readonly maxBytes: number | null;
  /** null: as fast as it comes. */
  readonly bytesPerSecond: number | null;
  /** The start is put off by a random part of it, so that a fleet does not ask at once. */
  readonly jitterMs: number;
  /** Also http. Bytes are verified either way; who listens sees them. */
  readonly plainHttp: boolean;
  /** Until the head of an answer is there. */
  readonly headMs: number;
  /** Without one byte of a body. */
  readonly idleMs: number;
  /** A body must bring `windowBytes` in so much time spent waiting for it. */
  readonly windowMs: number;
  readonly windowBytes: number;
  /** Attempts in a row that bring nothing new. */
  readonly tries: number;
  /** Wait after the first failed attempt; doubled with each, at most `retryMaxMs`. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
  readonly redirects: number;
}

export const TRANSFER_LIMITS: TransferLimits = {
  maxBytes: null,
  bytesPerSecond: null,
  jitterMs: 0,
  plainHttp: false,
  headMs: 30_000,
  idleMs: 30_000,
  windowMs: 60_000,
  windowBytes: 16 * 1024,
  tries: 12,
  retryMs: 1000,
  retryMaxMs: 60_000,
  redirects: 5,
};

/** The limits of a profile. */
export function limitsOf(profile: TransferProfile = {}): TransferLimits {
  return {
    ...TRANSFER_LIMITS,
    maxBytes: profile.maxBytes ?? null,
    bytesPerSecond: profile.bytesPerSecond ?? null,
    jitterMs: (profile.jitterSeconds ?? 0) * 1000,
    plainHttp: profile.plainHttp ?? false,
  };
}
