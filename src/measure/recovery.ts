// What the journal, the PCR and the epoch together demand next: the measuring protocol as one pure decision.
import type { EpochChange, ForeignExtensionEvent } from '../cel/events.ts';
import { advance, decodeEvent, decodeRecord, encodeRecord, extend, ZERO_PCR } from '../cel/record.ts';
import type { CelRecord } from '../cel/record.ts';
import type { LogHead, LogStart } from '../store/journal.ts';
import { sameEpoch } from '../tpm/port.ts';
import type { TpmClock } from '../tpm/port.ts';
import { epochChange } from './epoch.ts';
import { ALL_RULES } from './journal-rules.ts';
import type { Followed } from './journal-rules.ts';

/** The event PCR and the clock of one moment. */
export interface Seen {
  readonly clock: TpmClock;
  readonly pcr: Buffer;
}

/** One step; after it everything is read and decided anew, until there is nothing to do. */
export type RecoveryStep =
  /** The PCRs were zero since: a log of the new epoch, perhaps with the intent whose extend ran in it. */
  | { readonly do: 'start-log'; readonly start: LogStart }
  /** The PCRs were kept: the log goes on under the new epoch. */
  | { readonly do: 'move-epoch'; readonly why: EpochChange }
  /** The open intent's extend has run. */
  | { readonly do: 'close'; readonly seq: number; readonly pcr: Buffer }
  /** The open intent's extend has not run. */
  | { readonly do: 'extend'; readonly digest: Buffer }
  /** The open intent waits until the foreign extension is explained. */
  | { readonly do: 'set-aside'; readonly seq: number }
  /** The open intent is about something that is no longer so. */
  | { readonly do: 'drop'; readonly seq: number }
  /** What was set aside becomes an intent again. */
  | { readonly do: 'reopen'; readonly record: CelRecord }
  /** The PCR holds what nobody journalled. */
  | { readonly do: 'explain'; readonly event: ForeignExtensionEvent }
  | { readonly do: 'nothing' };

type Intent = NonNullable<LogHead['intent']>;

interface OpenIntent {
  readonly seq: number;
  readonly record: CelRecord;
  readonly foreign: boolean;
  /** The PCR before its extend and after it, when nobody else extends. */
  readonly before: Buffer;
  readonly after: Buffer;
}

function openIntent(intent: Intent, pcr: Buffer): OpenIntent {
  const record = decodeRecord(intent.record);
  const event = decodeEvent(record.content);
  const foreign = event.type === 'foreign-extension';
  const before = foreign ? Buffer.from(event.found) : pcr;
  return { seq: intent.seq, record, foreign, before, after: advance(pcr, record) };
}

/** The record as record `recnum` of PCR `pcr`: what is extended is its content alone, and stays. */
function renumbered(record: CelRecord, recnum: number, pcr: number): CelRecord {
  return { ...record, recnum, pcr };
}

function newEpoch(
  head: LogHead | null,
  intent: OpenIntent | null,
  seen: Seen,
  eventPcr: number,
  rules: Followed,
): RecoveryStep {
  const { clock, pcr } = seen;
  const asLeft =
    head !== null &&
    (pcr.equals(head.pcr) || (intent !== null && (pcr.equals(intent.before) || pcr.equals(intent.after))));
  const kept = asLeft && head.epoch.resetCount === clock.resetCount && !pcr.equals(ZERO_PCR);
  const why = epochChange(head, clock, kept);
  if (rules.RESUME && kept) return { do: 'move-epoch', why };
  const start: LogStart = {
    epoch: { resetCount: clock.resetCount, restartCount: clock.restartCount },
    clock: clock.clock,
    why,
  };
  // A foreign extension is not an event of ours from zero on: replay of its record starts at what it found.
  if (rules.CROSS && intent !== null && !intent.foreign && pcr.equals(extend(ZERO_PCR, intent.record.digest))) {
    const first = renumbered(intent.record, 1, eventPcr);
    return { do: 'start-log', start: { ...start, first: { record: encodeRecord(first), digest: first.digest, pcr } } };
  }
  return { do: 'start-log', start };
}

function withIntent(intent: OpenIntent, seen: Seen, eventPcr: number, rules: Followed): RecoveryStep {
  const { pcr } = seen;
  const { seq } = intent;
  const here = intent.record.pcr === eventPcr;
  if (here && pcr.equals(intent.after)) return { do: 'close', seq, pcr };
  if (here && pcr.equals(intent.before)) return { do: 'extend', digest: intent.record.digest };
  return intent.foreign || !rules.REPEAT ? { do: 'drop', seq } : { do: 'set-aside', seq };
}

/** `eventPcr` is the index of the PCR that was seen. Errors: WireError for an intent that is no record. */
export function recoveryStep(
  head: LogHead | null,
  seen: Seen,
  eventPcr: number,
  rules: Followed = ALL_RULES,
): RecoveryStep {
  const intent = head === null || head.intent === null ? null : openIntent(head.intent, head.pcr);
  if (head === null || !sameEpoch(head.epoch, seen.clock)) return newEpoch(head, intent, seen, eventPcr, rules);
  if (intent !== null) return withIntent(intent, seen, eventPcr, rules);
  if (!seen.pcr.equals(head.pcr)) {
    return { do: 'explain', event: { v: 1, type: 'foreign-extension', expected: head.pcr, found: seen.pcr } };
  }
  if (head.aside === null) return { do: 'nothing' };
  return { do: 'reopen', record: renumbered(decodeRecord(head.aside), head.seq + 1, eventPcr) };
}
