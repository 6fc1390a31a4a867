// The quick reader alone: it reads exactly the form it was told, and whatever else comes is a miss, never a wrong value.
import { describe, expect, test } from 'vitest';
import { MESSAGE_LIMITS } from '../../src/bytes/cbor.ts';
import { choices, key, QuickCbor, quickly } from '../../src/bytes/quick-cbor.ts';

const read = <T>(hex: string, how: (from: QuickCbor) => T): T | undefined => quickly(Buffer.from(hex, 'hex'), how);
const WORDS = choices('on', 'off');

describe('reads', () => {
  test.each<[string, string, (from: QuickCbor) => unknown, unknown]>([
    ['an integer', '17', (from) => from.uint(), 23],
    ['an integer of 1 byte', '1818', (from) => from.uint(), 24],
    ['an integer of 2 bytes', '190100', (from) => from.uint(), 256],
    ['an integer of 4 bytes', '1a00010000', (from) => from.uint(), 65_536],
    ['an integer of 8 bytes', '1b0000000100000000', (from) => from.uint(), 4_294_967_296],
    ['the greatest integer', '1b001fffffffffffff', (from) => from.uint(), Number.MAX_SAFE_INTEGER],
    ['the version', '01', (from) => from.one(), 1],
    ['text', '626162', (from) => from.text(2), 'ab'],
    ['a name', '6361302d', (from) => from.name(), 'a0-'],
    ['a word', '636f6666', (from) => from.oneOf(WORDS), 'off'],
    ['nothing', 'f6', (from) => from.textOrNull(2), null],
    ['text where nothing may be', '6161', (from) => from.textOrNull(2), 'a'],
    ['no number', 'f6', (from) => from.uintOrNull(), null],
    ['no bytes', 'f6', (from) => from.bytesOrNull(2), null],
    ['a list', '820102', (from) => from.list(2, (item) => item.uint()), [1, 2]],
    ['a map', 'a1616101', (from) => (from.map(1), from.key(key('a')).uint()), 1],
    ['how large a map is', 'a0', (from) => from.mapSize(), 0],
  ])('%s', (_, hex, how, value) => {
    expect(read(hex, how)).toEqual(value);
  });

  test('bytes as a copy, and views that share memory', () => {
    const bytes = Buffer.from('420102', 'hex');
    const copy = quickly(bytes, (from) => from.bytes(2));
    const view = quickly(bytes, (from) => from.view(2));
    bytes[1] = 9;
    expect([copy, view]).toEqual([new Uint8Array([1, 2]), new Uint8Array([9, 2])]);
  });

  test('a part of its bytes', () => {
    const from = new QuickCbor(Buffer.from('ff01ff', 'hex'));
    expect(from.within(1, 2, (item) => item.uint())).toBe(1);
    expect(from.within(1, 3, (item) => item.uint())).toBeUndefined();
    expect(from.within(1, 4, (item) => item.uint())).toBeUndefined();
  });
});

describe('misses', () => {
  test.each<[string, string, (from: QuickCbor) => unknown]>([
    ['nothing', '', (from) => from.uint()],
    ['another type', '20', (from) => from.uint()],
    ['more than allowed', '06', (from) => from.uint(5)],
    ['a longer form of 1 byte', '1817', (from) => from.uint()],
    ['a longer form of 2 bytes', '1900ff', (from) => from.uint()],
    ['a longer form of 4 bytes', '1a0000ffff', (from) => from.uint()],
    ['a longer form of 8 bytes', '1b00000000ffffffff', (from) => from.uint()],
    ['more than is exact', '1b0020000000000000', (from) => from.uint()],
    ['a head cut off', '1901', (from) => from.uint()],
    ['an indefinite form', '1f', (from) => from.uint()],
    ['another version', '02', (from) => from.one()],
    ['bytes of another length', '4101', (from) => from.bytes(2)],
    ['bytes cut off', '4201', (from) => from.bytes(2)],
    ['a view that is too long', '420102', (from) => from.view(1)],
    ['empty text', '60', (from) => from.text(2)],
    ['text that is too long', '626162', (from) => from.text(1)],
    ['text beyond ASCII', '62c3bc', (from) => from.text(2)],
    ['a control character', '6107', (from) => from.text(2)],
    ['a name that begins with a hyphen', '622d61', (from) => from.name()],
    ['a name with a capital', '624161', (from) => from.name()],
    ['a name that is too long', `7840${'61'.repeat(64)}`, (from) => from.name()],
    ['another word', '626f66', (from) => from.oneOf(WORDS)],
    ['another key', 'a1616201', (from) => (from.map(1), from.key(key('a')).uint())],
    ['a key cut off', 'a1', (from) => (from.map(1), from.key(key('a')).uint())],
    ['more fields', 'a2', (from) => from.map(1)],
    ['a list that is too long', '820102', (from) => from.list(1, (item) => item.uint())],
    ['bytes left over', '0101', (from) => from.uint()],
  ])('%s', (_, hex, how) => {
    expect(read(hex, how)).toBeUndefined();
  });

  test('what is larger than a message', () => {
    expect(quickly(Buffer.alloc(MESSAGE_LIMITS.maxBytes + 1), (from) => from.uint())).toBeUndefined();
  });
});

test('a fault of the caller is no miss', () => {
  const fault = (): never => {
    throw new TypeError('fault');
  };
  expect(() => quickly(Buffer.from([0]), fault)).toThrow('fault');
});

test('names that need a longer head cannot be declared', () => {
  expect(() => key('a'.repeat(24))).toThrow(RangeError);
  expect(key('a'.repeat(23))).toHaveLength(24);
});
