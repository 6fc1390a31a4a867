// What binds a message to a quote: every bit of challenge, claims and log, and no way to shift bytes from one to another.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { enrolQualifyingData, floorQualifyingData, qualifyingData } from '../../src/evidence/binding.ts';
import { deviceId } from '../../src/evidence/device-id.ts';

const bytes = fc.uint8Array({ maxLength: 40 });
const text = (data: Uint8Array): string => Buffer.from(data).toString('hex');

test('qualifying data is the SHA-256 of the array that the grammar gives', () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, (challenge, claims, log) => {
      const bound = encodeCbor(['touchstone/evidence/1', sha256(challenge), sha256(claims), sha256(log)]);
      expect(qualifyingData(challenge, claims, log)).toEqual(sha256(bound));
      expect(qualifyingData(challenge, claims, { digest: sha256(log) })).toEqual(sha256(bound));
      expect(floorQualifyingData(challenge)).toEqual(sha256(encodeCbor(['touchstone/floors/1', sha256(challenge)])));
      expect(enrolQualifyingData(sha256(log))).toEqual(sha256(encodeCbor(['touchstone/enrol/1', sha256(log)])));
    }),
  );
});

test('bytes moved from one part to the next, or parts exchanged, bind something else', () => {
  const [a, b, c] = ['ab', 'c', ''].map((part) => Buffer.from(part)) as [Buffer, Buffer, Buffer];
  const all = [
    qualifyingData(a, b, c),
    qualifyingData(Buffer.from('a'), Buffer.from('bc'), c),
    qualifyingData(b, a, c),
    qualifyingData(a, c, b),
    enrolQualifyingData(sha256(a)),
    floorQualifyingData(a),
  ].map(text);
  expect(new Set(all).size).toBe(all.length);
});

describe('a device id', () => {
  const fleet = Buffer.alloc(16, 1);
  const ek = Buffer.alloc(34, 2);

  test('is 32 letters and digits that topics and paths may hold', () => {
    expect(deviceId(fleet, ek)).toMatch(/^[a-z2-7]{32}$/);
  });

  test('is another for another endorsement key or fleet', () => {
    const ids = [deviceId(fleet, ek), deviceId(Buffer.alloc(16), ek), deviceId(fleet, Buffer.alloc(34))];
    expect(new Set(ids).size).toBe(3);
  });
});
