// The kernel's measurement list as a file, binary or ASCII, read into records; anything that is not exactly a record is refused.
import { createHash } from 'node:crypto';
import { Reader } from '../bytes/wire.ts';
import { IMA_LIMITS, IMA_PCR, readTemplateData, templateData, templateOf } from './ima-record.ts';
import type { ImaRecord } from './ima-record.ts';
import { sized32le, u32le } from './little-endian.ts';

/** What the list shows of each record, for the eye: SHA-1, whatever the bank. */
const LISTED_BYTES = 20;
const MAX_TEMPLATE_NAME = 64;

function readRecord(from: Reader, at: string): ImaRecord {
  from.path = at;
  const pcr = u32le(from);
  if (pcr !== IMA_PCR) from.fail('WIRE_RANGE', `PCR ${pcr}, must be ${IMA_PCR}`);
  const listed = from.take(LISTED_BYTES);
  const template = templateOf(sized32le(from, MAX_TEMPLATE_NAME).toString('latin1'), from);
  const data = sized32le(from, IMA_LIMITS.data);
  const record = readTemplateData(template, data, listed, at);
  if (!record.violation && !createHash('sha1').update(data).digest().equals(listed)) {
    from.fail('WIRE_MALFORMED', 'the template digest is not of the data beside it');
  }
  return record;
}

function checkCount(count: number, from: Reader): void {
  if (count === IMA_LIMITS.records) from.fail('WIRE_LIMIT', `more than ${IMA_LIMITS.records} records`);
}

function readBinary(from: Reader): ImaRecord[] {
  const records: ImaRecord[] = [];
  while (from.left > 0) {
    checkCount(records.length, from);
    records.push(readRecord(from, `records[${records.length}]`));
  }
  return records;
}

/** `10 <template digest> <template> <algorithm>:<file digest> <path>[ <signature>]`; the kernel leaves no space in a path. */
const LINE = /^10 ([0-9a-f]{40}) ([a-z-]{1,64}) ([a-z0-9]{1,16}):([0-9a-f]{2,128}) ([^ ]*)(?: ((?:[0-9a-f]{2})*))?$/;

function readLine(line: Buffer, at: string): ImaRecord {
  const from = new Reader(line, at);
  // Bytes as characters, so that a path which is not UTF-8 is still hashed as the kernel did.
  const match = LINE.exec(line.toString('latin1'));
  if (match === null) return from.fail('WIRE_MALFORMED', 'not a line of a measurement list');
  const [, listedHex = '', name = '', algorithm = '', digest = '', path = '', signature = ''] = match;
  const template = templateOf(name, from);
  const fields = {
    template,
    algorithm,
    fileDigest: Buffer.from(digest, 'hex'),
    signature: Buffer.from(signature, 'hex'),
  };
  const data = templateData(fields, Buffer.from(path, 'latin1'));
  const listed = Buffer.from(listedHex, 'hex');
  const record = readTemplateData(template, data, listed, at);
  if (!record.violation && !createHash('sha1').update(data).digest().equals(listed)) {
    from.fail('WIRE_MALFORMED', 'the template digest is not of the fields beside it');
  }
  return record;
}

function readAscii(bytes: Buffer, from: Reader): ImaRecord[] {
  const records: ImaRecord[] = [];
  for (let start = 0; start < bytes.length;) {
    checkCount(records.length, from);
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    records.push(readLine(bytes.subarray(start, end), `lines[${records.length}]`));
    start = end + 1;
  }
  return records;
}

/** Reads binary_runtime_measurements or ascii_runtime_measurements: the first bytes tell which. Errors: WireError. */
export function readImaList(bytes: Uint8Array): ImaRecord[] {
  const from = new Reader(bytes, 'list');
  if (bytes.length > IMA_LIMITS.bytes) from.fail('WIRE_LIMIT', `${bytes.length} bytes, at most ${IMA_LIMITS.bytes}`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('latin1', 0, 3) === '10 ' ? readAscii(buffer, from) : readBinary(from);
}
