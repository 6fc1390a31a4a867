// C13, weak banks, hashes and keys: SHA-1 counts for nothing, small keys sign nothing, and no rule can be told to take them.
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { hmacSha256 } from '../../src/crypto/digest.ts';
import { importPublicKey } from '../../src/crypto/ecdsa.ts';
import { openDeviceTpm } from '../../src/tpm/device-tpm.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { startSoftwareTpm } from '../support/software-tpm.ts';
import type { SoftwareTpm } from '../support/software-tpm.ts';
import { akPrivate, signAttest } from '../verifier/attest-builder.ts';
import { build, challengeKey, endorsement } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';
import { cborVector } from '../vectors/vectors.ts';

const found = (bend: Bend): readonly string[] => appraise(build(bend)).findings.map(({ rule }) => rule);

/** Evidence signed by `key`, which enrolment endorsed by mistake. */
function signedBy(publicKey: KeyObject, signature: (attest: Buffer) => Buffer): Bend {
  return { signature, input: (input) => ({ ...input, endorsement: { ...endorsement, akKey: publicKey } }) };
}

const rsaSignature =
  (key: KeyObject, alg = '000b', digest = 'sha256') =>
  (attest: Buffer): Buffer => {
    const bytes = sign(digest, attest, key);
    return Buffer.concat([
      Buffer.from(`0014${alg}`, 'hex'),
      Buffer.from([bytes.length >> 8, bytes.length & 255]),
      bytes,
    ]);
  };

describe('a quote', () => {
  test('hashed with SHA-1 is too weak, although its signature is valid', () => {
    expect(found({ signature: (attest) => signAttest(attest, akPrivate, 0x0004, 'sha1') })).toEqual([
      'algorithm-strength',
    ]);
  });

  test('hashed with something that nobody here knows is too weak', () => {
    expect(found({ signature: (attest) => signAttest(attest, akPrivate, 0x0012, 'sha256') })).toEqual([
      'algorithm-strength',
      'quote-signature',
    ]);
  });

  test.each(['secp224r1', 'secp192k1', 'secp256k1'])('by a key on %s is too weak', (namedCurve) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    expect(found(signedBy(publicKey, (attest) => signAttest(attest, privateKey)))).toEqual(['algorithm-strength']);
  });

  test('by an RSA key of 1024 bits is too weak, of 2048 it is not', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const strong = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(found(signedBy(weak.publicKey, rsaSignature(weak.privateKey)))).toEqual(['algorithm-strength']);
    expect(found(signedBy(strong.publicKey, rsaSignature(strong.privateKey)))).toEqual([]);
    expect(found(signedBy(strong.publicKey, rsaSignature(strong.privateKey, '0004', 'sha1')))).toEqual([
      'algorithm-strength',
    ]);
  });

  test.each(['secp384r1', 'secp521r1'])('by a key on %s is strong enough', (namedCurve) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    expect(found(signedBy(publicKey, (attest) => signAttest(attest, privateKey, 0x000c, 'sha384')))).toEqual([]);
  });

  test('by a key that is for another scheme is signed by nobody', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(found(signedBy(publicKey, (attest) => signAttest(attest)))).toEqual(['quote-signature']);
    const ed = generateKeyPairSync('ed25519');
    expect(found(signedBy(ed.publicKey, (attest) => signAttest(attest)))).toEqual([
      'algorithm-strength',
      'quote-signature',
    ]);
  });

  test('over the SHA-1 bank explains nothing', () => {
    expect(found({ attest: (a) => ({ ...a, banks: [{ alg: 0x0004, pcrs: [0, 7, 15] }] }) })).toContain('pcr-bank');
  });
});

describe('SHA-1', () => {
  test('cannot even be asked for', () => {
    const asked = { ...(cborVector('challenge').value as Record<string, CborValue>), bank: 'sha1' };
    const body = encodeCbor(asked);
    const challenge = Buffer.concat([body, hmacSha256(challengeKey, body)]);
    expect(found({ message: (message) => ({ ...message, challenge }) })).toEqual(['evidence-malformed']);
  });

  describe('on a TPM that has no other bank', () => {
    let tpm: SoftwareTpm;
    beforeAll(async () => {
      tpm = await startSoftwareTpm({ ekCertificates: false, banks: 'sha1' });
    });
    afterAll(async () => {
      await tpm[Symbol.asyncDispose]();
    });

    test('keeps the agent from starting, with what to do', async () => {
      const transport = await openSocketTransport({ path: tpm.socketPath });
      await expect(openDeviceTpm({ transport })).rejects.toThrow(/SHA-256 PCR bank .* not active; switch it on/);
    });
  });
});

test.each(['secp256k1', 'secp224r1'])('a key on %s signs no statement', (namedCurve) => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve });
  expect(() => importPublicKey(publicKey.export({ type: 'spki', format: 'pem' }).toString())).toThrow(
    /P-256, P-384 or P-521/,
  );
});
