// The quick readers and the general way agree on every message and every damaged one: the same value, or both refuse.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { quickly } from '../../src/bytes/quick-cbor.ts';
import type { QuickCbor } from '../../src/bytes/quick-cbor.ts';
import { decodeEvent } from '../../src/cel/record.ts';
import { claimsShape } from '../../src/evidence/claims.ts';
import { decodeMessage } from '../../src/evidence/message.ts';
import { quickClaims } from '../../src/evidence/quick-claims.ts';
import { challengeShape, evidenceShape } from '../../src/protocol/messages.ts';
import { quickChallenge, quickEvidence } from '../../src/protocol/quick-messages.ts';
import { quickEvent } from '../../src/verifier/event-reader.ts';
import {
  arbitraryChallenge,
  arbitraryClaims,
  arbitraryEvent,
  arbitraryEvidence,
  arbitraryMutation,
} from '../support/arbitrary-messages.ts';
import { mutated, outcomeOf } from '../support/wire-outcome.ts';

interface Reader {
  readonly kind: string;
  readonly messages: Arbitrary<unknown>;
  readonly quick: (from: QuickCbor) => unknown;
  readonly general: (bytes: Uint8Array) => unknown;
}

const readers: readonly Reader[] = [
  {
    kind: 'challenge',
    messages: arbitraryChallenge,
    quick: quickChallenge,
    general: (bytes) => decodeMessage({ name: 'challenge', shape: challengeShape }, bytes),
  },
  {
    kind: 'claims',
    messages: arbitraryClaims,
    quick: quickClaims,
    general: (bytes) => decodeMessage({ name: 'claims', shape: claimsShape }, bytes),
  },
  {
    kind: 'evidence',
    messages: arbitraryEvidence,
    quick: quickEvidence,
    general: (bytes) => decodeMessage({ name: 'evidence', shape: evidenceShape }, bytes),
  },
  { kind: 'event', messages: arbitraryEvent, quick: quickEvent, general: decodeEvent },
];

/** Bytes with their memory told apart from what the reader shares with them. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, field: unknown) =>
      field instanceof Uint8Array ? { hex: Buffer.from(field).toString('hex') } : field,
    ),
  );

/** True when the quick way leaves these bytes to the general one, or reads of them what that reads. */
function agree({ quick, general }: Reader, bytes: Uint8Array): boolean {
  const read = quickly(bytes, quick);
  return read === undefined || isDeepStrictEqual(plain(read), plain(outcomeOf(() => general(bytes)).value));
}

describe.each(readers)('$kind', (reader) => {
  const { messages, quick, general } = reader;

  test('is read to the same value both ways, where the quick way reads it at all', () => {
    let hits = 0;
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = encodeCbor(message as CborValue);
        if (quickly(bytes, quick) !== undefined) hits++;
        expect(agree(reader, bytes)).toBe(true);
      }),
      { numRuns: 300 },
    );
    expect(hits).toBeGreaterThan(30);
  });

  test('is never read quickly when damaged in a way that the general reader refuses', () => {
    fc.assert(
      fc.property(messages, arbitraryMutation, arbitraryMutation, (message, first, second) => {
        const once = mutated(encodeCbor(message as CborValue), first);
        expect(agree(reader, once)).toBe(true);
        expect(agree(reader, mutated(once, second))).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  test('is refused at every byte where it is cut off', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = encodeCbor(message as CborValue);
        for (let end = 0; end < bytes.length; end++) {
          const part = bytes.subarray(0, end);
          expect(quickly(part, quick)).toBeUndefined();
          expect(outcomeOf(() => general(part))).toEqual({ refused: true });
        }
      }),
      { numRuns: 8 },
    );
  });

  test('of random bytes is refused by both without any other error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(quickly(bytes, quick)).toBeUndefined();
        expect(outcomeOf(() => general(bytes))).toEqual({ refused: true });
      }),
      { numRuns: 500 },
    );
  });
});
