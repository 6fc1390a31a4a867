// TPM2_MakeCredential without a TPM (Part 1, 24; Part 3, 12.6): only the TPM that has both EK and AK can open the result.
import {
  constants,
  createCipheriv,
  createECDH,
  createHmac,
  publicEncrypt,
  randomBytes as systemRandom,
} from 'node:crypto';
import { encode } from '../bytes/wire.ts';
import { kdfA, kdfE } from '../crypto/kdf.ts';
import { DIGEST_BYTES, HASH_NAMES } from './wire/constants.ts';
import { Tpm2bEncryptedSecret, Tpm2bIdObject, TpmsEccPoint } from './wire/credential.ts';
import { eccCurve, padLeft, publicKeyOf } from './wire/public-key.ts';
import type { TpmtPublic } from './wire/public.ts';

export interface Credential {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Buffer;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly secret: Buffer;
}

interface Seed {
  readonly seed: Buffer;
  readonly secret: Buffer;
}

function hashOf(ek: TpmtPublic): { readonly name: string; readonly bytes: number } {
  const name = HASH_NAMES.get(ek.nameAlg);
  const bytes = DIGEST_BYTES.get(ek.nameAlg);
  if (name === undefined || bytes === undefined) throw new RangeError('the EK has an unknown name algorithm');
  return { name, bytes };
}

/** RSA-OAEP with the EK's hash for both and the label with its NUL. */
function rsaSeed(ek: TpmtPublic, random: (n: number) => Buffer): Seed {
  const hash = hashOf(ek);
  const seed = random(hash.bytes);
  const oaepLabel = Buffer.from('IDENTITY\0', 'latin1');
  const key = { key: publicKeyOf(ek), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash.name, oaepLabel };
  return { seed, secret: publicEncrypt(key, seed) };
}

/** One-pass ECDH with a fresh key on the EK's curve. */
function eccSeed(ek: TpmtPublic): Seed {
  if (ek.area.type !== 'ecc') throw new RangeError('not an ECC key');
  const hash = hashOf(ek);
  const { node, bytes } = eccCurve(ek.area.curve);
  const x = padLeft(ek.area.x, bytes);
  const y = padLeft(ek.area.y, bytes);
  const ephemeral = createECDH(node);
  const point = ephemeral.generateKeys();
  const z = padLeft(ephemeral.computeSecret(Buffer.concat([Buffer.from([4]), x, y])), bytes);
  const ours = { x: point.subarray(1, 1 + bytes), y: point.subarray(1 + bytes) };
  return {
    seed: kdfE(hash.name, z, 'IDENTITY', ours.x, x, hash.bytes * 8),
    secret: encode(TpmsEccPoint, ours),
  };
}

/**
 * Encrypts `value` (32 bytes) for the TPM that holds `ek` and the object named `akName`.
 * `ek` must be a restricted decryption key with AES-CFB; other keys are a RangeError.
 */
export function makeCredential(
  ek: TpmtPublic,
  akName: Uint8Array,
  value: Uint8Array,
  random: (n: number) => Buffer = systemRandom,
): Credential {
  const { area } = ek;
  if (area.type !== 'ecc' && area.type !== 'rsa') throw new RangeError('an EK is an RSA or ECC key');
  if (area.symmetric === null) throw new RangeError('an EK names its symmetric cipher');
  const hash = hashOf(ek);
  if (value.length > hash.bytes) throw new RangeError(`a credential is at most ${hash.bytes} bytes`);
  const { seed, secret } = area.type === 'rsa' ? rsaSeed(ek, random) : eccSeed(ek);
  const { keyBits } = area.symmetric;
  const none = Buffer.alloc(0);
  const symKey = kdfA(hash.name, seed, 'STORAGE', akName, none, keyBits);
  const cipher = createCipheriv(`aes-${keyBits}-cfb`, symKey, Buffer.alloc(16));
  const size = Buffer.from([value.length >> 8, value.length & 255]);
  const encIdentity = Buffer.concat([cipher.update(Buffer.concat([size, value])), cipher.final()]);
  const hmacKey = kdfA(hash.name, seed, 'INTEGRITY', none, none, hash.bytes * 8);
  const integrity = createHmac(hash.name, hmacKey).update(encIdentity).update(akName).digest();
  return {
    credentialBlob: encode(Tpm2bIdObject, { integrity, encIdentity }),
    secret: encode(Tpm2bEncryptedSecret, secret),
  };
}
