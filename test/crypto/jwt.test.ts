// Tokens are read and verified by another implementation of the same standard: the browser's cryptography that Node carries.
import { webcrypto } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generateKey, keyId } from '../../src/crypto/ecdsa.ts';
import { signJwt } from '../../src/crypto/jwt.ts';

const json = (part: string | undefined): unknown => JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'));

describe.each([
  ['p256', 'ES256', 'P-256', 'SHA-256'],
  ['p384', 'ES384', 'P-384', 'SHA-384'],
] as const)('a token signed on %s', (curve, alg, namedCurve, hash) => {
  const { privateKey, publicKey } = generateKey(curve);
  const token = signJwt({ iat: 1, text: 'ä"' }, privateKey);
  const [head, claims, signature] = token.split('.');

  test('says by which algorithm and key', () => {
    expect(json(head)).toEqual({ alg, typ: 'JWT', kid: keyId(publicKey) });
    expect(json(claims)).toEqual({ iat: 1, text: 'ä"' });
  });

  test('verifies, and no other text does', async () => {
    const jwk = publicKey.export({ format: 'jwk' });
    const key = await webcrypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve }, false, ['verify']);
    const verify = async (text: string): Promise<boolean> =>
      webcrypto.subtle.verify(
        { name: 'ECDSA', hash },
        key,
        Buffer.from(signature ?? '', 'base64url'),
        Buffer.from(text),
      );
    expect(await verify(`${head}.${claims}`)).toBe(true);
    expect(await verify(`${head}.${Buffer.from('{"iat":2}').toString('base64url')}`)).toBe(false);
  });
});
