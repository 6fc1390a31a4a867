// Brings journal and PCR to agree: looks, decides, does one step, and looks again.
import type { EpochChange } from '../cel/events.ts';
import { decodeEvent, decodeRecord, encodeRecord, makeRecord } from '../cel/record.ts';
import type { Journal, LogHead } from '../store/journal.ts';
import { sameEpoch } from '../tpm/port.ts';
import type { Tpm } from '../tpm/port.ts';
import { epochChange } from './epoch.ts';
import { EpochMoved } from './epoch-moved.ts';
import type { Followed } from './journal-rules.ts';
import { recoveryStep } from './recovery.ts';
import type { RecoveryStep, Seen } from './recovery.ts';

export interface MeasuringParts {
  readonly tpm: Pick<Tpm, 'readClock' | 'readPcrs' | 'extendPcr'>;
  readonly journal: Pick<
    Journal,
    'head' | 'newLog' | 'moveEpoch' | 'openIntent' | 'closeIntent' | 'dropIntent' | 'setAside' | 'records'
  >;
  /** Index of the event PCR. */
  readonly pcr: number;
}

export interface Recovered {
  readonly head: LogHead;
  /** How this start's epoch followed the journal's; with `newLog`, how the log's epoch followed the one before it. */
  readonly why: EpochChange;
  /** The log has no boot event: it began with this start, or with one that was cut before it got that far. */
  readonly newLog: boolean;
}

/** A TPM that is reset again and again, or a stranger who never stops, ends the start. */
const MAX_LOOKS = 32;
const MAX_STEPS = 64;

export async function readEventPcr(parts: MeasuringParts): Promise<Buffer> {
  const [value] = await parts.tpm.readPcrs({ bank: 'sha256', pcrs: [parts.pcr] });
  if (value === undefined) throw new TypeError('the TPM gave no PCR value');
  return value;
}

/** PCR and epoch of one moment. Errors: TpmError; EpochMoved. */
async function look(parts: MeasuringParts, rules: Followed): Promise<Seen> {
  for (let round = 0; round < MAX_LOOKS; round++) {
    const clock = await parts.tpm.readClock();
    const pcr = await readEventPcr(parts);
    if (!rules.EPOCH_AROUND || sameEpoch(clock, await parts.tpm.readClock())) return { clock, pcr };
  }
  throw new EpochMoved('epoch');
}

async function take(
  { tpm, journal, pcr }: MeasuringParts,
  step: RecoveryStep,
  head: LogHead | null,
  seen: Seen,
): Promise<void> {
  switch (step.do) {
    case 'start-log':
      return journal.newLog(step.start);
    case 'move-epoch': {
      const { resetCount, restartCount, clock } = seen.clock;
      return journal.moveEpoch({ resetCount, restartCount }, clock);
    }
    case 'close':
      return journal.closeIntent(step.seq, step.pcr);
    case 'extend':
      return tpm.extendPcr(pcr, step.digest);
    case 'set-aside':
      return journal.setAside(step.seq);
    case 'drop':
      return journal.dropIntent(step.seq);
    case 'reopen':
      await journal.openIntent(encodeRecord(step.record), step.record.digest, 'aside');
      return undefined;
    case 'explain': {
      const record = makeRecord((head?.seq ?? 0) + 1, pcr, step.event);
      await journal.openIntent(encodeRecord(record), record.digest);
      return undefined;
    }
    case 'nothing':
      return undefined;
  }
}

/** Whether the boot is in the log: in all but odd logs it is the first record. */
async function hasBoot(journal: MeasuringParts['journal'], seq: number): Promise<boolean> {
  for (let at = 1; at <= seq; at++) {
    const [record] = await journal.records(at, at);
    if (record !== undefined && decodeEvent(decodeRecord(record).content).type === 'boot') return true;
  }
  return false;
}

/** Errors: TpmError; StoreError; EpochMoved when the TPM does not come to rest. */
export async function recover(parts: MeasuringParts, rules: Followed): Promise<Recovered> {
  let why: EpochChange | null = null;
  if (rules.BARRIER) await parts.tpm.readClock();
  for (let round = 0; round < MAX_STEPS; round++) {
    const head = await parts.journal.head();
    const seen = await look(parts, rules);
    const step = recoveryStep(head, seen, parts.pcr, rules);
    if (step.do === 'move-epoch') why = step.why;
    why ??= epochChange(head, seen.clock, true);
    if (step.do === 'nothing' && head !== null) {
      const newLog = !(await hasBoot(parts.journal, head.seq));
      return { head, why: newLog ? head.why : why, newLog };
    }
    await take(parts, step, head, seen);
  }
  throw new EpochMoved('pcr');
}
