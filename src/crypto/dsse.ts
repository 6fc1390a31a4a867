// DSSE envelopes (secure-systems-lab/dsse, v1.0): the signature is checked over the exact bytes before anything reads them.
import type { KeyObject } from 'node:crypto';
import { parseShape, text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { fromBase64, toBase64 } from '../bytes/text.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import type { KeyWork } from './key-threads.ts';
import { keyId, signEcdsa, verifyEcdsa } from './ecdsa.ts';

export interface DsseSignature {
  /** A hint only; never a reason to skip or to trust a key. */
  readonly keyid?: string | null | undefined;
  readonly sig: string;
}

export interface DsseEnvelope {
  readonly payload: string;
  readonly payloadType: string;
  readonly signatures: readonly DsseSignature[];
}

const MAX_SIGNATURES = 16;

const base64 = (max: number): Shape<string> => v.pipe(v.string(), v.maxLength(max));

export const dsseShape: Shape<DsseEnvelope> = v.object({
  payload: base64(96 * 1024 * 1024),
  payloadType: text(256),
  signatures: v.pipe(
    v.array(v.object({ keyid: v.nullish(v.pipe(v.string(), v.maxLength(256))), sig: base64(2048) })),
    v.minLength(1),
    v.maxLength(MAX_SIGNATURES),
  ),
});

/** Pre-authentication encoding: "DSSEv1" SP len(type) SP type SP len(body) SP body, lengths in decimal bytes. */
export function pae(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.byteLength(payloadType, 'utf8');
  return Buffer.concat([Buffer.from(`DSSEv1 ${type} ${payloadType} ${payload.length} `, 'utf8'), payload]);
}

/** One signature by each of `keys` (private, ECDSA). */
export function signDsse(payloadType: string, payload: Uint8Array, keys: readonly KeyObject[]): DsseEnvelope {
  const message = pae(payloadType, payload);
  return {
    payload: toBase64(payload),
    payloadType,
    signatures: keys.map((key) => ({ keyid: keyId(key), sig: toBase64(signEcdsa(key, message)) })),
  };
}

/** One signature by `key`, made by `keys`. */
export async function signDsseBy(
  keys: Pick<KeyWork, 'sign'>,
  payloadType: string,
  payload: Uint8Array,
  key: KeyObject,
): Promise<DsseEnvelope> {
  const sig = toBase64(await keys.sign(key, pae(payloadType, payload)));
  return { payload: toBase64(payload), payloadType, signatures: [{ keyid: keyId(key), sig }] };
}

/** An envelope from JSON bytes. Errors: WireError. */
export function parseDsse(bytes: Uint8Array, maxBytes: number = 1024 * 1024): DsseEnvelope {
  return parseShape(dsseShape, parseJsonStrict(bytes, { maxBytes, maxDepth: 8 }), 'envelope');
}

/** What a signature check leaves: the payload's exact bytes and who of the trusted signed it. */
export interface OpenedEnvelope {
  readonly payload: Buffer;
  /** Ids of the distinct trusted keys whose signatures are valid. */
  readonly signedBy: readonly string[];
}

/**
 * Counts the distinct trusted keys with a valid signature; null when fewer than `threshold` or when the type is another.
 * Two signatures of one key count once. Errors: WireError for payload or signatures that are not canonical base64.
 */
export function verifyDsse(
  envelope: DsseEnvelope,
  payloadType: string,
  keys: ReadonlyMap<string, KeyObject>,
  threshold = 1,
): OpenedEnvelope | null {
  if (threshold < 1) throw new RangeError('a threshold below 1 trusts everybody');
  const payload = fromBase64(envelope.payload);
  if (envelope.payloadType !== payloadType) return null;
  const message = pae(payloadType, payload);
  const signatures = envelope.signatures.map((entry) => fromBase64(entry.sig));
  const signedBy: string[] = [];
  for (const [id, key] of keys) {
    if (signatures.some((signature) => verifyEcdsa(key, message, signature))) signedBy.push(id);
  }
  return signedBy.length >= threshold ? { payload, signedBy } : null;
}
