// From TPM structures to node:crypto: keys, signatures, and one function that says whether a TPM signed these bytes.
import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { toDerSignature } from '../../crypto/ecdsa.ts';
import { WireError } from '../../errors.ts';
import { HASH_NAMES, TPM_ECC } from './constants.ts';
import type { TpmtPublic } from './public.ts';
import type { TpmtSignature } from './signature.ts';

interface CurveShape {
  readonly jwk: string;
  readonly node: string;
  readonly bytes: number;
}

const CURVES: ReadonlyMap<number, CurveShape> = new Map([
  [TPM_ECC.NIST_P256, { jwk: 'P-256', node: 'prime256v1', bytes: 32 }],
  [TPM_ECC.NIST_P384, { jwk: 'P-384', node: 'secp384r1', bytes: 48 }],
  [TPM_ECC.NIST_P521, { jwk: 'P-521', node: 'secp521r1', bytes: 66 }],
]);

function refuse(message: string, cause?: unknown): never {
  throw new WireError('WIRE_RANGE', message, { field: 'TPMT_PUBLIC', offset: 0 }, { cause });
}

/** Size and names of a TPM_ECC_CURVE. Errors: WireError. */
export function eccCurve(curve: number): CurveShape {
  return CURVES.get(curve) ?? refuse(`curve 0x${curve.toString(16)} is not supported`);
}

/** `bytes` with zeros in front up to `length`: TPMs may strip them. Errors: WireError when longer. */
export function padLeft(bytes: Uint8Array, length: number): Buffer {
  if (bytes.length > length) refuse(`${bytes.length} bytes where at most ${length} belong`);
  return Buffer.concat([Buffer.alloc(length - bytes.length), bytes]);
}

/** The key of a public area; import once and keep it. Errors: WireError when it is no valid key. */
export function publicKeyOf({ area }: TpmtPublic): KeyObject {
  const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  try {
    if (area.type === 'ecc') {
      const { jwk, bytes } = eccCurve(area.curve);
      const key = { kty: 'EC', crv: jwk, x: b64(padLeft(area.x, bytes)), y: b64(padLeft(area.y, bytes)) };
      return createPublicKey({ key, format: 'jwk' });
    }
    if (area.type === 'rsa') {
      const exponent = Buffer.alloc(4);
      exponent.writeUInt32BE(area.exponent === 0 ? 65_537 : area.exponent);
      return createPublicKey({ key: { kty: 'RSA', n: b64(area.modulus), e: b64(exponent) }, format: 'jwk' });
    }
  } catch (cause) {
    if (cause instanceof WireError) throw cause;
    return refuse('not a valid public key', cause);
  }
  return refuse(`a ${area.type} area has no public key`);
}

/** Whether `key` signed `message` with this TPMT_SIGNATURE. SHA-1 and schemes that are not for attestation are never valid. */
export function verifyTpmSignature(key: KeyObject, message: Uint8Array, signature: TpmtSignature): boolean {
  const hash = HASH_NAMES.get(signature.hash);
  if (hash === undefined || hash === 'sha1') return false;
  if (signature.scheme === 'ecdsa' && key.asymmetricKeyType === 'ec') {
    return verify(hash, message, key, toDerSignature(signature.r, signature.s));
  }
  if (signature.scheme === 'rsassa' && key.asymmetricKeyType === 'rsa') {
    return verify(hash, message, key, signature.signature);
  }
  return false;
}
