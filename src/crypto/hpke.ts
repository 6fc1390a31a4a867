// HPKE (RFC 9180) for one message to the holder of a P-256 key: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-GCM, base mode.
import { createCipheriv, createDecipheriv, createHmac, createPublicKey, diffieHellman } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { WireError } from '../errors.ts';
import { curveOf, generateKey } from './ecdsa.ts';

/** An uncompressed point: 04 ‖ x ‖ y. */
const POINT_BYTES = 65;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

export interface HpkeSuite {
  readonly aead: 'aes-128-gcm' | 'aes-256-gcm';
  /** AEAD identifier, RFC 9180, 7.3. */
  readonly id: number;
  readonly keyBytes: number;
}

/** What this product writes. */
export const HPKE_AES_256: HpkeSuite = { aead: 'aes-256-gcm', id: 2, keyBytes: 32 };

/** What is bound beside the message: the same on both sides, or it does not open. */
export interface HpkeContext {
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
}

const VERSION = Buffer.from('HPKE-v1', 'latin1');
const KEM_SUITE = Buffer.concat([Buffer.from('KEM', 'latin1'), u16(0x0010)]);
const NONE = Buffer.alloc(0);

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** RFC 9180, 4: HKDF-Extract. */
function extract(suite: Buffer, salt: Buffer, label: string, ikm: Uint8Array): Buffer {
  return createHmac('sha256', salt).update(VERSION).update(suite).update(label, 'latin1').update(ikm).digest();
}

/** RFC 9180, 4: HKDF-Expand for at most 32 bytes, which is its first block. */
function expand(suite: Buffer, prk: Buffer, label: string, info: Uint8Array, length: number): Buffer {
  const labelled = [u16(length), VERSION, suite, Buffer.from(label, 'latin1'), info, Buffer.from([1])];
  return createHmac('sha256', prk).update(Buffer.concat(labelled)).digest().subarray(0, length);
}

function pointOf(key: KeyObject): Buffer {
  if (curveOf(key).name !== 'p256') throw new RangeError('not a P-256 key');
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  return shown.export({ type: 'spki', format: 'der' }).subarray(-POINT_BYTES);
}

/** DER of a P-256 SubjectPublicKeyInfo up to its point. */
const SPKI_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** RFC 9180, 4.1 and 5.1: key and nonce of the only message. */
function keysOf(
  suite: HpkeSuite,
  dh: Buffer,
  points: readonly Buffer[],
  info: Uint8Array,
): { key: Buffer; nonce: Buffer } {
  const shared = expand(KEM_SUITE, extract(KEM_SUITE, NONE, 'eae_prk', dh), 'shared_secret', Buffer.concat(points), 32);
  const id = Buffer.concat([Buffer.from('HPKE', 'latin1'), u16(0x0010), u16(0x0001), u16(suite.id)]);
  const context = Buffer.concat([
    Buffer.from([0]),
    extract(id, NONE, 'psk_id_hash', NONE),
    extract(id, NONE, 'info_hash', info),
  ]);
  const secret = extract(id, shared, 'secret', NONE);
  return {
    key: expand(id, secret, 'key', context, suite.keyBytes),
    nonce: expand(id, secret, 'base_nonce', context, NONCE_BYTES),
  };
}

/** enc (65 bytes) ‖ ciphertext ‖ tag (16). `to`: a P-256 public key; another is a RangeError. */
export function hpkeSeal(
  to: KeyObject,
  plain: Uint8Array,
  context: HpkeContext,
  suite: HpkeSuite = HPKE_AES_256,
): Buffer {
  const ephemeral = generateKey('p256');
  const points = [pointOf(ephemeral.publicKey), pointOf(to)];
  const dh = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: to });
  const { key, nonce } = keysOf(suite, dh, points, context.info);
  const cipher = createCipheriv(suite.aead, key, nonce).setAAD(context.aad);
  const ciphertext = [cipher.update(plain), cipher.final()];
  return Buffer.concat([pointOf(ephemeral.publicKey), ...ciphertext, cipher.getAuthTag()]);
}

/** What was sealed. Errors: WireError WIRE_MALFORMED for another key, another context, or bytes that were changed. */
export function hpkeOpen(
  by: KeyObject,
  sealed: Uint8Array,
  context: HpkeContext,
  suite: HpkeSuite = HPKE_AES_256,
): Buffer {
  const bytes = Buffer.from(sealed);
  try {
    const enc = bytes.subarray(0, POINT_BYTES);
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, enc]), format: 'der', type: 'spki' });
    const dh = diffieHellman({ privateKey: by, publicKey });
    const { key, nonce } = keysOf(suite, dh, [enc, pointOf(by)], context.info);
    const cipher = createDecipheriv(suite.aead, key, nonce).setAAD(context.aad);
    cipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return Buffer.concat([cipher.update(bytes.subarray(POINT_BYTES, -TAG_BYTES)), cipher.final()]);
  } catch (cause) {
    const message = 'it is not sealed to this key, or not for this, or was changed';
    throw new WireError('WIRE_MALFORMED', message, { field: 'sealed', offset: 0 }, { cause });
  }
}
