// TPM2_MakeCredential without a TPM (Part 1, 24; Part 3, 12.6): only the TPM that has both EK and AK can open the result.
import { createCipheriv, createHmac, randomBytes as systemRandom } from 'node:crypto';
import { encode } from '../bytes/wire.ts';
import { kdfA } from '../crypto/kdf.ts';
import { encryptSeed, nameHash } from './seed.ts';
import { Tpm2bEncryptedSecret, Tpm2bIdObject } from './wire/credential.ts';
import type { TpmtPublic } from './wire/public.ts';

export interface Credential {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Buffer;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly secret: Buffer;
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
  const hash = nameHash(ek);
  if (value.length > hash.bytes) throw new RangeError(`a credential is at most ${hash.bytes} bytes`);
  const { seed, secret } = encryptSeed(ek, 'IDENTITY', random);
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
