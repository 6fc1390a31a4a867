// Keys of people in the TPM's form: the public area that gives such a key its Name, and the signatures it makes.
import type { KeyObject } from 'node:crypto';
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from './constants.ts';
import type { TpmtPublic } from './public.ts';
import type { TpmtSignature } from './signature.ts';

/**
 * Public area of a P-256 key that approves policies. Its Name stands in the policies of devices, so these bytes never change: they
 * are those that tpm2_loadexternal makes of a PEM file. Errors: RangeError for another kind of key.
 */
export function signingKeyPublic(key: KeyObject): TpmtPublic {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new RangeError('a key that approves policies of a TPM is a P-256 key');
  }
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  return {
    nameAlg: TPM_ALG.SHA256,
    attributes: TPMA_OBJECT.userWithAuth | TPMA_OBJECT.decrypt | TPMA_OBJECT.sign,
    authPolicy: Buffer.alloc(0),
    area: {
      type: 'ecc',
      symmetric: null,
      scheme: null,
      curve: TPM_ECC.NIST_P256,
      kdf: null,
      x: Buffer.from(x, 'base64url'),
      y: Buffer.from(y, 'base64url'),
    },
  };
}

/** An ECDSA signature with SHA-256 on P-256, r ‖ s of 32 bytes each, as TPMT_SIGNATURE. Errors: RangeError for another length. */
export function tpmSignature(raw: Uint8Array): TpmtSignature {
  if (raw.length !== 64) throw new RangeError(`${raw.length} bytes are no signature of a P-256 key`);
  const bytes = Buffer.from(raw);
  return { scheme: 'ecdsa', hash: TPM_ALG.SHA256, r: bytes.subarray(0, 32), s: bytes.subarray(32) };
}
