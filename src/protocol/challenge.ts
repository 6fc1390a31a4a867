// The controller's question, sealed so that the answer proves who asked it: issuing writes nothing.
import type { KeyObject } from 'node:crypto';
import { equalBytes, hmacSha256, SHA256_BYTES } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import { decodeMessage, encodeMessage } from '../evidence/message.ts';
import type { MessageForm } from '../evidence/message.ts';
import { challengeShape } from './messages.ts';
import type { Challenge } from './messages.ts';
import { quickChallenge } from './quick-messages.ts';

const CHALLENGE: MessageForm<Challenge> = { name: 'challenge', shape: challengeShape, quick: quickChallenge };

/** Sealed challenge = CBOR(challenge) ‖ HMAC-SHA-256(key `kid`, that CBOR): 32 bytes. */
function parts(sealed: Uint8Array): { body: Uint8Array; mac: Uint8Array } {
  if (sealed.length <= SHA256_BYTES) {
    throw new WireError('WIRE_SHORT', `${sealed.length} bytes cannot hold a MAC`, { field: 'challenge', offset: 0 });
  }
  return { body: sealed.subarray(0, -SHA256_BYTES), mac: sealed.subarray(-SHA256_BYTES) };
}

/** `key` is the secret KeyObject that `challenge.kid` names at the controller. */
export function sealChallenge(challenge: Challenge, key: KeyObject): Buffer {
  const body = encodeMessage(CHALLENGE, challenge);
  return Buffer.concat([body, hmacSha256(key, body)]);
}

/** What a sealed challenge says, MAC unchecked: for the device, which cannot check it. Errors: WireError. */
export function readChallenge(sealed: Uint8Array): Challenge {
  return decodeMessage(CHALLENGE, parts(sealed).body);
}

/** True when `sealed` carries the MAC of the key that `kid` names in `keys`. False for an unknown `kid`. */
export function isSealedBy(sealed: Uint8Array, kid: string, keys: ReadonlyMap<string, KeyObject>): boolean {
  const key = keys.get(kid);
  if (key === undefined) return false;
  const { body, mac } = parts(sealed);
  return equalBytes(hmacSha256(key, body), mac);
}

/** The challenge, or null when none of our keys sealed it. Errors: WireError for bytes that are no challenge. */
export function openChallenge(sealed: Uint8Array, keys: ReadonlyMap<string, KeyObject>): Challenge | null {
  const challenge = readChallenge(sealed);
  return isSealedBy(sealed, challenge.kid, keys) ? challenge : null;
}
