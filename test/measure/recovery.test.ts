// The decision of the measuring protocol: one step for each way in which journal, PCR and epoch can stand to each other.
import { describe, expect, test } from 'vitest';
import type { ForeignExtensionEvent, LogEvent } from '../../src/cel/events.ts';
import { advance, decodeRecord, encodeRecord, extend, makeRecord, ZERO_PCR } from '../../src/cel/record.ts';
import { recoveryStep } from '../../src/measure/recovery.ts';
import type { RecoveryStep } from '../../src/measure/recovery.ts';
import type { LogHead } from '../../src/store/journal.ts';
import { PCR, slotEvent } from './device.ts';

const EPOCH = { resetCount: 5, restartCount: 2 };
const J = Buffer.alloc(32, 0x4a);
const X = Buffer.alloc(32, 0x58);
const foreign: ForeignExtensionEvent = { v: 1, type: 'foreign-extension', expected: J, found: X };

const head = (changes: Partial<LogHead> = {}): LogHead => ({
  epoch: EPOCH,
  clock: 1000n,
  why: 'first',
  seq: 7,
  pcr: J,
  intent: null,
  aside: null,
  ...changes,
});
function intentOf(event: LogEvent, pcr: number = PCR): NonNullable<LogHead['intent']> {
  const record = makeRecord(8, pcr, event);
  return { seq: 8, record: encodeRecord(record), digest: record.digest };
}
const e = intentOf(slotEvent(1));
const f = intentOf(foreign);
const after = (intent: NonNullable<LogHead['intent']>, from: Buffer = J): Buffer =>
  advance(from, decodeRecord(intent.record));

const step = (before: LogHead | null, pcr: Buffer, epoch: Partial<typeof EPOCH> = {}): RecoveryStep =>
  recoveryStep(before, { clock: { ...EPOCH, ...epoch, clock: 2000n, safe: true }, pcr }, PCR);

describe('in the same epoch', () => {
  test('PCR = J without an intent: nothing to do', () => {
    expect(step(head(), J)).toEqual({ do: 'nothing' });
  });
  test('PCR = J with the intent e: its extend has not run', () => {
    expect(step(head({ intent: e }), J)).toEqual({ do: 'extend', digest: e.digest });
  });
  test('PCR = J·e: its extend has run', () => {
    expect(step(head({ intent: e }), after(e))).toEqual({ do: 'close', seq: 8, pcr: after(e) });
  });
  test('PCR = anything else without an intent: a stranger', () => {
    expect(step(head(), X)).toEqual({ do: 'explain', event: foreign });
    expect(step(head(), ZERO_PCR)).toMatchObject({ do: 'explain', event: { expected: J, found: ZERO_PCR } });
  });
  test('PCR = anything else with the intent e: e waits, then the stranger is explained, then e comes back as the next record', () => {
    expect(step(head({ intent: e }), X)).toEqual({ do: 'set-aside', seq: 8 });
    expect(step(head({ aside: e.record }), X)).toEqual({ do: 'explain', event: foreign });
    expect(step(head({ aside: e.record, intent: f }), X)).toEqual({ do: 'extend', digest: f.digest });
    expect(step(head({ aside: e.record, intent: f }), after(f))).toEqual({ do: 'close', seq: 8, pcr: after(f) });
    const later = head({ aside: e.record, seq: 8, pcr: after(f) });
    expect(step(later, after(f))).toEqual({ do: 'reopen', record: { ...decodeRecord(e.record), recnum: 9 } });
  });
  test('a stranger after the one that is being explained: the explanation is dropped for a newer one', () => {
    expect(step(head({ intent: f }), J)).toEqual({ do: 'drop', seq: 8 });
    expect(step(head({ intent: f }), Buffer.alloc(32, 3))).toEqual({ do: 'drop', seq: 8 });
    expect(step(head({ intent: f }), extend(after(f), X))).toEqual({ do: 'drop', seq: 8 });
  });
  test('an intent for another PCR than the profile now names is recorded again for this one', () => {
    const elsewhere = intentOf(slotEvent(1), PCR + 1);
    expect(step(head({ intent: elsewhere }), J)).toEqual({ do: 'set-aside', seq: 8 });
    const again = step(head({ aside: elsewhere.record }), J);
    expect(again).toEqual({ do: 'reopen', record: { ...decodeRecord(elsewhere.record), recnum: 8, pcr: PCR } });
  });
});

describe('in a new epoch', () => {
  test('of the same reset, PCR = J or J·e is a resume, also while a stranger is being explained', () => {
    const resumed = { do: 'move-epoch', why: 'resumed' };
    expect(step(head(), J, { restartCount: 3 })).toEqual(resumed);
    expect(step(head({ intent: e }), J, { restartCount: 3 })).toEqual(resumed);
    expect(step(head({ intent: e }), after(e), { restartCount: 3 })).toEqual(resumed);
    expect(step(head({ intent: f }), X, { restartCount: 3 })).toEqual(resumed);
    expect(step(head({ intent: f }), after(f), { restartCount: 3 })).toEqual(resumed);
  });

  const start = { clock: 2000n };
  test('of the same reset, PCR = 0 is a new log, also when the old one was empty', () => {
    const epoch = { resetCount: 5, restartCount: 3 };
    expect(step(head(), ZERO_PCR, epoch)).toEqual({ do: 'start-log', start: { ...start, epoch, why: 'restarted' } });
    expect(step(head({ seq: 0, pcr: ZERO_PCR }), ZERO_PCR, epoch)).toMatchObject({ do: 'start-log' });
    expect(step(head({ seq: 0, pcr: ZERO_PCR, intent: e }), ZERO_PCR, epoch)).toMatchObject({ do: 'start-log' });
  });
  test('of another reset it is a new log, whatever the PCR is: what the old one says of it counts no more', () => {
    const epoch = { resetCount: 6, restartCount: 0 };
    for (const pcr of [ZERO_PCR, J, X]) {
      const expected = { do: 'start-log', start: { ...start, epoch, why: 'rebooted' } };
      expect(step(head(), pcr, epoch)).toEqual(expected);
      expect(step(head({ intent: f, aside: e.record }), pcr, epoch)).toEqual(expected);
    }
  });
  test('PCR = 0·e is explained by the open intent e, which becomes record 1', () => {
    for (const epoch of [
      { resetCount: 6, restartCount: 0 },
      { resetCount: 5, restartCount: 3 },
    ]) {
      const pcr = after(e, ZERO_PCR);
      const first = { record: encodeRecord({ ...decodeRecord(e.record), recnum: 1 }), digest: e.digest, pcr };
      expect(step(head({ intent: e }), pcr, epoch)).toMatchObject({ do: 'start-log', start: { epoch, first } });
    }
  });
  test('PCR = 0·f of an explanation is not: its record means another value', () => {
    const found = step(head({ intent: f }), extend(ZERO_PCR, f.digest), { resetCount: 6 });
    expect(found).toEqual({
      do: 'start-log',
      start: { ...start, epoch: { ...EPOCH, resetCount: 6 }, why: 'rebooted' },
    });
  });
});

test('without a journal a log begins, whatever the PCR is', () => {
  for (const pcr of [ZERO_PCR, X]) {
    expect(step(null, pcr)).toEqual({ do: 'start-log', start: { epoch: EPOCH, clock: 2000n, why: 'first' } });
  }
});
