// ECDSA keys and signatures: three curves and no other key, DER and nothing like it.
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  curveOf,
  generateKey,
  importPrivateKey,
  importPublicKey,
  keyId,
  publicPem,
  signEcdsa,
  toDerSignature,
  verifyEcdsa,
} from '../../src/crypto/ecdsa.ts';
import type { CurveName } from '../../src/crypto/ecdsa.ts';
import { WireError } from '../../src/errors.ts';

const data = Buffer.from('data');
const curves: readonly CurveName[] = ['p256', 'p384', 'p521'];
const others = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('ed25519'),
  generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
];

describe.each(curves)('on %s', (name) => {
  const { privateKey, publicKey } = generateKey(name);
  const pem = publicPem(privateKey);

  test('what was signed verifies, by the public key from PEM and from DER', () => {
    const signature = signEcdsa(privateKey, data);
    const der = publicKey.export({ type: 'spki', format: 'der' });
    for (const key of [publicKey, importPublicKey(pem), importPublicKey(new Uint8Array(der)), privateKey]) {
      expect(verifyEcdsa(key, data, signature)).toBe(true);
    }
    expect(verifyEcdsa(publicKey, Buffer.from('other'), signature)).toBe(false);
    expect(verifyEcdsa(generateKey(name).publicKey, data, signature)).toBe(false);
  });

  test('a key has one id, as private and as public key', () => {
    expect(keyId(privateKey)).toBe(keyId(publicKey));
    expect(keyId(privateKey)).toMatch(/^[0-9a-f]{64}$/);
    expect(publicPem(publicKey)).toBe(pem);
    expect(curveOf(publicKey).name).toBe(name);
  });

  test('a private key comes back from its PEM', () => {
    const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(keyId(importPrivateKey(text))).toBe(keyId(publicKey));
  });

  test('a signature in another form than DER does not verify', () => {
    const { hash, bytes } = curveOf(privateKey);
    const raw = sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    expect(raw).toHaveLength(2 * bytes);
    expect(verifyEcdsa(publicKey, data, raw)).toBe(false);
    expect(verifyEcdsa(publicKey, data, toDerSignature(raw.subarray(0, bytes), raw.subarray(bytes)))).toBe(true);
  });

  test('with any bit changed does not verify, and never throws', () => {
    const signature = signEcdsa(privateKey, data);
    let good = 0;
    for (let bit = 0; bit < signature.length * 8; bit += 3) {
      const changed = Buffer.from(signature);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (verifyEcdsa(publicKey, data, changed)) good++;
    }
    expect(good).toBe(0);
  });
});

test.each([
  '',
  '00',
  '3000',
  '3006020100020100',
  '30060201010201',
  '3080',
  `30${'ff'.repeat(20)}`,
  '300602010102010100',
])('the signature %s is simply not valid', (hex) => {
  expect(verifyEcdsa(generateKey('p256').publicKey, data, Buffer.from(hex, 'hex'))).toBe(false);
});

describe('other keys', () => {
  test.each(others)('%# are refused', ({ privateKey, publicKey }) => {
    const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => curveOf(publicKey)).toThrow(RangeError);
    expect(() => importPublicKey(publicKey.export({ type: 'spki', format: 'pem' }).toString())).toThrow(WireError);
    expect(() => importPrivateKey(text)).toThrow(WireError);
  });

  test.each(['', 'x', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'])('%j are refused', (pem) => {
    expect(() => importPublicKey(pem)).toThrow(WireError);
    expect(() => importPrivateKey(pem)).toThrow(WireError);
  });

  test('a refused private key leaves no trace of itself in the error', () => {
    const [rsa] = others;
    const pem = rsa?.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
    const body = pem.split('\n')[1] ?? '';
    const error = (() => {
      try {
        return importPrivateKey(pem);
      } catch (thrown) {
        return thrown as WireError;
      }
    })();
    expect(error).toMatchObject({ cause: undefined });
    expect(error instanceof WireError ? error.message : body).not.toContain(body);
  });

  test('a curve that is not known cannot be made', () => {
    expect(() => generateKey('p224' as CurveName)).toThrow(RangeError);
  });
});

describe('r and s as DER', () => {
  test.each([
    ['01', '02', '3006020101020102'],
    ['00', '00', '3006020100020100'],
    ['0001', '000002', '3006020101020102'],
    ['', '', '300402000200'],
    ['80', '7f', '30070202008002017f'],
    ['ff'.repeat(66), 'ff'.repeat(66), `30818a024300${'ff'.repeat(66)}024300${'ff'.repeat(66)}`],
  ])('%s and %s', (r, s, der) => {
    expect(toDerSignature(Buffer.from(r, 'hex'), Buffer.from(s, 'hex')).toString('hex')).toBe(der);
  });

  test('is the form that verifies, whatever zeros r and s begin with', () => {
    const { privateKey } = generateKey('p256');
    const key = createPublicKey(privateKey);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), fc.nat(3), (message, zeros) => {
        const raw = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
        const [r, s] = [raw.subarray(0, 32), Buffer.concat([Buffer.alloc(zeros), raw.subarray(32)])];
        expect(verify('sha256', message, key, toDerSignature(r, s))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
