// Bytes against bytes and against their hex: equal only where every digit is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/bytes/text.ts';
import { isHexOf, sameBytes } from '../../src/verifier/same-bytes.ts';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });

describe('hex of bytes', () => {
  test('is told from every other text of its length', () => {
    fc.assert(
      fc.property(
        bytes,
        fc.nat(),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        (value, at, character) => {
          const hex = toHex(value);
          expect(isHexOf(hex, value)).toBe(true);
          const place = at % hex.length;
          const other = hex.slice(0, place) + character + hex.slice(place + 1);
          expect(isHexOf(other, value)).toBe(other === hex);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each(['', 'ab', 'abcdef', 'ABCD', 'abcg', 'abcŁ', 'abc０'])('is not %o for ab cd', (text) => {
    expect(isHexOf(text, Buffer.from('abcd', 'hex'))).toBe(false);
  });
});

test('bytes are the same only with every byte and the same length; none is the same as none', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(sameBytes(a, Uint8Array.from(a))).toBe(true);
      expect(sameBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      expect(sameBytes(a, a.subarray(1))).toBe(false);
    }),
  );
  expect(sameBytes(null, null)).toBe(true);
  expect(sameBytes(null, new Uint8Array())).toBe(false);
});
