// Answers a challenge: claims, log and quote of one instant, bound together.
import { encodeLog } from '../cel/record.ts';
import { sha256 } from '../crypto/digest.ts';
import { qualifyingData } from '../evidence/binding.ts';
import { encodeClaims } from '../evidence/claims-codec.ts';
import { MAX_REPORTS } from '../evidence/claims.ts';
import type { Claims } from '../evidence/claims.ts';
import { encodeEvidence, encodeLogPart } from '../protocol/codec.ts';
import type { Challenge, LogPart } from '../protocol/messages.ts';
import type { Journal, LogHead, SentEvidence } from '../store/journal.ts';
import { sameEpoch } from '../tpm/port.ts';
import type { Tpm } from '../tpm/port.ts';
import type { BootPcrs } from './boot-pcrs.ts';
import { quoteClock } from './quote-clock.ts';

/** A log longer than this goes before its evidence, in parts of this size. */
export const LOG_PART_BYTES: number = 128 * 1024;

/** What a device acts by, as its evidence says. */
export type Basis = Pick<
  Claims,
  'rootVersion' | 'tpmLife' | 'floors' | 'floorCertificate' | 'floorGeneration' | 'escrow'
>;

/** What evidence says that neither TPM nor journal knows. */
export type DeviceClaims = Omit<
  Claims,
  'v' | 'epoch' | 'logFrom' | 'logTo' | 'bootPcrs' | 'reports' | 'profile' | 'profileDigest'
> & { readonly profile: string; readonly profileDigest: Uint8Array };

export interface EvidenceParts {
  readonly tpm: Pick<Tpm, 'readPcrs' | 'quote'>;
  readonly journal: Pick<Journal, 'records' | 'reports'>;
  readonly bootPcrs: BootPcrs;
}

export interface MadeEvidence {
  /** The message; its SHA-256 is what a result names. */
  readonly message: Buffer;
  /** Log parts to send before it, in order. */
  readonly logParts: readonly Buffer[];
  readonly sent: Omit<SentEvidence, 'session' | 'order'>;
  /** Whether the quote shows by itself that event PCR and epoch were those of `head` at its one moment. */
  readonly showsHead: boolean;
}

/** First record to send: what follows the controller's, if it still speaks of this log; otherwise all. */
export function firstRecord(challenge: Challenge, head: Pick<LogHead, 'epoch' | 'seq'>): number {
  const known = challenge.epoch !== null && sameEpoch(challenge.epoch, head.epoch) && challenge.afterSeq <= head.seq;
  return known ? challenge.afterSeq + 1 : 1;
}

function splitLog(log: Buffer): { part: LogPart; messages: Buffer[] } {
  if (log.length <= LOG_PART_BYTES) return { part: log, messages: [] };
  const digest = sha256(log);
  const parts = Math.ceil(log.length / LOG_PART_BYTES);
  const messages = Array.from({ length: parts }, (_, index) =>
    encodeLogPart({ v: 1, digest, index, bytes: log.subarray(index * LOG_PART_BYTES, (index + 1) * LOG_PART_BYTES) }),
  );
  return { part: { digest, length: log.length, parts }, messages };
}

/**
 * Makes evidence for `challenge` (`sealed` = its exact bytes). To be called while no intent is open and `head` is the log's head
 * (EventRecorder.snapshot). Errors: TpmError, StoreError.
 */
export async function makeEvidence(
  parts: EvidenceParts,
  ask: {
    readonly challenge: Challenge;
    readonly sealed: Uint8Array;
    readonly head: Pick<LogHead, 'epoch' | 'seq' | 'pcr'>;
    readonly claims: DeviceClaims;
  },
): Promise<MadeEvidence> {
  const { challenge, sealed, head } = ask;
  const logFrom = firstRecord(challenge, head);
  const [records, kept] = await Promise.all([
    logFrom > head.seq ? [] : parts.journal.records(logFrom, head.seq),
    parts.journal.reports(),
  ]);
  // The oldest go first; those for which there is no room follow when these were acknowledged.
  const reports = kept.slice(0, MAX_REPORTS);
  const log = encodeLog(records);
  const { part, messages } = splitLog(log);
  const selection = { bank: challenge.bank, pcrs: challenge.pcrs };
  const { made, showsEvent } = await parts.bootPcrs.quote(parts.tpm, selection, head.pcr, async (bootPcrs) => {
    const said = encodeClaims({ v: 1, ...ask.claims, epoch: head.epoch, logFrom, logTo: head.seq, bootPcrs, reports });
    return { claims: said, quote: await parts.tpm.quote(qualifyingData(sealed, said, part), selection) };
  });
  const message = encodeEvidence({ v: 1, challenge: sealed, claims: made.claims, log: part, ...made.quote });
  const { clock, resetCount, restartCount } = quoteClock(made.quote.attest);
  const epoch = { resetCount, restartCount };
  return {
    message,
    logParts: messages,
    sent: { digest: sha256(message), clock, epoch, logTo: head.seq },
    showsHead: showsEvent && sameEpoch(epoch, head.epoch),
  };
}
