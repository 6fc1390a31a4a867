// The border from unknown to declared: lengths, alphabets and ranges hold, and all faults are named at once.
import { describe, expect, test } from 'vitest';
import { byteString, hexString, name, parseFile, parseShape, text, uint, v } from '../../src/bytes/shape.ts';
import type { Shape } from '../../src/bytes/shape.ts';
import { TouchstoneError, WireError } from '../../src/errors.ts';

const takes = (shape: Shape<unknown>, value: unknown): boolean => v.is(shape, value);

test.each<[string, Shape<unknown>, readonly unknown[], readonly unknown[]]>([
  [
    'bytes of one length',
    byteString(2),
    [Buffer.alloc(2), new Uint8Array(2)],
    [new Uint8Array(1), new Uint8Array(3), 'ab', null],
  ],
  ['bytes up to a length', byteString({ max: 2 }), [new Uint8Array(0), new Uint8Array(2)], [new Uint8Array(3), [1]]],
  ['an integer', uint(), [0, Number.MAX_SAFE_INTEGER], [-1, 0.5, 2 ** 53, NaN, Infinity, 1n, '1']],
  ['an integer up to a limit', uint(5), [0, 5], [6]],
  [
    'text',
    text(3),
    ['a', 'äöü', '\u{1f600}a'],
    ['', 'abcd', '\n', '\u0000', '\u009b', '\u{1f600}\u{1f600}', '\ud800', 1],
  ],
  ['hex', hexString(2), ['00ff'], ['00FF', '00f', '00ff0', '0x00', 1]],
  ['a name', name, ['a', '0-a', 'a'.repeat(63)], ['', '-a', 'A', 'a_b', 'a'.repeat(64), 'ä', 'a\n']],
])('%s', (_, shape, good, bad) => {
  expect(good.filter((value) => !takes(shape, value))).toEqual([]);
  expect(bad.filter((value) => takes(shape, value))).toEqual([]);
});

describe('what does not fit', () => {
  const shape = v.object({ a: uint(), b: v.array(hexString(1)) });

  test('from outside is a WireError that names every fault and the first field', () => {
    const error = (() => {
      try {
        return parseShape(shape, { a: -1, b: ['00', 'x'] }, 'message');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(WireError);
    expect(error).toMatchObject({ code: 'WIRE_MALFORMED', field: 'message.a' });
    expect(String(error)).toMatch(/a: .*; b\.1: must be 2 lower-case hex digits/);
  });

  test('as a whole has no field', () => {
    expect(() => parseShape(shape, 1, 'message')).toThrow(/^message\. at byte 0: value: /);
  });

  test('in a file is an error with the code asked for and the file’s name', () => {
    const parse = (): unknown => parseFile(shape, { a: 1 }, 'x.json', 'CONFIG_INVALID');
    expect(parse).toThrow(TouchstoneError);
    expect(parse).toThrow(/^x\.json: b: /);
    expect(parseFile(shape, { a: 1, b: [] }, 'x.json', 'CONFIG_INVALID')).toEqual({ a: 1, b: [] });
  });

  test('is named eight times at most', () => {
    const many = { a: 1, b: Array.from({ length: 20 }, () => 'x') };
    expect(() => parseShape(shape, many, 'm')).toThrow(/^(?:[^;]*;){7}[^;]*$/);
  });

  test('says what length was wrong', () => {
    expect(() => parseShape(byteString(2), new Uint8Array(3), 'm')).toThrow(/3 bytes, must be 2/);
    expect(() => parseShape(byteString({ max: 2 }), new Uint8Array(3), 'm')).toThrow(/3 bytes, must be at most 2/);
  });
});
