// The verifier's reader of logs and the device's: one format, read the same, with every byte accounted for.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeLog, encodeLog, encodeRecord, makeRecord } from '../../src/cel/record.ts';
import type { LogEvent } from '../../src/cel/events.ts';
import { WireError } from '../../src/errors.ts';
import { readEvents } from '../../src/verifier/event-reader.ts';
import { readLog } from '../../src/verifier/log-reader.ts';
import { contentDigests } from '../../src/verifier/replay.ts';
import { arbitraryEvent, arbitraryMutation } from '../support/arbitrary-messages.ts';
import { mutated, outcomeOf } from '../support/wire-outcome.ts';
import { encodeRecords, genuineEvents, recordsOf } from './evidence-builder.ts';

const logOf = (events: readonly LogEvent[], from = 1, pcr = 15): Buffer =>
  encodeLog(events.map((event, i) => encodeRecord(makeRecord(from + i, pcr, event))));

/** Records as both readers can show them. */
const shown = (bytes: Uint8Array): unknown => {
  const records = readLog(bytes);
  const digests = contentDigests(records);
  const good = records.every(
    ({ recnum, digest }, i) => digest === digests[i] && (i === 0 || recnum === (records[i - 1]?.recnum ?? 0) + 1),
  );
  if (!good) throw new WireError('WIRE_MALFORMED', 'judged elsewhere', { field: 'log', offset: 0 });
  return records.map(({ recnum, pcr, content }) => ({ recnum, pcr, content: content.toString('hex') }));
};
const onDevice = (bytes: Uint8Array): unknown =>
  decodeLog(bytes).map(({ recnum, pcr, content }) => ({ recnum, pcr, content: content.toString('hex') }));

describe('a log', () => {
  test('is read as the device reads it, whatever is in it', () => {
    const numbers = fc.constantFrom(0, 1, 23, 24, 255, 256, 65_535, 65_536, 4_000_000_000);
    fc.assert(
      fc.property(fc.array(arbitraryEvent, { maxLength: 4 }), numbers, numbers, (events, from, pcr) => {
        const bytes = logOf(events, from, pcr);
        expect(shown(bytes)).toEqual(onDevice(bytes));
        expect(readEvents(bytes, readLog(bytes))).toHaveLength(events.length);
      }),
      { numRuns: 100 },
    );
  });

  test('that is damaged is refused by both or read the same by both', () => {
    fc.assert(
      fc.property(fc.array(arbitraryEvent, { minLength: 1, maxLength: 3 }), arbitraryMutation, (events, how) => {
        const bytes = mutated(logOf(events), how);
        expect(outcomeOf(() => shown(bytes))).toEqual(outcomeOf(() => onDevice(bytes)));
      }),
      { numRuns: 1000 },
    );
  });

  test('cut off anywhere is refused', () => {
    const bytes = logOf(genuineEvents);
    for (let end = 0; end < bytes.length; end++) expect(() => readLog(bytes.subarray(0, end))).toThrow(WireError);
  });

  test.each<[string, string, RegExp]>([
    ['no array', 'a0', /major type 5, must be 4/],
    ['an array in a longer form', '9800', /shortest form/],
    ['an array in a longer form of 2 bytes', '990017', /shortest form/],
    ['an array in a longer form of 4 bytes', '9a0000ffff', /shortest form/],
    ['an array of indefinite length', '9fff', /indefinite/],
    ['an array of 64 bits', '9b0000000000000000', /larger than 32 bits/],
    ['a head cut off', '99ff', /ends inside/],
    ['bytes left over', '8000', /1 bytes left over/],
    ['a record that is no map', '8180', /four fields/],
    ['a record cut off', '81a4', /ends before recnum/],
    ['content that is too large', `81a40001010f03a10b5820${'00'.repeat(32)}18545a00080001`, /at most 524288/],
  ])('with %s is refused', (_, hex, message) => {
    expect(() => readLog(Buffer.from(hex, 'hex'))).toThrow(WireError);
    expect(() => readLog(Buffer.from(hex, 'hex'))).toThrow(message);
  });

  test('from the middle of a buffer gives the right places', () => {
    const bytes = Buffer.concat([Buffer.alloc(7), encodeRecords(recordsOf(genuineEvents))]).subarray(7);
    const [record] = readLog(bytes);
    expect(bytes.subarray(record?.at ?? 0, (record?.at ?? 0) + 20)).toEqual(record?.content.subarray(0, 20));
  });

  test('that ends in the middle of a given length is refused', () => {
    expect(() =>
      readEvents(Buffer.alloc(0), [{ recnum: 1, pcr: 15, digest: '', content: Buffer.from([0x80]), at: 0 }]),
    ).toThrow(WireError);
  });
});
