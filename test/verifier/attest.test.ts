// The verifier's own reading of quotes and signatures: the same as the full TPM codec, for every length, and refused elsewhere.
import { createSecretKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { decode } from '../../src/bytes/wire.ts';
import { KeyThreads } from '../../src/crypto/key-threads.ts';
import { WireError } from '../../src/errors.ts';
import { TpmsAttest } from '../../src/tpm/wire/attest.ts';
import {
  readAttestHeader,
  readQuoteInfo,
  readSignature,
  SignatureAnswer,
  weakness,
} from '../../src/verifier/attest.ts';
import type { TpmSignature } from '../../src/verifier/attest.ts';
import { outcomeOf } from '../support/wire-outcome.ts';
import { encodeAttest } from './attest-builder.ts';
import type { AttestFields } from './attest-builder.ts';

const bytes = (length: number): Buffer => Buffer.alloc(length, length);
const usual: AttestFields = {
  magic: 0xff544347,
  type: 0x8018,
  qualifiedSigner: bytes(34),
  extraData: bytes(32),
  clock: (1n << 64n) - 2n,
  resetCount: 0xffffffff,
  restartCount: 1,
  safe: 1,
  banks: [{ alg: 0x0b, pcrs: [0, 7, 8, 23] }],
  pcrDigest: bytes(32),
};

describe('an attestation', () => {
  test.each<[string, Partial<AttestFields>]>([
    ['of the usual lengths', {}],
    ['by a key with a SHA-384 name', { qualifiedSigner: bytes(50), extraData: bytes(48) }],
    ['with the longest name and data', { qualifiedSigner: bytes(66), extraData: bytes(66) }],
    ['with neither', { qualifiedSigner: bytes(0), extraData: bytes(0) }],
    ['with a usual name and other data', { extraData: bytes(20) }],
    ['with an unsafe clock', { safe: 0 }],
    [
      'with several banks',
      {
        banks: [
          { alg: 0x04, pcrs: [] },
          { alg: 0x0b, pcrs: [16] },
        ],
      },
    ],
    ['with no bank', { banks: [] }],
  ])('%s is read as the full codec reads it', (_, change) => {
    const attest = encodeAttest({ ...usual, ...change });
    const header = readAttestHeader(attest);
    const full = decode(TpmsAttest, attest);
    expect(header).toMatchObject({ magic: 0xff544347, type: 0x8018, ...full.clockInfo });
    expect([header.qualifiedSigner, header.extraData]).toEqual([full.qualifiedSigner, full.extraData]);
    if (full.attested.type !== 'quote') throw new TypeError('a quote was encoded');
    expect(readQuoteInfo(header.attested)).toEqual({
      selection: full.attested.quote.pcrSelect.map(({ hash, pcrs }) => ({ bank: hash, pcrs })),
      pcrDigest: full.attested.quote.pcrDigest,
    });
  });

  test('cut off anywhere is refused', () => {
    for (const change of [{}, { qualifiedSigner: bytes(50) }]) {
      const attest = encodeAttest({ ...usual, ...change });
      for (let end = 0; end < attest.length; end++) {
        const part = attest.subarray(0, end);
        expect(outcomeOf(() => readQuoteInfo(readAttestHeader(part).attested))).toEqual({ refused: true });
      }
    }
  });

  test.each<[string, Buffer]>([
    ['safe beyond yes and no', encodeAttest({ ...usual, safe: 2 })],
    ['a name that is too long', encodeAttest({ ...usual, qualifiedSigner: bytes(67) })],
    ['data that is too long', encodeAttest({ ...usual, extraData: bytes(67) })],
  ])('with %s is refused', (_, attest) => {
    expect(() => readAttestHeader(attest)).toThrow(WireError);
  });

  test.each<[string, Partial<AttestFields>]>([
    ['17 banks', { banks: Array.from({ length: 17 }, () => ({ alg: 0x0b, pcrs: [] })) }],
    ['a digest that is too long', { pcrDigest: bytes(65) }],
  ])('of a quote with %s is refused', (_, change) => {
    expect(() => readQuoteInfo(readAttestHeader(encodeAttest({ ...usual, ...change })).attested)).toThrow(WireError);
  });

  test('of a quote with bytes left over, or bitmaps of another size, is refused', () => {
    const { attested } = readAttestHeader(encodeAttest(usual));
    expect(() => readQuoteInfo(Buffer.concat([attested, Buffer.from([0])]))).toThrow(/left over/);
    for (const size of [0, 2, 4]) {
      const other = Buffer.from(attested);
      other[6] = size;
      expect(() => readQuoteInfo(other)).toThrow(/sizeofSelect/);
    }
  });
});

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const data = Buffer.from('attest');
const ecdsa = (r: Uint8Array, s: Uint8Array, head = '0018000b'): Buffer => {
  const sized = (part: Uint8Array): Buffer => Buffer.concat([Buffer.from([part.length >> 8, part.length & 255]), part]);
  return Buffer.concat([Buffer.from(head, 'hex'), sized(r), sized(s)]);
};

const keys = new KeyThreads({ threads: 1 });
afterAll(async () => keys[Symbol.asyncDispose]());

/** What the key says of it, here and on another thread: the same. */
async function isSignedBy(key: KeyObject, attest: Uint8Array, signature: TpmSignature): Promise<boolean> {
  const here = SignatureAnswer.of(key, attest, signature).affirms(key, attest, signature);
  const there = await SignatureAnswer.by(keys.verify, key, attest, signature);
  expect(there.affirms(key, attest, signature)).toBe(here);
  return here;
}

const halves = (raw: Buffer): [Buffer, Buffer] => [raw.subarray(0, 32), raw.subarray(32)];

describe('a signature', () => {
  test('verifies with any number of zeros before r and s, and with none', async () => {
    const strip = (part: Buffer): Buffer => part.subarray(part.findIndex((byte) => byte !== 0));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4 }), fc.nat(34), async (message, zeros) => {
        const raw = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
        const [r, s] = [raw.subarray(0, 32), raw.subarray(32)];
        const padded = Buffer.concat([Buffer.alloc(zeros), r]);
        for (const one of [ecdsa(r, s), ecdsa(padded, s), ecdsa(strip(r), strip(s))]) {
          expect(await isSignedBy(publicKey, message, readSignature(one))).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    [0, 0],
    [1, 66],
    [66, 66],
    [31, 0],
  ])('with r of %i and s of %i bytes becomes DER that says "not valid"', (r, s) => {
    const { bytes: der } = readSignature(ecdsa(Buffer.alloc(r, 0xff), Buffer.alloc(s, 0xff)));
    expect(verify('sha256', data, publicKey, der)).toBe(false);
  });

  test('by a P-521 key needs the long form of DER, and verifies', async () => {
    const big = generateKeyPairSync('ec', { namedCurve: 'P-521' });
    const raw = sign('sha512', data, { key: big.privateKey, dsaEncoding: 'ieee-p1363' });
    const read = readSignature(ecdsa(raw.subarray(0, 66), raw.subarray(66), '0018000d'));
    expect(await isSignedBy(big.publicKey, data, read)).toBe(true);
  });

  test.each<[string, Buffer]>([
    ['of another scheme', Buffer.from('001a000b00010100', 'hex')],
    ['with r of 67 bytes', ecdsa(Buffer.alloc(67), Buffer.alloc(32))],
    ['with bytes left over', Buffer.concat([ecdsa(Buffer.alloc(32), Buffer.alloc(32)), Buffer.from([0])])],
    ['RSASSA of 513 bytes', Buffer.concat([Buffer.from('0014000b0201', 'hex'), Buffer.alloc(513)])],
    ['RSASSA with bytes left over', Buffer.from('0014000b00010100', 'hex')],
    ['cut off', Buffer.from('0018', 'hex')],
  ])('%s is refused', (_, signature) => {
    expect(() => readSignature(signature)).toThrow(WireError);
  });

  test('by an unknown hash, or under a key of another kind, is by nobody', async () => {
    const raw = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const read = readSignature(ecdsa(raw.subarray(0, 32), raw.subarray(32)));
    expect(await isSignedBy(publicKey, data, { ...read, hash: 0x12 })).toBe(false);
    expect(await isSignedBy(publicKey, data, { ...read, scheme: 0x14 })).toBe(false);
    expect(await isSignedBy(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey, data, read)).toBe(false);
  });

  test('is affirmed only to who asks about that key, those bytes and that signature', async () => {
    const read = readSignature(ecdsa(...halves(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }))));
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    for (const answer of [
      SignatureAnswer.of(publicKey, data, read),
      await SignatureAnswer.by(keys.verify, publicKey, data, read),
    ]) {
      expect(answer.affirms(publicKey, data, read)).toBe(true);
      expect(answer.affirms(other, data, read)).toBe(false);
      expect(answer.affirms(publicKey, Buffer.from(data), read)).toBe(false);
      expect(answer.affirms(publicKey, data, { ...read })).toBe(false);
    }
  });

  test('that makes node:crypto throw is by nobody', async () => {
    const odd = new Proxy(publicKey, {
      get: (key, field) => (field === 'asymmetricKeyType' ? 'ec' : (Reflect.get(key, field) as unknown)),
    });
    const signature = { scheme: 0x18, hash: 0x0b, bytes: Buffer.alloc(8) };
    expect(SignatureAnswer.of(odd, data, signature).affirms(odd, data, signature)).toBe(false);
  });
});

describe('weakness', () => {
  const of = (hash: number): Parameters<typeof weakness>[1] => ({ scheme: 0x18, hash, bytes: Buffer.alloc(0) });
  const named = (namedCurve: string): ReturnType<typeof weakness> =>
    weakness(generateKeyPairSync('ec', { namedCurve }).publicKey, of(0x0b));

  test('is none of strong curves and hashes', () => {
    expect(['P-256', 'P-384', 'P-521'].map(named)).toEqual([null, null, null]);
    expect([0x0b, 0x0c, 0x0d].map((hash) => weakness(publicKey, of(hash)))).toEqual([null, null, null]);
    expect(weakness(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey, of(0x0b))).toBeNull();
  });

  test('is named', () => {
    expect(weakness(publicKey, of(0x04))).toBe('sha1');
    expect(weakness(publicKey, of(0x99))).toBe('hash 0x99');
    expect(named('secp256k1')).toBe('curve secp256k1');
    expect(weakness(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey, of(0x0b))).toBe('rsa 1024');
    expect(weakness(generateKeyPairSync('ed25519').publicKey, of(0x0b))).toBe('ed25519 0');
    expect(weakness(createSecretKey(Buffer.alloc(32)), of(0x0b))).toBe('unknown 0');
    // A curve given by its parameters has no name.
    expect(weakness({ asymmetricKeyType: 'ec' } as KeyObject, of(0x0b))).toBe('curve unknown');
  });
});
