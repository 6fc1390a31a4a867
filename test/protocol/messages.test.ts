// What every message keeps to: one version, critical fields, one encoding, bounded size; whatever else arrives is a WireError.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { WireError } from '../../src/errors.ts';
import { decodeClaims, encodeClaims } from '../../src/evidence/claims-codec.ts';
import { assertCritical, fieldsOf } from '../../src/evidence/message.ts';
import { v } from '../../src/bytes/shape.ts';
import { readChallenge, sealChallenge } from '../../src/protocol/challenge.ts';
import * as codec from '../../src/protocol/codec.ts';
import { arbitraryMutation } from '../support/arbitrary-messages.ts';
import { mutated, outcomeOf } from '../support/wire-outcome.ts';
import { challengeKey } from '../verifier/evidence-builder.ts';
import { cborVector } from '../vectors/vectors.ts';

type Fields = Readonly<Record<string, CborValue>>;

interface Message {
  readonly kind: string;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly encode: (value: never) => Uint8Array;
}

const MAC = Buffer.alloc(32);

const kinds: readonly Message[] = [
  {
    kind: 'challenge',
    decode: (bytes) => readChallenge(Buffer.concat([bytes, MAC])),
    encode: (value) => sealChallenge(value, challengeKey),
  },
  { kind: 'claims', decode: decodeClaims, encode: encodeClaims },
  { kind: 'evidence', decode: codec.decodeEvidence, encode: codec.encodeEvidence },
  { kind: 'log-part', decode: codec.decodeLogPart, encode: codec.encodeLogPart },
  { kind: 'enrol-request', decode: codec.decodeEnrolRequest, encode: codec.encodeEnrolRequest },
  { kind: 'enrol-credential', decode: codec.decodeEnrolCredential, encode: codec.encodeEnrolCredential },
  { kind: 'enrol-proof', decode: codec.decodeEnrolProof, encode: codec.encodeEnrolProof },
  { kind: 'enrol-outcome', decode: codec.decodeEnrolOutcome, encode: codec.encodeEnrolOutcome },
  { kind: 'certificate-message', decode: codec.decodeCertificateMessage, encode: codec.encodeCertificateMessage },
  { kind: 'status-hint', decode: codec.decodeStatusHint, encode: codec.encodeStatusHint },
];

/** A map with these encoded keys and values in this very order. */
const rawMap = (entries: readonly (readonly [string, CborValue])[]): Buffer =>
  Buffer.concat([
    Buffer.from([0xa0 + entries.length]),
    ...entries.flatMap(([key, value]) => [encodeCbor(key), encodeCbor(value)]),
  ]);

describe.each(kinds)('$kind', ({ kind, decode, encode }) => {
  const value = cborVector(kind).value as Fields;
  const bytes = encodeCbor(value);
  const refused = (changed: Uint8Array): boolean => outcomeOf(() => decode(changed)).refused === true;
  const reread = (fields: Fields): unknown => outcomeOf(() => decode(encodeCbor(fields))).value;

  test('of another version, or of none, is refused', () => {
    const { v: _, ...none } = value;
    for (const other of [0, 2, '1', null, true, -1]) expect(refused(encodeCbor({ ...value, v: other }))).toBe(true);
    expect(refused(encodeCbor(none))).toBe(true);
  });

  test('with an unknown critical field is refused', () => {
    expect(refused(encodeCbor({ ...value, crit: ['tomorrow'], tomorrow: 1 }))).toBe(true);
    expect(refused(encodeCbor({ ...value, crit: ['v', 'tomorrow'] }))).toBe(true);
  });

  test('with known critical fields is read', () => {
    expect(reread({ ...value, crit: Object.keys(value).slice(0, 16) })).toMatchObject(value);
  });

  test('with a malformed list of critical fields is refused', () => {
    const long = Array.from({ length: 17 }, () => 'v');
    for (const crit of ['v', null, [1], { v: 1 }, long, ['x'.repeat(65)]]) {
      expect(refused(encodeCbor({ ...value, crit }))).toBe(true);
    }
  });

  test('with an unknown field that is not critical is read without it', () => {
    expect(reread({ ...value, tomorrow: { a: [1, 'x'] } })).toEqual(value);
  });

  test('with a key twice is refused', () => {
    const entries = Object.entries(value);
    const [first] = entries;
    expect(refused(rawMap(first === undefined ? [] : [...entries, first]))).toBe(true);
    expect(refused(rawMap([['v', 1], ['v', 1], ...entries.filter(([key]) => key !== 'v')]))).toBe(true);
  });

  test('that is not in its deterministic form is refused', () => {
    const sorted = Object.entries(value).toSorted(([a], [b]) => a.length - b.length || (a < b ? -1 : 1));
    const float = Buffer.from(bytes.toString('hex').replace('617601', '6176f93c00'), 'hex');
    const longer = Buffer.from(bytes.toString('hex').replace('617601', '61761801'), 'hex');
    const indefinite = Buffer.concat([Buffer.from([0xbf]), bytes.subarray(1), Buffer.from([0xff])]);
    expect(rawMap(sorted)).toEqual(bytes);
    expect(float).not.toEqual(bytes);
    for (const form of [rawMap(sorted.toReversed()), float, longer, indefinite]) expect(refused(form)).toBe(true);
  });

  test('cut off anywhere, or with bytes left over, is refused', () => {
    for (let end = 0; end < bytes.length; end++) expect(refused(bytes.subarray(0, end))).toBe(true);
    expect(refused(Buffer.concat([bytes, Buffer.from([0])]))).toBe(true);
    expect(refused(Buffer.concat([bytes, bytes]))).toBe(true);
  });

  test('larger than a message may be is refused unread', () => {
    expect(refused(encodeCbor({ ...value, tomorrow: Buffer.alloc(256 * 1024) }))).toBe(true);
    expect(reread({ ...value, tomorrow: Buffer.alloc(200 * 1024) })).toEqual(value);
  });

  test('with more items or levels than a message may have is refused', () => {
    const deep = Array.from({ length: 16 }).reduce<CborValue>((inner) => [inner], 0);
    expect(refused(encodeCbor({ ...value, tomorrow: Array.from({ length: 65_536 }, () => 0) }))).toBe(true);
    expect(refused(encodeCbor({ ...value, tomorrow: deep }))).toBe(true);
  });

  test('that is damaged is refused or read, and nothing else', () => {
    fc.assert(
      fc.property(arbitraryMutation, (how) => {
        expect(Object.keys(outcomeOf(() => decode(mutated(bytes, how))))).toHaveLength(1);
      }),
      { numRuns: 500 },
    );
  });

  test('is not written outside of its shape', () => {
    expect(() => encode({ ...value, v: 2 } as never)).toThrow(TypeError);
    expect(() => encode({} as never)).toThrow(TypeError);
  });
});

test('a challenge without room for its MAC is refused', () => {
  expect(() => readChallenge(Buffer.alloc(32))).toThrow(WireError);
});

test('only a shape with fields is a message', () => {
  expect(() => fieldsOf(v.string())).toThrow(TypeError);
});

test.each<[string, unknown]>([
  ['null', null],
  ['a number', 1],
  ['a map without crit', { v: 1 }],
])('%s names no critical fields', (_, value) => {
  expect(() => {
    assertCritical(value, [], 'x');
  }).not.toThrow();
});
