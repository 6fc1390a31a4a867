// A quote as the TPM signed it, read just so far as each check may rely on what the checks before it proved.
import { verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Reader } from '../bytes/wire.ts';
import type { KeyWork } from '../crypto/key-threads.ts';
import type { Epoch } from '../tpm/port.ts';

/** What every TPMS_ATTEST begins with (Part 2, 10.12.8), whatever its type. */
export interface AttestHeader extends Epoch {
  readonly magic: number;
  readonly type: number;
  readonly qualifiedSigner: Buffer;
  readonly extraData: Buffer;
  /** ms of powered time. */
  readonly clock: bigint;
  readonly safe: boolean;
  /** What follows firmwareVersion: TPMU_ATTEST, unread. */
  readonly attested: Buffer;
}

/** TPMS_QUOTE_INFO, Part 2, 10.12.1. */
export interface QuoteInfo {
  /** Selected PCRs by bank (TPM_ALG_ID), in the order quoted. */
  readonly selection: readonly { readonly bank: number; readonly pcrs: readonly number[] }[];
  readonly pcrDigest: Buffer;
}

/** TPMT_SIGNATURE, Part 2, 11.3.4: ECDSA as DER, RSASSA as it is. */
export interface TpmSignature {
  readonly scheme: number;
  readonly hash: number;
  readonly bytes: Buffer;
}

const MAX_BANKS = 16;
const SELECT_BYTES = 3;
const ALG_RSASSA = 0x0014;
const ALG_ECDSA = 0x0018;

const DIGESTS: ReadonlyMap<number, string> = new Map([
  [0x0004, 'sha1'],
  [0x000b, 'sha256'],
  [0x000c, 'sha384'],
  [0x000d, 'sha512'],
]);

function buffer2b(from: Reader, field: string, max: number): Buffer {
  from.path = field;
  const size = from.uint(2);
  if (size > max) from.fail('WIRE_LIMIT', `size ${size}, at most ${max}`);
  return from.take(size);
}

/** The general way: every length checked field by field. */
function readAnyHeader(attest: Uint8Array): AttestHeader {
  const from = new Reader(attest, 'attest');
  const magic = from.uint(4);
  const type = from.uint(2);
  const qualifiedSigner = buffer2b(from, 'attest.qualifiedSigner', 66);
  const extraData = buffer2b(from, 'attest.extraData', 66);
  from.path = 'attest.clockInfo';
  const clock = from.big64();
  const resetCount = from.uint(4);
  const restartCount = from.uint(4);
  const safe = from.uint(1);
  if (safe > 1) from.fail('WIRE_RANGE', `safe is ${safe}, must be 0 or 1`);
  from.path = 'attest.firmwareVersion';
  from.big64();
  const attested = from.rest();
  return { magic, type, qualifiedSigner, extraData, clock, resetCount, restartCount, safe: safe === 1, attested };
}

/** Where the fields are when name and data are of SHA-256, as with every P-256 attestation key. */
const USUAL = {
  name: 8,
  nameSize: 34,
  data: 44,
  dataSize: 32,
  clock: 76,
  reset: 84,
  restart: 88,
  safe: 92,
  attested: 101,
};

/** Fields share memory with `attest`. Errors: WireError. */
export function readAttestHeader(attest: Uint8Array): AttestHeader {
  const b = Buffer.from(attest.buffer, attest.byteOffset, attest.byteLength);
  const usual =
    b.length >= USUAL.attested &&
    b.readUInt16BE(USUAL.name - 2) === USUAL.nameSize &&
    b.readUInt16BE(USUAL.data - 2) === USUAL.dataSize &&
    b.readUInt8(USUAL.safe) < 2;
  if (!usual) return readAnyHeader(attest);
  return {
    magic: b.readUInt32BE(0),
    type: b.readUInt16BE(4),
    qualifiedSigner: b.subarray(USUAL.name, USUAL.name + USUAL.nameSize),
    extraData: b.subarray(USUAL.data, USUAL.data + USUAL.dataSize),
    clock: b.readBigUInt64BE(USUAL.clock),
    resetCount: b.readUInt32BE(USUAL.reset),
    restartCount: b.readUInt32BE(USUAL.restart),
    safe: b.readUInt8(USUAL.safe) === 1,
    attested: b.subarray(USUAL.attested),
  };
}

/** PCRs of a bitmap of 3 bytes, the first of them PCR 0 to 7. */
function pcrsOf(bitmap: number): number[] {
  const pcrs: number[] = [];
  for (let pcr = 0; pcr < SELECT_BYTES * 8; pcr++) {
    if ((bitmap & (1 << ((SELECT_BYTES - 1 - (pcr >> 3)) * 8 + (pcr & 7)))) !== 0) pcrs.push(pcr);
  }
  return pcrs;
}

/** Reads what a quote attests; `attested` must be filled by it. Errors: WireError. */
export function readQuoteInfo(attested: Uint8Array): QuoteInfo {
  const from = new Reader(attested, 'quote.pcrSelect');
  const banks = from.uint(4);
  if (banks > MAX_BANKS) from.fail('WIRE_LIMIT', `${banks} banks, at most ${MAX_BANKS}`);
  const selection: { bank: number; pcrs: number[] }[] = [];
  for (let i = 0; i < banks; i++) {
    const bank = from.uint(2);
    const size = from.uint(1);
    if (size !== SELECT_BYTES) from.fail('WIRE_RANGE', `sizeofSelect ${size}, must be ${SELECT_BYTES}`);
    selection.push({ bank, pcrs: pcrsOf(from.uint(SELECT_BYTES)) });
  }
  const pcrDigest = buffer2b(from, 'quote.pcrDigest', 64);
  from.end();
  return { selection, pcrDigest };
}

/** Where an unsigned big-endian number begins without leading zeros; its last byte counts always. */
function significant(value: Buffer): number {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  return start;
}

/** Ecdsa-Sig-Value in DER: node:crypto verifies it a third faster than r‖s. An empty number is 0. */
function derSignature(r: Buffer, s: Buffer): Buffer {
  const der = Buffer.allocUnsafe(r.length + s.length + 11);
  let end = 3;
  for (const value of [r, s]) {
    const start = significant(value);
    const pad = value.length === 0 || value.readUInt8(start) >= 0x80 ? 1 : 0;
    der[end] = 2;
    der[end + 1] = value.length - start + pad;
    der[end + 2] = 0;
    der.set(value.subarray(start), end + 2 + pad);
    end += 2 + pad + value.length - start;
  }
  const long = end - 3 >= 128;
  const first = long ? 0 : 1;
  der[first] = 0x30;
  if (long) der[1] = 0x81;
  der[2] = end - 3;
  return der.subarray(first, end);
}

/** Errors: WireError, also for schemes other than ECDSA and RSASSA. */
export function readSignature(bytes: Uint8Array): TpmSignature {
  const from = new Reader(bytes, 'signature');
  const scheme = from.uint(2);
  const hash = from.uint(2);
  if (scheme === ALG_ECDSA) {
    const r = buffer2b(from, 'signature.r', 66);
    const s = buffer2b(from, 'signature.s', 66);
    from.end();
    return { scheme, hash, bytes: derSignature(r, s) };
  }
  if (scheme !== ALG_RSASSA) from.fail('WIRE_RANGE', `scheme 0x${scheme.toString(16)} is neither ECDSA nor RSASSA`);
  const value = buffer2b(from, 'signature.sig', 512);
  from.end();
  return { scheme, hash, bytes: value };
}

/** The digest's name when a key of this kind can have made such a signature; null otherwise. */
function digestFor(key: KeyObject, { scheme, hash }: TpmSignature): string | null {
  const fits = key.asymmetricKeyType === (scheme === ALG_ECDSA ? 'ec' : 'rsa');
  return fits ? (DIGESTS.get(hash) ?? null) : null;
}

/** True when `key` made `signature` over `attest`; false for anything else, key and scheme that do not fit included. */
export function isSignedBy(key: KeyObject, attest: Uint8Array, signature: TpmSignature): boolean {
  const digest = digestFor(key, signature);
  if (digest === null) return false;
  try {
    return verify(digest, attest, key, signature.bytes);
  } catch {
    return false;
  }
}

/** Asks a key elsewhere: as KeyThreads does, or whatever else can. */
export type AskKey = KeyWork['verify'];

/** What one key said of one signature over one attestation. Made only by asking the key, so that no flag can stand for it. */
export class SignatureAnswer {
  readonly #key: KeyObject;
  readonly #attest: Uint8Array;
  readonly #signature: TpmSignature;
  readonly #valid: boolean;

  private constructor(key: KeyObject, attest: Uint8Array, signature: TpmSignature, valid: boolean) {
    this.#key = key;
    this.#attest = attest;
    this.#signature = signature;
    this.#valid = valid;
  }

  static of(key: KeyObject, attest: Uint8Array, signature: TpmSignature): SignatureAnswer {
    return new SignatureAnswer(key, attest, signature, isSignedBy(key, attest, signature));
  }

  /** By way of `ask`; `attest` and `signature` must stay as they are until it is answered. */
  static async by(ask: AskKey, key: KeyObject, attest: Uint8Array, signature: TpmSignature): Promise<SignatureAnswer> {
    const digest = digestFor(key, signature);
    const valid = digest !== null && (await ask(key, digest, attest, signature.bytes));
    return new SignatureAnswer(key, attest, signature, valid);
  }

  /** True when it is the answer to this very question, and the answer was yes. */
  affirms(key: KeyObject, attest: Uint8Array, signature: TpmSignature): boolean {
    return this.#valid && this.#key === key && this.#attest === attest && this.#signature === signature;
  }
}

const STRONG_CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
/** What is too weak about keys that were asked about before: their details are a new object every time. */
const weakKeys = new WeakMap<KeyObject, string | null>();

function weaknessOfKey(key: KeyObject): string | null {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'ec') {
    return STRONG_CURVES.has(details?.namedCurve ?? '') ? null : `curve ${details?.namedCurve ?? 'unknown'}`;
  }
  const bits = details?.modulusLength ?? 0;
  return key.asymmetricKeyType === 'rsa' && bits >= 2048 ? null : `${key.asymmetricKeyType ?? 'unknown'} ${bits}`;
}

/** What is too weak about this signature; null when nothing is. */
export function weakness(key: KeyObject, signature: TpmSignature): string | null {
  const digest = DIGESTS.get(signature.hash);
  if (digest === undefined || digest === 'sha1') return digest ?? `hash 0x${signature.hash.toString(16)}`;
  const known = weakKeys.get(key);
  if (known !== undefined) return known;
  const found = weaknessOfKey(key);
  weakKeys.set(key, found);
  return found;
}
