// Bytes as text and back: one spelling each, everything else refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareUtf8,
  dayText,
  fromBase64,
  fromHex,
  fromUtf8,
  shortHex,
  timeText,
  toBase32,
  toBase64,
  toHex,
  toUtf8,
} from '../../src/bytes/text.ts';
import { WireError } from '../../src/errors.ts';

const bytes = fc.uint8Array({ maxLength: 100 });

test('hex and base64 come back as they were, also from the middle of a buffer', () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const view = Buffer.concat([Buffer.from([1]), value, Buffer.from([2])]).subarray(1, -1);
      expect(new Uint8Array(fromHex(toHex(view)))).toEqual(value);
      expect(new Uint8Array(fromBase64(toBase64(view)))).toEqual(value);
    }),
  );
});

test.each(['0', 'AB', '0g', ' 00', '00\n'])('the hex %j is refused', (text) => {
  expect(() => fromHex(text)).toThrow(WireError);
});

test.each(['YQ', 'YQ=', 'YR==', 'YQ==\n', 'Y Q==', 'YQ-_', '*'])('the base64 %j is refused', (text) => {
  expect(() => fromBase64(text)).toThrow(WireError);
});

test('short hex is at most 12 digits, of bytes or of hex', () => {
  expect(shortHex(Buffer.alloc(6, 0xab))).toBe('abababababab');
  expect(shortHex(Buffer.alloc(7, 0xab))).toBe('abababababab…');
  expect(shortHex('00')).toBe('00');
});

// RFC 4648, 10, in lower case and without padding.
test.each([
  ['', ''],
  ['f', 'my'],
  ['fo', 'mzxq'],
  ['foo', 'mzxw6'],
  ['foob', 'mzxw6yq'],
  ['fooba', 'mzxw6ytb'],
  ['foobar', 'mzxw6ytboi'],
])('base32 of %j is %j', (text, encoded) => {
  expect(toBase32(Buffer.from(text))).toBe(encoded);
});

describe('UTF-8', () => {
  test('comes back as it was, byte order mark included', () => {
    expect(fromUtf8(toUtf8('\ufeffä😀'))).toBe('\ufeffä😀');
  });

  test.each(['c328', 'c080', 'eda080', 'f5808080', 'ff'])('%s is refused, never replaced', (hex) => {
    expect(() => fromUtf8(Buffer.from(hex, 'hex'))).toThrow(WireError);
  });

  test('sorts by its bytes, not by UTF-16', () => {
    const texts = ['\u{10000}', '\uffee', 'a'];
    expect(texts.toSorted(compareUtf8)).toEqual(['a', '\uffee', '\u{10000}']);
    expect(texts.toSorted()).toEqual(['a', '\u{10000}', '\uffee']);
    expect(compareUtf8('a', 'a')).toBe(0);
  });
});

test.each([
  [0, '1970-01-01T00:00:00.000Z', '1970-01-01'],
  [8.64e15, '+275760-09-13T00:00:00.000Z', '+275760-09-13'],
  [8.64e15 + 1, '8640000000000001 ms', '8640000000000001 ms'],
  [Number.MAX_SAFE_INTEGER, '9007199254740991 ms', '9007199254740991 ms'],
])('the time %d is %s for people', (ms, time, day) => {
  expect([timeText(ms), dayText(ms)]).toEqual([time, day]);
});
