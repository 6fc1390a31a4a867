// Credentials and contexts: what passes between a verifier, a TPM and its own storage.
import { sized, sizedOf, struct, u32, u64 } from '../../bytes/wire.ts';
import type { Codec, Reader, Writer } from '../../bytes/wire.ts';

/** TPMS_ID_OBJECT, Part 2, 12.4.2: TPM2B integrityHMAC ‖ encIdentity (no size of its own). */
export interface TpmsIdObject {
  readonly integrity: Buffer;
  readonly encIdentity: Buffer;
}
const hmac = sized(64);
const idObject: Codec<TpmsIdObject> = {
  read: (from: Reader) => ({ integrity: hmac.read(from), encIdentity: from.rest() }),
  write: (value: TpmsIdObject, to: Writer) => {
    hmac.write(value.integrity, to);
    to.put(value.encIdentity);
  },
};
/** TPM2B_ID_OBJECT, Part 2, 12.4.3. */
export const Tpm2bIdObject: Codec<TpmsIdObject> = sizedOf(idObject);

/** TPM2B_ENCRYPTED_SECRET, Part 2, 11.4.33: an RSA ciphertext or a TPMS_ECC_POINT. */
export const Tpm2bEncryptedSecret: Codec<Buffer> = sized(512);

/** TPMS_ECC_POINT, Part 2, 11.2.5.2. */
export interface TpmsEccPoint {
  readonly x: Buffer;
  readonly y: Buffer;
}
export const TpmsEccPoint: Codec<TpmsEccPoint> = struct<TpmsEccPoint>('TPMS_ECC_POINT', { x: sized(66), y: sized(66) });

/** TPMS_CONTEXT, Part 2, 14.5. */
export interface TpmsContext {
  readonly sequence: bigint;
  readonly savedHandle: number;
  readonly hierarchy: number;
  readonly contextBlob: Buffer;
}
export const TpmsContext: Codec<TpmsContext> = struct<TpmsContext>('TPMS_CONTEXT', {
  sequence: u64,
  savedHandle: u32,
  hierarchy: u32,
  contextBlob: sized(4096),
});
