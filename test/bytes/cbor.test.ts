// CBOR: one encoding of each value goes in and out, everything else is refused, and no bytes whatever do harm.
import { decode as decodeElsewhere, encode as encodeElsewhere } from 'cborg';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCbor, encodeCbor, MESSAGE_LIMITS } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { WireError } from '../../src/errors.ts';
import { decodeAnyCbor } from '../support/cddl-check.ts';
import { LIBERTIES, sloppily } from '../support/sloppy-cbor.ts';
import type { Liberty } from '../support/sloppy-cbor.ts';
import { outcomeOf } from '../support/wire-outcome.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const read = (text: string): unknown => decodeCbor(Buffer.from(text, 'hex'));
const codeOf = (text: string, limits = MESSAGE_LIMITS): string => {
  try {
    return JSON.stringify(decodeCbor(Buffer.from(text, 'hex'), limits));
  } catch (error) {
    return error instanceof WireError ? error.code : String(error);
  }
};

const { tree } = fc.letrec<{ tree: CborValue }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
      tie('tree'),
      {
        maxKeys: 4,
        noNullPrototype: true,
      },
    ),
  ),
}));

/** A bigint that a number holds exactly comes back as that number. */
function asRead(value: CborValue): CborValue {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return (value as CborValue[]).map(asRead);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, asRead(field)]));
}

describe('a value', () => {
  // RFC 8949, appendix A.
  test.each<[string, CborValue]>([
    ['00', 0],
    ['17', 23],
    ['1818', 24],
    ['18ff', 255],
    ['190100', 256],
    ['1a00010000', 65_536],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['1b0020000000000000', 1n << 53n],
    ['1bffffffffffffffff', (1n << 64n) - 1n],
    ['20', -1],
    ['3903e7', -1000],
    ['3bffffffffffffffff', -(1n << 64n)],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['40', new Uint8Array()],
    ['4401020304', new Uint8Array([1, 2, 3, 4])],
    ['60', ''],
    ['62c3bc', 'ü'],
    ['64f0908591', '\u{10151}'],
    ['63efbbbf', '\ufeff'],
    ['80', []],
    ['8301820203820405', [1, [2, 3], [4, 5]]],
    ['a26161016162820203', { a: 1, b: [2, 3] }],
    ['a1695f5f70726f746f5f5f01', JSON.parse('{"__proto__":1}') as CborValue],
  ])('%s is read and written', (text, value) => {
    expect(hex(encodeCbor(value))).toBe(text);
    expect(read(text)).toEqual(value);
  });

  test('comes back as it was', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(decodeCbor(encodeCbor(value))).toEqual(asRead(value));
      }),
    );
  });

  test('does not share memory with the bytes it was read from', () => {
    const bytes = Buffer.from('4401020304', 'hex');
    const value = decodeCbor(bytes);
    bytes.fill(0);
    expect(value).toEqual(new Uint8Array([1, 2, 3, 4]));
  });

  test('is a plain object although a key says __proto__', () => {
    const value = read('a1695f5f70726f746f5f5fa16161f5') as { a?: unknown };
    expect(value.a).toBeUndefined();
  });

  test('is encoded with its keys in bytewise order, whatever order they were in', () => {
    expect(hex(encodeCbor({ b: 1, aa: 2, a: 3 }))).toBe('a361610361620162616102');
  });

  test('is encoded with its keys in the order of their UTF-8, which is not that of UTF-16', () => {
    // U+FF5E comes before U+10151 in UTF-8 and after it in UTF-16; three characters of ü are longer than four of a.
    const value = { '\u{10151}': 1, '\uff5ea': 2, üüü: 3, aaaa: 4 };
    expect(Object.keys(read(hex(encodeCbor(value))) as object)).toEqual(['aaaa', '\uff5ea', '\u{10151}', 'üüü']);
  });

  test.each([23, 24, 47, 48, 49, 255, 256, 65_535, 65_536])('is encoded whole: text and bytes of %i', (length) => {
    const value = { text: 'x'.repeat(length), wide: 'ü'.repeat(length), bytes: new Uint8Array(length).fill(7) };
    const limits = { ...MESSAGE_LIMITS, maxBytes: 1024 * 1024 };
    expect(decodeCbor(encodeCbor(value), limits)).toEqual(value);
  });

  test('is encoded the same wherever its parts cross the end of a buffer that grows', () => {
    const parts: CborValue = [
      7,
      200,
      70_000,
      2 ** 40,
      1n << 60n,
      true,
      null,
      'text',
      'ü',
      new Uint8Array(5),
      { k: [] },
    ];
    const whole = Buffer.concat(parts.map((part) => encodeCbor(part)));
    for (let before = 900; before < 1040; before++) {
      const value = [new Uint8Array(before), ...parts];
      expect(encodeCbor(value).subarray(-whole.length).equals(whole)).toBe(true);
    }
  });

  test('is encoded into memory of its own', () => {
    const first = encodeCbor([1, 2]);
    encodeCbor([3, 4]);
    expect(hex(first)).toBe('820102');
  });

  test.each<[string, unknown]>([
    ['a fraction', 1.5],
    ['not a number', NaN],
    ['a number that is not exact', 2 ** 53],
    ['half of a surrogate pair', '\ud800'],
    ['half of a surrogate pair as a key', { '\udc00': 1 }],
    ['more than 64 bits', 1n << 64n],
    ['less than 64 bits', -(1n << 64n) - 1n],
    ['nothing at all', undefined],
    ['a field without a value', { a: undefined }],
    ['a function', () => 1],
  ])('that would come back as another is a bug: %s', (_, value) => {
    expect(() => encodeCbor(value as CborValue)).toThrow(RangeError);
  });
});

describe('refused', () => {
  test.each<[string, string, string]>([
    ['nothing', '', 'WIRE_SHORT'],
    ['a head without its argument', '19ff', 'WIRE_SHORT'],
    ['a string that ends early', '43ffff', 'WIRE_SHORT'],
    ['an array that ends early', '8201', 'WIRE_SHORT'],
    ['a map without its last value', 'a16161', 'WIRE_SHORT'],
    ['a count of 2^64 − 1', '9bffffffffffffffff', 'WIRE_SHORT'],
    ['a string of 2^64 − 1 bytes', '5bffffffffffffffff', 'WIRE_SHORT'],
    ['a map of 2^63 pairs', 'bb8000000000000000', 'WIRE_SHORT'],
    ['two items', '0000', 'WIRE_TRAILING'],
    ['an integer in more bytes than it needs', '1817', 'WIRE_MALFORMED'],
    ['an integer in 2 bytes that needs 1', '1900ff', 'WIRE_MALFORMED'],
    ['an integer in 4 bytes that needs 2', '1a0000ffff', 'WIRE_MALFORMED'],
    ['an integer in 8 bytes that needs 4', '1b00000000ffffffff', 'WIRE_MALFORMED'],
    ['a length in more bytes than it needs', '580100', 'WIRE_MALFORMED'],
    ['a reserved head', '1c', 'WIRE_MALFORMED'],
    ['an indefinite string', '5f4101ff', 'WIRE_MALFORMED'],
    ['an indefinite array', '9f01ff', 'WIRE_MALFORMED'],
    ['an indefinite map', 'bf616101ff', 'WIRE_MALFORMED'],
    ['a break', 'ff', 'WIRE_MALFORMED'],
    ['a tag', 'c000', 'WIRE_MALFORMED'],
    ['a float that is an integer', 'f93c00', 'WIRE_MALFORMED'],
    ['a float', 'fb3ff8000000000000', 'WIRE_MALFORMED'],
    ['undefined', 'f7', 'WIRE_MALFORMED'],
    ['a simple value', 'f820', 'WIRE_MALFORMED'],
    ['an integer key', 'a10101', 'WIRE_MALFORMED'],
    ['a key twice', 'a2616101616102', 'WIRE_MALFORMED'],
    ['keys out of order', 'a2616201616102', 'WIRE_MALFORMED'],
    ['a long key before a short one', 'a262616101616202', 'WIRE_MALFORMED'],
    ['bytes that are no UTF-8', '62c328', 'WIRE_MALFORMED'],
    ['an overlong form of UTF-8', '62c080', 'WIRE_MALFORMED'],
    ['a surrogate in UTF-8', '63eda080', 'WIRE_MALFORMED'],
  ])('%s', (_, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  test.each<[string, string, Partial<typeof MESSAGE_LIMITS>]>([
    ['more bytes', '8100', { maxBytes: 1 }],
    ['more levels', '818100', { maxDepth: 1 }],
    ['more items', '820000', { maxItems: 2 }],
  ])('%s than allowed', (_, text, limits) => {
    expect(codeOf(text, { ...MESSAGE_LIMITS, ...limits })).toBe('WIRE_LIMIT');
  });

  test('nothing that is just within the limits', () => {
    expect(codeOf('818100', { maxBytes: 3, maxDepth: 2, maxItems: 3 })).toBe('[[0]]');
    expect(codeOf('8180', { maxBytes: 2, maxDepth: 1, maxItems: 2 })).toBe('[[]]');
  });

  test('levels without end, before they fill the stack', () => {
    const deep = Buffer.alloc(200_000, 0x81);
    expect(() => decodeCbor(deep, { maxBytes: 300_000, maxDepth: 100, maxItems: 300_000 })).toThrow(/deeper than 100/);
  });
});

test('random bytes are read or refused, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(Object.keys(outcomeOf(() => decodeCbor(bytes)))).toHaveLength(1);
    }),
    { numRuns: 5000 },
  );
});

test('what is read is encoded to the same bytes again: there is one encoding of each value', () => {
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0x60, 0x61, 0xa1, 0xa2, 0x81, 0x82, 0x18, 0xf6),
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 12 }), (list) => {
      const bytes = Buffer.from(list);
      const { value } = outcomeOf(() => decodeCbor(bytes));
      expect(value === undefined ? bytes : encodeCbor(value as CborValue)).toEqual(bytes);
    }),
    { numRuns: 5000 },
  );
});

const READ_ELSEWHERE: ReadonlySet<Liberty> = new Set(['wider head', 'float', 'keys turned round'] as const);

test.each(LIBERTIES)('no value is read in another form than its own, wherever it stands: %s', (liberty) => {
  let taken = 0;
  fc.assert(
    fc.property(tree, (value) => {
      const bytes = sloppily(value, liberty);
      if (bytes === null) return;
      taken++;
      const key = Buffer.from([0xa1, 0x61, 0x61]);
      for (const before of [Buffer.alloc(0), Buffer.from([0x81]), Buffer.from([0x82, 0x00]), key]) {
        const inside = Buffer.concat([before, bytes]);
        // Well-formed it is: who is less strict would read it, and throw here otherwise.
        if (READ_ELSEWHERE.has(liberty)) decodeElsewhere(inside);
        expect(outcomeOf(() => decodeCbor(inside))).toEqual({ refused: true });
      }
    }),
    { numRuns: 500 },
  );
  expect(taken).toBeGreaterThan(20);
});

test('another encoder writes the same', () => {
  fc.assert(
    fc.property(tree, (value) => {
      expect(hex(encodeCbor(value))).toBe(hex(encodeElsewhere(value)));
    }),
  );
});

test('another decoder reads the same', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const plain = (one: unknown): string =>
        JSON.stringify(one, (_, field: unknown) => {
          if (field instanceof Map) return Object.fromEntries(field as Map<string, unknown>);
          return typeof field === 'bigint' ? `${field}` : field;
        });
      const bytes = encodeCbor(value);
      expect(plain(decodeCbor(bytes))).toBe(plain(decodeAnyCbor(bytes)));
    }),
  );
});
