// JSON Web Tokens in compact form (RFC 7519; RFC 7515, 3.1 and 7.1), signed with ECDSA (RFC 7518, 3.4).
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { curveOf, keyId } from './ecdsa.ts';

const ALGORITHMS = { p256: 'ES256', p384: 'ES384', p521: 'ES512' } as const;

const part = (value: unknown): string => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');

/** `kid` is the key's id as every statement names it. The signature is r ‖ s, as JWS wants it. */
export function signJwt(claims: object, key: KeyObject): string {
  const { name, hash } = curveOf(key);
  const text = `${part({ alg: ALGORITHMS[name], typ: 'JWT', kid: keyId(key) })}.${part(claims)}`;
  const signature = sign(hash, Buffer.from(text, 'latin1'), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}
