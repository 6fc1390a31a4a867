// Brings journal and PCR to agree: looks, decides, does one step, and looks again.
import type { EpochChange } from '../cel/events.ts';
import { encodeRecord, makeRecord } from '../cel/record.ts';
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
    'head' | 'newLog' | 'moveEpoch' | 'openIntent' | 'closeIntent' | 'dropIntent' | 'setAside'
  >;
  /** Index of the event PCR. */
  readonly pcr: number;
}

export interface Recovered {
  readonly head: LogHead;
  /** How this start's epoch followed the journal's. */
  readonly why: EpochChange;
  /** The PCRs were zero since: the log began with this start. */
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

/** Errors: TpmError; StoreError; EpochMoved when the TPM does not come to rest. */
export async function recover(parts: MeasuringParts, rules: Followed): Promise<Recovered> {
  let why: EpochChange | null = null;
  let newLog = false;
  if (rules.BARRIER) await parts.tpm.readClock();
  for (let round = 0; round < MAX_STEPS; round++) {
    const head = await parts.journal.head();
    const seen = await look(parts, rules);
    const step = recoveryStep(head, seen, parts.pcr, rules);
    if (step.do === 'start-log') why = step.start.why;
    if (step.do === 'move-epoch') why = step.why;
    why ??= epochChange(head, seen.clock, true);
    newLog ||= step.do === 'start-log';
    if (step.do === 'nothing' && head !== null) return { head, why, newLog };
    await take(parts, step, head, seen);
  }
  throw new EpochMoved('pcr');
}
