// SHA-256 and HMAC in one call each.
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export const SHA256_BYTES = 32;

/** SHA-256 of `bytes` as a string of 32 characters U+0000 to U+00FF: node gives it three times faster than a Buffer. */
export function sha256Binary(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'binary');
}

/** SHA-256 of the concatenation of `parts`. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const [only] = parts;
  return Buffer.from(sha256Binary(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)), 'latin1');
}

/** HMAC-SHA-256. A KeyObject, because a raw key costs six times as much on every call. */
export function hmacSha256(key: KeyObject, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return Buffer.from(mac.digest('binary'), 'latin1');
}

/** Equality that takes the same time wherever the difference is. Different lengths are simply unequal. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
