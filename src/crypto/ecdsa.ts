// ECDSA on the NIST curves: one table of curves, keys imported once, signatures in DER (which Node verifies fastest).
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { WireError } from '../errors.ts';

export type CurveName = 'p256' | 'p384' | 'p521';

interface Curve {
  readonly name: CurveName;
  /** Node's names of curve and hash: the hash goes with the curve (OMS, FIPS 186-5). */
  readonly node: string;
  readonly hash: string;
  /** Length of a coordinate and of r and s, bytes. */
  readonly bytes: number;
}

const CURVES: readonly Curve[] = [
  { name: 'p256', node: 'prime256v1', hash: 'sha256', bytes: 32 },
  { name: 'p384', node: 'secp384r1', hash: 'sha384', bytes: 48 },
  { name: 'p521', node: 'secp521r1', hash: 'sha512', bytes: 66 },
];

const curves = new WeakMap<KeyObject, Curve>();

/** The curve of an EC key; looked up once a key. Errors: RangeError for another kind of key. */
export function curveOf(key: KeyObject): Curve {
  const known = curves.get(key);
  if (known !== undefined) return known;
  const named = key.asymmetricKeyDetails?.namedCurve;
  const curve = CURVES.find(({ node }) => node === named);
  if (key.asymmetricKeyType !== 'ec' || curve === undefined) throw new RangeError('not a P-256, P-384 or P-521 key');
  curves.set(key, curve);
  return curve;
}

function malformed(message: string, cause: unknown): never {
  throw new WireError('WIRE_MALFORMED', message, { field: 'key', offset: 0 }, { cause });
}

/** A public key from PEM or DER SPKI. Errors: WireError, also for keys that are not on the three curves. */
export function importPublicKey(spki: string | Uint8Array): KeyObject {
  try {
    const key =
      typeof spki === 'string'
        ? createPublicKey(spki)
        : createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    curveOf(key);
    return key;
  } catch (cause) {
    return malformed('not a public key on P-256, P-384 or P-521', cause);
  }
}

/** A private key from PEM. Errors: WireError whose message holds nothing of the key. */
export function importPrivateKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    curveOf(key);
    return key;
  } catch {
    return malformed('not a private key on P-256, P-384 or P-521', undefined);
  }
}

export function generateKey(curve: CurveName): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  const known = CURVES.find((entry) => entry.name === curve);
  if (known === undefined) throw new RangeError(`curve ${curve} is not known`);
  return generateKeyPairSync('ec', { namedCurve: known.node });
}

export function publicPem(key: KeyObject): string {
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  return shown.export({ type: 'spki', format: 'pem' }).toString();
}

const keyIds = new WeakMap<KeyObject, string>();

/** SHA-256 of the DER SPKI, hex: how statements name keys. Made once a key: it costs more than a signature. */
export function keyId(key: KeyObject): string {
  const known = keyIds.get(key);
  if (known !== undefined) return known;
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  const spki = shown.export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(spki).digest('hex');
  keyIds.set(key, id);
  return id;
}

/** DER ECDSA signature over `data` with the curve's hash. */
export function signEcdsa(key: KeyObject, data: Uint8Array): Buffer {
  return sign(curveOf(key).hash, data, key);
}

/** True only for a valid DER signature; anything malformed is simply not valid. */
export function verifyEcdsa(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return verify(curveOf(key).hash, data, key, signature);
}

function derInteger(value: Uint8Array): Buffer {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const body = Buffer.from(value.subarray(start));
  const negative = ((body[0] ?? 0) & 0x80) !== 0;
  return Buffer.concat([Buffer.from(negative ? [2, body.length + 1, 0] : [2, body.length]), body]);
}

/** SEQUENCE { INTEGER r, INTEGER s } from unsigned big-endian r and s of at most 66 bytes each. */
export function toDerSignature(r: Uint8Array, s: Uint8Array): Buffer {
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  const head = body.length < 128 ? [0x30, body.length] : [0x30, 0x81, body.length];
  return Buffer.concat([Buffer.from(head), body]);
}
