// A secret that only the holder of a restricted decryption key can learn: seeds of credentials, salts of sessions.
import { constants, createECDH, publicEncrypt, randomBytes } from 'node:crypto';
import { encode } from '../bytes/wire.ts';
import { kdfE } from '../crypto/kdf.ts';
import { DIGEST_BYTES, HASH_NAMES } from './wire/constants.ts';
import { TpmsEccPoint } from './wire/credential.ts';
import { eccCurve, padLeft, publicKeyOf } from './wire/public-key.ts';
import type { TpmtPublic } from './wire/public.ts';

export interface EncryptedSeed {
  /** As long as the key's name algorithm. */
  readonly seed: Buffer;
  /** Contents of a TPM2B_ENCRYPTED_SECRET: an RSA ciphertext or a TPMS_ECC_POINT. */
  readonly secret: Buffer;
}

/** Name and length in bytes of a key's name algorithm. Unknown ones are a RangeError. */
export function nameHash(key: TpmtPublic): { readonly name: string; readonly bytes: number } {
  const name = HASH_NAMES.get(key.nameAlg);
  const bytes = DIGEST_BYTES.get(key.nameAlg);
  if (name === undefined || bytes === undefined) throw new RangeError('the key has an unknown name algorithm');
  return { name, bytes };
}

/** Part 1, B.10.3: RSA-OAEP with the key's hash for both, and the label with its NUL. */
function rsaSeed(key: TpmtPublic, label: string, random: (n: number) => Buffer): EncryptedSeed {
  const hash = nameHash(key);
  const seed = random(hash.bytes);
  const oaepLabel = Buffer.from(`${label}\0`, 'latin1');
  const padded = { key: publicKeyOf(key), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash.name, oaepLabel };
  return { seed, secret: publicEncrypt(padded, seed) };
}

/** Part 1, C.6.3: one-pass ECDH with a fresh key on the same curve. */
function eccSeed(key: TpmtPublic, label: string): EncryptedSeed {
  if (key.area.type !== 'ecc') throw new RangeError('not an ECC key');
  const hash = nameHash(key);
  const { node, bytes } = eccCurve(key.area.curve);
  const x = padLeft(key.area.x, bytes);
  const y = padLeft(key.area.y, bytes);
  const ephemeral = createECDH(node);
  const point = ephemeral.generateKeys();
  const z = padLeft(ephemeral.computeSecret(Buffer.concat([Buffer.from([4]), x, y])), bytes);
  const ours = { x: point.subarray(1, 1 + bytes), y: point.subarray(1 + bytes) };
  return {
    seed: kdfE(hash.name, z, label, ours.x, x, hash.bytes * 8),
    secret: encode(TpmsEccPoint, ours),
  };
}

/** `label`: IDENTITY for credentials, SECRET for session salts. Keys other than RSA and ECC are a RangeError. */
export function encryptSeed(
  key: TpmtPublic,
  label: 'IDENTITY' | 'SECRET',
  random: (n: number) => Buffer = randomBytes,
): EncryptedSeed {
  return key.area.type === 'rsa' ? rsaSeed(key, label, random) : eccSeed(key, label);
}
