// Readers of what comes over the network: CBOR, JSON, messages, logs and signed statements.
import { decodeCbor, encodeCbor } from '../../src/bytes/cbor.ts';
import type { CborValue } from '../../src/bytes/cbor.ts';
import { parseJsonStrict } from '../../src/bytes/json-strict.ts';
import { readCsv, writeCsv } from '../../src/bytes/csv.ts';
import { parseShape } from '../../src/bytes/shape.ts';
import { readLineList } from '../../src/controller/line-list.ts';
import { decodeLog } from '../../src/cel/record.ts';
import { readRequest } from '../../src/crypto/certificates.ts';
import { parseDsse } from '../../src/crypto/dsse.ts';
import { certificatesOf } from '../../src/crypto/ek-certificate.ts';
import { decodeClaims } from '../../src/evidence/claims-codec.ts';
import { readChallenge } from '../../src/protocol/challenge.ts';
import {
  decodeEnrolCredential,
  decodeEnrolOutcome,
  decodeEnrolProof,
  decodeEnrolRequest,
  decodeEvidence,
  decodeLogPart,
  decodeStatusHint,
} from '../../src/protocol/codec.ts';
import { batchShape } from '../../src/release/batch.ts';
import type { EkBatch } from '../../src/release/batch.ts';
import { readBundle } from '../../src/release/oms-bundle.ts';
import { readStatement } from '../../src/release/oms-statement.ts';
import { readPassport } from '../../src/release/passport.ts';
import { parseRootFile } from '../../src/release/root-chain.ts';
import { readRoot } from '../../src/release/root-link.ts';
import { readFleetFile } from '../../src/release/root.ts';
import { readEvents } from '../../src/verifier/event-reader.ts';
import { readLog } from '../../src/verifier/log-reader.ts';
import { decodeAcceptance } from '../../src/verifier/record-shape.ts';
import { anyReads, assertSame, readOrRefused } from './target.ts';
import type { Feed } from './target.ts';

const cbor: Feed = (bytes) => {
  const value = readOrRefused(() => decodeCbor(bytes));
  if (value === undefined) return false;
  // One value has one form: what was taken is what would have been written.
  assertSame(encodeCbor(value as CborValue).toString('hex'), bytes.toString('hex'), 'written again');
  return true;
};

const json: Feed = (bytes) => {
  const value = readOrRefused(() => parseJsonStrict(bytes));
  if (value === undefined) return false;
  assertSame(value, JSON.parse(bytes.toString('utf8')), 'read by JSON.parse');
  return true;
};

const evidence: Feed = (bytes) => {
  const message = readOrRefused(() => decodeEvidence(bytes));
  return message !== undefined && anyReads(Buffer.from(message.challenge), readChallenge);
};

const log: Feed = (bytes) => {
  const device = readOrRefused(() => decodeLog(bytes));
  const verifier = readOrRefused(() => readLog(bytes));
  // The device may be stricter (it also checks digests and numbers), never the other way round.
  if (device !== undefined) assertSame(verifier?.length, device.length, 'records for the verifier');
  return verifier !== undefined && anyReads(bytes, () => readEvents(bytes, verifier));
};

const statements: Feed = (bytes) => {
  const envelope = readOrRefused(() => parseDsse(bytes));
  const payload = envelope === undefined ? bytes : Buffer.from(envelope.payload, 'base64');
  return (
    anyReads(payload, whatIsIn(readStatement), whatIsIn(readPassport), whatIsIn(readRoot), readBatch) ||
    envelope !== undefined
  );
};

const readBatch = (bytes: Buffer): EkBatch => parseShape(batchShape, parseJsonStrict(bytes), 'batch');

const lineList: Feed = (bytes) => {
  const { entries, faults } = readLineList(bytes, null);
  if (faults.some(({ line }) => line < 1 || line > bytes.length + 1)) throw new RangeError('a fault on no line');
  return entries.length > 0;
};

const csv: Feed = (bytes) => {
  const limits = { maxBytes: 65_536, maxRows: 100 };
  const rows = readOrRefused(() => readCsv(bytes, [], limits));
  const [first] = rows ?? [];
  if (rows === undefined || first === undefined) return rows !== undefined;
  const names = [...first.cells.keys()];
  const cells = rows.map((row) => names.map((name) => row.cells.get(name) ?? ''));
  // What a spreadsheet would run is changed, and spaces around a plain cell are not part of it.
  if ([names, ...cells].flat().some((cell) => /^[=+\-@\t\r]/u.test(cell) || cell !== cell.trim() || cell === ''))
    return true;
  const again = readCsv(Buffer.from(writeCsv(names, cells)), names, { maxBytes: 1_048_576, maxRows: 100 });
  assertSame(
    again.map((row) => [...row.cells.values()]),
    cells,
    'read again',
  );
  return true;
};

/** Readers of releases answer with their faults where others throw. */
function whatIsIn(read: (bytes: Buffer) => object): (bytes: Buffer) => object | undefined {
  return (bytes) => {
    const answer = read(bytes);
    return 'faults' in answer || 'fault' in answer ? undefined : answer;
  };
}

const certificates: Feed = (bytes) =>
  anyReads(bytes, readRequest) || certificatesOf(bytes.toString('latin1')).certificates.length > 0;

export const MESSAGE_TARGETS: Readonly<Record<string, Feed>> = {
  cbor,
  json,
  evidence,
  claims: (bytes) => anyReads(bytes, decodeClaims),
  log,
  enrolment: (bytes) =>
    anyReads(bytes, decodeEnrolRequest, decodeEnrolCredential, decodeEnrolProof, decodeEnrolOutcome),
  challenge: (bytes) => anyReads(bytes, readChallenge, decodeStatusHint, decodeLogPart),
  statements,
  files: (bytes) => anyReads(bytes, whatIsIn(readBundle), parseRootFile, (file) => readFleetFile(file)),
  certificates,
  'line-list': lineList,
  csv,
  record: (bytes) => anyReads(bytes, decodeAcceptance),
};
