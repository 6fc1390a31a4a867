// JSON from outside: what two readers could read differently is refused, with the place where it is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JSON_LIMITS, parseJsonStrict } from '../../src/bytes/json-strict.ts';
import { WireError } from '../../src/errors.ts';
import { outcomeOf } from '../support/wire-outcome.ts';

const read = (text: string): unknown => parseJsonStrict(Buffer.from(text, 'utf8'));

describe('accepted', () => {
  test('is every value that JSON has', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
        // −0 has no JSON form of its own.
        const text = JSON.stringify(value);
        fc.pre(text.isWellFormed());
        expect(read(text)).toEqual(JSON.parse(text));
        expect(parseJsonStrict(Buffer.from(JSON.stringify(value, null, '\t ')))).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each([
    '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
    '{"a":"a","b":"a:"}',
    '[" \\"a\\": "]',
    '{"a" \t\r\n: 1}',
    '"\\u00e4\\n\\ud83d\\ude00"',
  ])('is %s, where a name is there twice but no key', (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });
});

describe('refused', () => {
  test.each([
    ['a key twice', '{"a":1,"a":1}'],
    ['a key twice in two spellings', '{"a":1,"\\u0061":2}'],
    ['a key twice further down', '[{"b":{"a":1,"c":[],"a":2}}]'],
    ['a key twice with space before the colon', '{"a" :1,"a"\n:2}'],
    ['half of a surrogate pair', '"\\ud800"'],
    ['half of a surrogate pair in a key', '{"\\udc00":1}'],
    ['a bad escape', '"\\x"'],
    ['an escape without digits', '"\\u12g4"'],
    ['a string without end', '"abc'],
    ['an escape at the end', '"\\'],
    ['nothing', ''],
    ['two values', '1 2'],
    ['a comma too many', '[1,]'],
    ['brackets that do not fit', '[}'],
    ['a closing bracket alone', ']'],
    ['a comment', '/**/1'],
    ['a byte order mark', '\ufeff1'],
    ['a number with a leading zero', '01'],
    ['NaN', 'NaN'],
    ['a control character in a string', '"\u0001"'],
  ])('is %s', (_, text) => {
    expect(() => read(text)).toThrow(WireError);
  });

  test('is what is no UTF-8', () => {
    expect(() => parseJsonStrict(Buffer.from([0x22, 0xff, 0x22]))).toThrow(/UTF-8/);
  });

  test('is more than the limits allow', () => {
    expect(() => parseJsonStrict(Buffer.from('[[1]]'), { ...JSON_LIMITS, maxDepth: 1 })).toThrow(/deeper than 1/);
    expect(() => parseJsonStrict(Buffer.from('[[1]]'), { ...JSON_LIMITS, maxBytes: 4 })).toThrow(/at most 4/);
    expect(() => read('['.repeat(100_000))).toThrow(/deeper than 32/);
  });
});

test('random text is read as JSON.parse reads it, or refused', () => {
  const token = fc.constantFrom('{', '}', '[', ']', ':', ',', '"', '"a"', '"b":', '\\', '\\u', '1', 'null', ' ');
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
      const { value, refused } = outcomeOf(() => read(tokens.join('')));
      expect(refused === true ? undefined : value).toEqual(refused === true ? undefined : JSON.parse(tokens.join('')));
    }),
    { numRuns: 3000 },
  );
});
