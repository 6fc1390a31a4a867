// Claims as the bytes that the quote binds.
import { quickly } from '../bytes/quick-cbor.ts';
import { claimsShape } from './claims.ts';
import type { Claims } from './claims.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { quickClaims } from './quick-claims.ts';

/** Deterministic CBOR of `claims`: what goes into evidence and, hashed, into the qualifying data. */
export function encodeClaims(claims: Claims): Buffer {
  return encodeMessage(claimsShape, claims, 'claims');
}

/** Errors: WireError. */
export function decodeClaims(bytes: Uint8Array): Claims {
  return quickly(bytes, quickClaims) ?? decodeMessage(claimsShape, bytes, 'claims');
}
