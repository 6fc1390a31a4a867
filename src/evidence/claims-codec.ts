// Claims as the bytes that the quote binds.
import { claimsShape } from './claims.ts';
import type { Claims } from './claims.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import type { MessageForm } from './message.ts';
import { quickClaims } from './quick-claims.ts';

const CLAIMS: MessageForm<Claims> = { name: 'claims', shape: claimsShape, quick: quickClaims };

/** Deterministic CBOR of `claims`: what goes into evidence and, hashed, into the qualifying data. */
export function encodeClaims(claims: Claims): Buffer {
  return encodeMessage(CLAIMS, claims);
}

/** Errors: WireError. */
export function decodeClaims(bytes: Uint8Array): Claims {
  return decodeMessage(CLAIMS, bytes);
}
