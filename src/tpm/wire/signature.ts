// Signatures and tickets.
import { sized, struct, u16, u32 } from '../../bytes/wire.ts';
import type { Codec } from '../../bytes/wire.ts';
import { DIGEST_BYTES, TPM_ALG } from './constants.ts';

/** TPMT_SIGNATURE, Part 2, 11.3.4. `r` and `s` as the TPM gave them: leading zeros may be missing. */
export type TpmtSignature =
  | { readonly scheme: 'ecdsa'; readonly hash: number; readonly r: Buffer; readonly s: Buffer }
  | { readonly scheme: 'rsassa' | 'rsapss'; readonly hash: number; readonly signature: Buffer }
  | { readonly scheme: 'hmac'; readonly hash: number; readonly digest: Buffer };

const coordinate = sized(66);
const rsaSignature = sized(512);

const SCHEMES = {
  ecdsa: TPM_ALG.ECDSA,
  rsassa: TPM_ALG.RSASSA,
  rsapss: TPM_ALG.RSAPSS,
  hmac: TPM_ALG.HMAC,
} as const;

export const TpmtSignature: Codec<TpmtSignature> = {
  read: (from) => {
    const scheme = from.uint(2);
    const hash = from.uint(2);
    const length = DIGEST_BYTES.get(hash) ?? from.fail('WIRE_RANGE', `hash 0x${hash.toString(16)} is not known`);
    switch (scheme) {
      case TPM_ALG.ECDSA:
        return { scheme: 'ecdsa', hash, r: coordinate.read(from), s: coordinate.read(from) };
      case TPM_ALG.RSASSA:
        return { scheme: 'rsassa', hash, signature: rsaSignature.read(from) };
      case TPM_ALG.RSAPSS:
        return { scheme: 'rsapss', hash, signature: rsaSignature.read(from) };
      case TPM_ALG.HMAC:
        return { scheme: 'hmac', hash, digest: from.take(length) };
      default:
        return from.fail('WIRE_RANGE', `signature scheme 0x${scheme.toString(16)} is not supported`);
    }
  },
  write: (value, to) => {
    to.uint(2, SCHEMES[value.scheme]);
    to.uint(2, value.hash);
    if (value.scheme === 'ecdsa') {
      coordinate.write(value.r, to);
      coordinate.write(value.s, to);
    } else if (value.scheme === 'hmac') to.put(value.digest);
    else rsaSignature.write(value.signature, to);
  },
};

/** TPMT_TK_VERIFIED, TPMT_TK_HASHCHECK, TPMT_TK_CREATION, TPMT_TK_AUTH, Part 2, 10.7: one shape. */
export interface TpmtTicket {
  readonly tag: number;
  readonly hierarchy: number;
  readonly digest: Buffer;
}
export const TpmtTicket: Codec<TpmtTicket> = struct<TpmtTicket>('TPMT_TK', {
  tag: u16,
  hierarchy: u32,
  digest: sized(64),
});
