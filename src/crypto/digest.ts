// SHA-256 and HMAC in one call each.
import { hash, timingSafeEqual } from 'node:crypto';
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

/** What HMAC makes of a key (RFC 2104): K ⊕ ipad; and K ⊕ opad with room behind it for the inner digest. */
interface HmacBlocks {
  readonly inner: Buffer;
  readonly outer: Buffer;
}

const HMAC_BLOCK = 64;
const hmacBlocks = new WeakMap<KeyObject, HmacBlocks>();

function blocksOf(key: KeyObject): HmacBlocks {
  const known = hmacBlocks.get(key);
  if (known !== undefined) return known;
  const exported = key.export();
  const secret = exported.length > HMAC_BLOCK ? sha256(exported) : exported;
  const inner = Buffer.alloc(HMAC_BLOCK, 0x36);
  const outer = Buffer.alloc(HMAC_BLOCK + SHA256_BYTES, 0x5c);
  for (const [i, byte] of secret.entries()) {
    inner.writeUInt8(byte ^ 0x36, i);
    outer.writeUInt8(byte ^ 0x5c, i);
  }
  const made = { inner, outer };
  hmacBlocks.set(key, made);
  return made;
}

/** HMAC-SHA-256 of the concatenation of `parts`. A KeyObject, so that its blocks are made once: a Hmac object makes them at each call. */
export function hmacSha256(key: KeyObject, ...parts: readonly Uint8Array[]): Buffer {
  const { inner, outer } = blocksOf(key);
  outer.write(sha256Binary(Buffer.concat([inner, ...parts])), HMAC_BLOCK, 'latin1');
  return sha256(outer);
}

/** Equality that takes the same time wherever the difference is. Different lengths are simply unequal. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
