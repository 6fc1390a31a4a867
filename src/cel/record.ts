// Records of the TCG Canonical Event Log (Information Model 1.0, CBOR encoding) with our one content type.
import { decodeCbor, encodeCbor, MESSAGE_LIMITS } from '../bytes/cbor.ts';
import type { CborLimits, CborValue } from '../bytes/cbor.ts';
import { CborWriter, MAJOR } from '../bytes/cbor-writer.ts';
import { parseShape } from '../bytes/shape.ts';
import { Reader } from '../bytes/wire.ts';
import { equalBytes, sha256 } from '../crypto/digest.ts';
import { LogEvent } from './events.ts';

/** One record; `digest` = SHA-256(content) is what was extended. */
export interface CelRecord {
  /** From 1, consecutive within a log. */
  readonly recnum: number;
  readonly pcr: number;
  readonly digest: Buffer;
  /** Deterministic CBOR of a LogEvent. */
  readonly content: Buffer;
}

/** Our content type: a key that the specification leaves to vendors. */
export const CONTENT_KEY = 84;
const ALG_SHA256 = 0x0b;

/** An event PCR before its first event. */
export const ZERO_PCR: Buffer = Buffer.alloc(32);

/** A slot may differ in as many files as an event names, each with a path as long as the system allows. */
export const EVENT_LIMITS: CborLimits = { ...MESSAGE_LIMITS, maxBytes: 512 * 1024 };

export function encodeEvent(event: LogEvent): Buffer {
  return encodeCbor(event as unknown as CborValue);
}

/** Errors: WireError, also for a type or version that we do not know. */
export function decodeEvent(content: Uint8Array): LogEvent {
  return parseShape(LogEvent, decodeCbor(content, EVENT_LIMITS), 'event');
}

/** {0: recnum, 1: pcr, 3: {0x0b: digest}, 84: content}: a CBOR map with integer keys. */
export function encodeRecord(record: CelRecord): Buffer {
  const to = new CborWriter();
  to.head(MAJOR.map, 4);
  to.value(0);
  to.value(record.recnum);
  to.value(1);
  to.value(record.pcr);
  to.value(3);
  to.head(MAJOR.map, 1);
  to.value(ALG_SHA256);
  to.value(record.digest);
  to.value(CONTENT_KEY);
  to.value(record.content);
  return to.end();
}

/** A record made from its event. */
export function makeRecord(recnum: number, pcr: number, event: LogEvent): CelRecord {
  const content = encodeEvent(event);
  return { recnum, pcr, digest: sha256(content), content };
}

/** A CBOR array of records that are encoded already. */
export function encodeLog(records: readonly Uint8Array[]): Buffer {
  const to = new CborWriter();
  to.head(MAJOR.array, records.length);
  for (const record of records) to.put(record);
  return to.end();
}

function argument(from: Reader, major: number): number {
  const first = from.uint(1);
  if (first >> 5 !== major) from.fail('WIRE_MALFORMED', `CBOR major type ${first >> 5}, must be ${major}`);
  const info = first & 31;
  if (info < 24) return info;
  if (info > 26) from.fail('WIRE_RANGE', 'larger than 32 bits or of indefinite length');
  const width = info === 24 ? 1 : info === 25 ? 2 : 4;
  const value = from.uint(width);
  if (value < (width === 1 ? 24 : 2 ** (4 * width))) from.fail('WIRE_MALFORMED', 'not in its shortest form');
  return value;
}

function key(from: Reader, expected: number): void {
  const found = argument(from, 0);
  if (found !== expected) from.fail('WIRE_MALFORMED', `key ${found}, must be ${expected}`);
}

function readRecord(from: Reader): CelRecord {
  from.path = 'record';
  const fields = argument(from, 5);
  if (fields !== 4) from.fail('WIRE_MALFORMED', `${fields} fields, must be 4`);
  key(from, 0);
  const recnum = argument(from, 0);
  key(from, 1);
  const pcr = argument(from, 0);
  key(from, 3);
  const digests = argument(from, 5);
  if (digests !== 1) from.fail('WIRE_MALFORMED', `${digests} digests, must be 1`);
  key(from, ALG_SHA256);
  const size = argument(from, 2);
  if (size !== 32) from.fail('WIRE_MALFORMED', `digest of ${size} bytes, must be 32`);
  const digest = from.take(size);
  key(from, CONTENT_KEY);
  const content = from.take(argument(from, 2));
  if (!equalBytes(sha256(content), digest))
    from.fail('WIRE_MALFORMED', `record ${recnum}: digest is not of its content`);
  return { recnum, pcr, digest, content };
}

/** One record that fills `bytes`. Errors: WireError. */
export function decodeRecord(bytes: Uint8Array): CelRecord {
  const from = new Reader(bytes, 'record');
  const record = readRecord(from);
  from.end();
  return record;
}

/** A log part; records must be consecutive. Errors: WireError. */
export function decodeLog(bytes: Uint8Array, maxRecords = 1_000_000): CelRecord[] {
  const from = new Reader(bytes, 'log');
  const count = argument(from, 4);
  if (count > maxRecords) from.fail('WIRE_LIMIT', `${count} records, at most ${maxRecords}`);
  const records: CelRecord[] = [];
  for (let i = 0; i < count; i++) {
    const record = readRecord(from);
    const before = records.at(-1);
    if (before !== undefined && record.recnum !== before.recnum + 1) {
      from.fail('WIRE_MALFORMED', `record ${record.recnum} after ${before.recnum}`);
    }
    records.push(record);
  }
  from.end();
  return records;
}

/** TPM2_PCR_Extend in the SHA-256 bank: SHA-256(value ‖ digest). */
export function extend(value: Uint8Array, digest: Uint8Array): Buffer {
  return sha256(value, digest);
}

/** The value after one more record: a foreign-extension first sets the value to what it found. */
export function advance(value: Uint8Array, record: CelRecord): Buffer {
  const event = decodeEvent(record.content);
  return extend(event.type === 'foreign-extension' ? event.found : value, record.digest);
}

/** The value that `records` lead to from `start`. */
export function replay(start: Uint8Array, records: readonly CelRecord[]): Buffer {
  return records.reduce<Buffer>((value, record) => advance(value, record), Buffer.from(start));
}
