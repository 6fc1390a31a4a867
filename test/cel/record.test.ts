// Log records: written one way, read in that way alone, and replayed as the TPM does it.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import type { LogEvent, SlotEvent } from '../../src/cel/events.ts';
import {
  advance,
  decodeEvent,
  decodeLog,
  decodeRecord,
  encodeEvent,
  encodeLog,
  encodeRecord,
  extend,
  makeRecord,
  replay,
  ZERO_PCR,
} from '../../src/cel/record.ts';
import type { CelRecord } from '../../src/cel/record.ts';
import { WireError } from '../../src/errors.ts';
import { arbitraryEvent } from '../support/arbitrary-messages.ts';
import { mutated, outcomeOf } from '../support/wire-outcome.ts';

const digest = (fill: number): Buffer => Buffer.alloc(32, fill);
const foreign: LogEvent = { v: 1, type: 'foreign-extension', expected: digest(1), found: digest(2) };
const slot: SlotEvent = {
  v: 1,
  type: 'slot',
  slot: 'main',
  cause: 'measured',
  release: digest(3),
  statement: digest(4),
  manifest: digest(5),
  configs: null,
  differing: [],
  more: 0,
};
const record = makeRecord(1, 15, slot);
const bytes = encodeRecord(record);
const hex = bytes.toString('hex');
const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

const read = (text: string): unknown => decodeRecord(Buffer.from(text, 'hex'));

describe('a record', () => {
  test('comes back as it was, whatever its numbers', () => {
    const numbers = fc.oneof(fc.constantFrom(0, 23, 24, 255, 256, 65_535, 65_536, 0xffffffff), fc.nat(0xffffffff));
    fc.assert(
      fc.property(numbers, numbers, arbitraryEvent, (recnum, pcr, event) => {
        const made = makeRecord(recnum, pcr, event);
        expect(decodeRecord(encodeRecord(made))).toEqual(made);
        expect(encodeEvent(decodeEvent(made.content))).toEqual(made.content);
      }),
    );
  });

  test('has the SHA-256 of its content as its digest', () => {
    expect(record.digest).toEqual(sha256(record.content));
  });

  test('cut off anywhere, or with bytes left over, is refused', () => {
    for (let end = 0; end < bytes.length; end++) expect(() => decodeRecord(bytes.subarray(0, end))).toThrow(WireError);
    expect(() => decodeRecord(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(/left over/);
  });

  test.each<[string, string, RegExp]>([
    ['no map', `84${hex.slice(2)}`, /major type/],
    ['another number of fields', `a3${hex.slice(2)}`, /3 fields, must be 4/],
    ['another first key', hex.replace('a40001', 'a40201'), /key 2, must be 0/],
    ['a number in a longer form', hex.replace('a40001', 'a4001801'), /shortest form/],
    ['a number of 64 bits', hex.replace('a40001', 'a4001b0000000000000001'), /larger than 32 bits/],
    ['an indefinite number', hex.replace('a40001', 'a4001f'), /larger than 32 bits/],
    ['another second key', hex.replace('010f03', '020f03'), /key 2, must be 1/],
    ['another third key', hex.replace('010f03', '010f04'), /key 4, must be 3/],
    ['two digests', hex.replace('03a10b', '03a20b'), /2 digests, must be 1/],
    ['a digest by another algorithm', hex.replace('03a10b', '03a104'), /key 4, must be 11/],
    ['a short digest', hex.replace('0b5820', '0b5818'), /24 bytes, must be 32/],
    ['content of another type', hex.replace('1854', '1855'), /key 85, must be 84/],
    ['the digest of other content', hex.replace(record.digest.toString('hex'), '00'.repeat(32)), /record 1: digest/],
  ])('with %s is refused', (_, text, message) => {
    expect(text).not.toBe(hex);
    expect(() => read(text)).toThrow(WireError);
    expect(() => read(text)).toThrow(message);
  });

  test('that is damaged is never read as another than it was encoded from', () => {
    fc.assert(
      fc.property(fc.record({ at: fc.nat(400), byte: fc.nat(255), kind: fc.nat(2) }), (how) => {
        const damaged = mutated(bytes, how);
        const { value } = outcomeOf(() => decodeRecord(damaged));
        expect(value === undefined ? damaged : encodeRecord(value)).toEqual(damaged);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an event', () => {
  const refused = (value: object): boolean =>
    outcomeOf(() => decodeEvent(encodeCbor(value as { readonly [key: string]: CborValue }))).refused === true;

  test.each<[string, object]>([
    ['of an unknown type', { ...slot, type: 'reboot' }],
    ['of another version', { ...slot, v: 2 }],
    ['with an unknown field', { ...slot, tomorrow: 1 }],
    [
      'with an unknown field in a differing file',
      { ...slot, differing: [{ path: 'a', expected: null, found: null, x: 1 }] },
    ],
    ['without a field', { v: 1, type: 'foreign-extension', found: digest(1) }],
    [
      'with too many differing files',
      { ...slot, differing: Array.from({ length: 65 }, () => ({ path: 'a', expected: null, found: null })) },
    ],
    ['that is no map', []],
  ])('%s is refused, never skipped', (_, value) => {
    expect(refused(value)).toBe(true);
  });

  test('that names as many files as it may, by the longest paths, is read again', () => {
    const differing = Array.from({ length: 64 }, (_, i) => ({
      path: `${i}`.padEnd(4096, '/long'),
      expected: digest(1),
      found: digest(2),
    }));
    const { content } = makeRecord(1, 15, { ...slot, differing });
    expect(content.length).toBeGreaterThan(256 * 1024);
    expect(encodeEvent(decodeEvent(content))).toEqual(content);
  });

  test('as it should be is not', () => {
    expect(refused(slot)).toBe(false);
  });
});

describe('a log', () => {
  const records = [slot, foreign, slot].map((event, i) => makeRecord(i + 5, 15, event));
  const log = encodeLog(records.map(encodeRecord));

  test('comes back as it was', () => {
    expect(decodeLog(log)).toEqual(records);
    expect(decodeLog(encodeLog([]))).toEqual([]);
  });

  test.each<[string, readonly CelRecord[]]>([
    ['a gap', [makeRecord(1, 15, slot), makeRecord(3, 15, slot)]],
    ['a repetition', [makeRecord(1, 15, slot), makeRecord(1, 15, slot)]],
    ['another order', [makeRecord(2, 15, slot), makeRecord(1, 15, slot)]],
  ])('with %s in its numbers is refused', (_, bad) => {
    expect(() => decodeLog(encodeLog(bad.map(encodeRecord)))).toThrow(/record \d after \d/);
  });

  test('with more records than allowed is refused before any is read', () => {
    expect(() => decodeLog(Buffer.from('9affffffff', 'hex'))).toThrow(/at most 1000000/);
    expect(() => decodeLog(log, 2)).toThrow(/3 records, at most 2/);
  });

  test('cut off anywhere, or with bytes left over, is refused', () => {
    for (let end = 0; end < log.length; end++) expect(() => decodeLog(log.subarray(0, end))).toThrow(WireError);
    expect(() => decodeLog(Buffer.concat([log, Buffer.from([0x80])]))).toThrow(/left over/);
  });

  test('is replayed as a TPM extends', () => {
    const own = records.slice(0, 1);
    expect(extend(ZERO_PCR, digest(9))).toEqual(sha256(Buffer.alloc(32), digest(9)));
    expect(replay(ZERO_PCR, own)).toEqual(sha256(Buffer.alloc(32), own[0]?.digest ?? digest(0)));
    expect(replay(digest(7), [])).toEqual(digest(7));
  });

  test('goes on from what somebody else left in the PCR', () => {
    const event = makeRecord(2, 15, foreign);
    expect(advance(digest(9), event)).toEqual(sha256(digest(2), event.digest));
    expect(replay(ZERO_PCR, records)).toEqual(replay(digest(8), records));
  });

  test('long enough for every form of its count is read', () => {
    for (const count of [23, 24, 255, 256]) {
      const many = Array.from({ length: count }, (_, i) => makeRecord(i + 1, 15, foreign));
      expect(decodeLog(encodeLog(many.map(encodeRecord)))).toHaveLength(count);
    }
  });
});
