// Declared big-endian structures: they come back as they were, and every byte too few or too many is found with its field.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  constant,
  decode,
  encode,
  fixed,
  list,
  Reader,
  sized,
  sizedOf,
  struct,
  u16,
  u32,
  u64,
  u8,
  Writer,
} from '../../src/bytes/wire.ts';
import { WireError } from '../../src/errors.ts';
import { outcomeOf } from '../support/wire-outcome.ts';

interface Inner {
  readonly tag: number;
  readonly body: Buffer;
}
interface Outer {
  readonly kind: number;
  readonly big: bigint;
  readonly four: Buffer;
  readonly text: Buffer;
  readonly inner: Inner;
  readonly all: number[];
}

const inner = struct<Inner>('INNER', { tag: constant(u16, 0x8018), body: sized(8) });
const outer = struct<Outer>('OUTER', {
  kind: u8,
  big: u64,
  four: fixed(4),
  text: sized(10),
  inner: sizedOf(inner),
  all: list(u32, 3),
});
const value: Outer = {
  kind: 7,
  big: (1n << 64n) - 1n,
  four: Buffer.from([1, 2, 3, 4]),
  text: Buffer.from('ab'),
  inner: { tag: 0x8018, body: Buffer.from([9]) },
  all: [1, 0xffffffff],
};
const HEX = '07ffffffffffffffff0102030400026162000580180001090000000200000001ffffffff';

const refusalOf = (bytes: Uint8Array): WireError => {
  try {
    decode(outer, bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
  }
  throw new TypeError('not refused');
};

describe('a structure', () => {
  test('is written and read', () => {
    expect(encode(outer, value).toString('hex')).toBe(HEX);
    expect(decode(outer, Buffer.from(HEX, 'hex'))).toEqual(value);
  });

  test('comes back as it was', () => {
    const sample = (max: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes));
    const arbitrary = fc.record({
      kind: fc.nat(255),
      big: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      four: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
      text: sample(10),
      inner: sample(8).map((body) => ({ tag: 0x8018, body })),
      all: fc.array(fc.nat(0xffffffff), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(arbitrary, (one) => {
        expect(decode(outer, encode(outer, one))).toEqual(one);
      }),
    );
  });

  test('does not share memory with its bytes', () => {
    const bytes = Buffer.from(HEX, 'hex');
    const read = decode(outer, bytes);
    bytes.fill(0);
    expect(read).toEqual(value);
  });

  test('cut off anywhere is refused', () => {
    const bytes = Buffer.from(HEX, 'hex');
    for (let end = 0; end < bytes.length; end++) expect(refusalOf(bytes.subarray(0, end)).code).toBe('WIRE_SHORT');
  });

  test.each<[string, string, string, string, number]>([
    ['bytes left over', `${HEX}00`, 'WIRE_TRAILING', '', 36],
    ['a size beyond its limit', HEX.replace('00026162', '000b6162'), 'WIRE_LIMIT', 'OUTER.text', 15],
    ['a list beyond its limit', HEX.replace('00000002', '00000004'), 'WIRE_LIMIT', 'OUTER.all', 28],
    ['another constant', HEX.replace('8018', '8017'), 'WIRE_RANGE', 'OUTER.inner.tag', 21],
    ['bytes left over inside', HEX.replace('00058018000109', '0006801800010909'), 'WIRE_TRAILING', 'OUTER.inner', 24],
  ])('with %s is refused, with field and offset', (_, hex, code, field, offset) => {
    const error = refusalOf(Buffer.from(hex, 'hex'));
    expect({ code: error.code, field: error.field, offset: error.offset }).toEqual({ code, field, offset });
  });

  test('names the entry of a list', () => {
    expect(() => decode(list(sized(1), 2), Buffer.from('00000002000100ffff', 'hex'), 'L')).toThrow(/^L\[1\] at byte 9/);
  });

  test('of random bytes is read or refused, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(Object.keys(outcomeOf(() => decode(outer, bytes)))).toHaveLength(1);
      }),
    );
  });
});

describe('writing a value outside of its field is a bug', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['too large', () => encode(u8, 256), /^value: 256 does not fit in 1 bytes/],
    ['negative', () => encode(u16, -1), /does not fit/],
    ['a fraction', () => encode(u32, 0.5), /does not fit/],
    ['64 bits too large', () => encode(u64, 1n << 64n), /8 bytes/],
    ['64 bits negative', () => encode(u64, -1n), /8 bytes/],
    ['of another length', () => encode(fixed(2), Buffer.alloc(3)), /3 bytes where 2 belong/],
    ['longer than allowed', () => encode(sized(2), Buffer.alloc(3)), /at most 2/],
    ['too many', () => encode(list(u8, 1), [1, 2]), /at most 1/],
    ['another constant', () => encode(constant(u8, 1), 2), /must be 1/],
    ['in a structure', () => encode(outer, { ...value, inner: { ...value.inner, tag: 1 } }), /^INNER\.tag: is 1/],
  ])('%s', (_, write, message) => {
    expect(write).toThrow(RangeError);
    expect(write).toThrow(message);
  });

  test('names the field', () => {
    const to = new Writer();
    to.path = 'a.b';
    expect(() => to.fail('x')).toThrow('a.b: x');
  });
});

test('a structure directly inside another is written and read under the name of its field', () => {
  const nested = struct<{ readonly part: Inner }>('NESTED', { part: inner });
  const bytes = encode(nested, { part: value.inner });
  expect(decode(nested, bytes)).toEqual({ part: value.inner });
  expect(() => encode(nested, { part: { ...value.inner, tag: 1 } })).toThrow(/^NESTED\.part\.tag: is 1/);
});

test('a reader within another gives offsets of the whole', () => {
  const from = new Reader(Buffer.from([0, 1, 2, 3]), 'x');
  from.uint(1);
  const part = from.within(2);
  part.uint(1);
  expect([part.offset, part.left, from.offset, from.rest()]).toEqual([2, 1, 3, Buffer.from([3])]);
  expect(() => {
    part.end();
  }).toThrow(/x at byte 2: 1 bytes left over/);
  from.end();
});

test('a structure inside another is named by its field, and alone by its type', () => {
  expect(() => decode(inner, Buffer.from('8017', 'hex'))).toThrow(/^INNER\.tag/);
  expect(() => decode(inner, Buffer.from('8017', 'hex'), 'here')).toThrow(/^here\.tag/);
});
