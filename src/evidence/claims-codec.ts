// Claims as the bytes that the quote binds.
import { claimsShape } from './claims.ts';
import type { Claims } from './claims.ts';
import { decodeMessage, encodeMessage } from './message.ts';

/** Deterministic CBOR of `claims`: what goes into evidence and, hashed, into the qualifying data. */
export function encodeClaims(claims: Claims): Buffer {
  return encodeMessage(claimsShape, claims, 'claims');
}

/** Errors: WireError. */
export function decodeClaims(bytes: Uint8Array): Claims {
  return decodeMessage(claimsShape, bytes, 'claims');
}
