// A record of one acceptance: made where it was accepted, judged anywhere and at any time later, from the file and fleet.json alone.
import { parseJsonStrict } from '../bytes/json-strict.ts';
import type { KeyObject } from 'node:crypto';
import { parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { toUtf8 } from '../bytes/text.ts';
import { dsseShape, signDsse, verifyDsse } from '../crypto/dsse.ts';
import type { DsseEnvelope } from '../crypto/dsse.ts';
import { ConfigError, WireError } from '../errors.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import { openStatement, payloadType } from '../protocol/statement.ts';
import { encodeRootFile } from '../release/root-chain.ts';
import { extendTrust, loadTrust, readFleetFile } from '../release/root.ts';
import type { Trust } from '../release/root.ts';
import type { RuleId } from '../rules/catalogue.ts';
import type { Finding } from '../rules/finding.ts';
import { appraiseWith } from './appraise.ts';
import { checks } from './checks.ts';
import type { Checks } from './checks.ts';
import { trustedEndorsement } from './endorsement.ts';
import { decodeAcceptance, encodeAcceptance, inputOf, RECORD_BYTES, recordOf } from './record-shape.ts';
import type { AcceptanceRecord } from './record-shape.ts';
import { resultOf, verdictOf } from './result.ts';
import type { Verdict } from './result.ts';
import { sameBytes } from './same-bytes.ts';
import type { Appraisal, AppraisalInput } from './types.ts';

const RECORD_TYPE = 'application/vnd.touchstone.acceptance+cbor';
/** Base64 and the statements beside it. */
const FILE_BYTES = 2 * RECORD_BYTES;

interface RecordFile {
  readonly v: 1;
  /** From fleet.json to the statement by which the keys counted. */
  readonly root: readonly DsseEnvelope[];
  readonly endorsement: DsseEnvelope;
  readonly acceptance: DsseEnvelope;
  readonly result: DsseEnvelope;
}

export const recordFileShape: Shape<RecordFile> = v.strictObject({
  v: v.literal(1),
  root: v.pipe(v.array(dsseShape), v.minLength(1), v.maxLength(64)),
  endorsement: dsseShape,
  acceptance: dsseShape,
  result: dsseShape,
});

/** Where the keys of challenges are not: that the challenge was the controller's own stands in its signature under the record. */
const WITHOUT_MAC: Checks = { ...checks, asked: checks.asked.filter(({ name }) => name !== 'challenge-mac') };

export interface RecordParts {
  readonly input: AppraisalInput;
  readonly fleetId: string;
  readonly aside: boolean;
  /** The envelopes as the controller holds them, JSON. */
  readonly endorsement: string;
  readonly result: string;
  readonly root: readonly DsseEnvelope[];
}

/** The file, signed by the controller's result key. Errors: RangeError for an acceptance that is too large to be recorded. */
export function makeRecord(parts: RecordParts, key: KeyObject): Buffer {
  const payload = encodeAcceptance(recordOf(parts.input, parts.fleetId, parts.aside));
  const file: RecordFile = {
    v: 1,
    root: parts.root,
    endorsement: JSON.parse(parts.endorsement) as DsseEnvelope,
    acceptance: signDsse(RECORD_TYPE, payload, [key]),
    result: JSON.parse(parts.result) as DsseEnvelope,
  };
  return toUtf8(`${JSON.stringify(file)}\n`);
}

/** What a record is worth: worth nothing while `findings` holds one; the verdict of `result` otherwise. */
export interface JudgedRecord {
  readonly findings: readonly Finding[];
  readonly record: AcceptanceRecord | null;
  readonly appraisal: Appraisal | null;
  /** As it comes out here. */
  readonly verdict: Verdict | null;
  /** As the controller signed it. */
  readonly result: ResultStatement | null;
}

/** Bytes of a statement that such a key signed for this purpose; null when none did. */
function opened(envelope: DsseEnvelope, type: string, keys: ReadonlyMap<string, KeyObject>): Buffer | null {
  return verifyDsse(envelope, type, keys)?.payload ?? null;
}

class Judgement {
  readonly #findings: Finding[] = [];
  record: AcceptanceRecord | null = null;
  appraisal: Appraisal | null = null;
  verdict: Verdict | null = null;
  result: ResultStatement | null = null;

  refuse(rule: RuleId, expected: string, found: string): this {
    this.#findings.push({ rule, status: 'none', subject: 'device', expected, found, source: 'fleet' });
    return this;
  }

  get done(): JudgedRecord {
    const { record, appraisal, verdict, result } = this;
    return { findings: this.#findings, record, appraisal, verdict, result };
  }
}

function judgeFile(file: RecordFile, trust: Trust, judgement: Judgement): Judgement {
  const keys = trust.resultKeys;
  const payload = opened(file.acceptance, RECORD_TYPE, keys);
  const signed = opened(file.result, payloadType('result'), keys);
  const result = openStatement('result', toUtf8(JSON.stringify(file.result)), keys);
  const endorsement = openStatement('endorsement', toUtf8(JSON.stringify(file.endorsement)), keys);
  const unsigned = Object.entries({ record: payload, verdict: result && signed, endorsement })
    .filter(([, value]) => value === null)
    .map(([what]) => what);
  if (payload === null || signed === null || result === null || endorsement === null) {
    return judgement.refuse(
      'record-signature',
      'signatures by a result key of the fleet root',
      `not signed so: ${unsigned.join(', ')}`,
    );
  }
  const record = decodeAcceptance(payload);
  judgement.record = record;
  judgement.result = result;
  const subjects = [record, result, endorsement].map(({ fleetId, deviceId }) => `${fleetId} ${deviceId}`);
  const here = `${trust.fleet.fleetId} ${record.deviceId}`;
  if (subjects.some((subject) => subject !== here)) {
    return judgement.refuse('record-subject', here, [...new Set(subjects)].join('; '));
  }
  const appraisal = appraiseWith(WITHOUT_MAC, { ...inputOf(record), endorsement: trustedEndorsement(endorsement) });
  judgement.appraisal = appraisal;
  const { fleetId, deviceId, now, aside, policy } = record;
  judgement.verdict = verdictOf(appraisal, aside, policy.leaseForMs);
  const again = resultOf(appraisal, judgement.verdict, { fleetId, deviceId, now });
  if (!appraisal.accepted || !sameBytes(toUtf8(JSON.stringify(again)), signed)) {
    return judgement.refuse(
      'record-verdict',
      `${result.status}, ${result.assurance}, as signed`,
      wordsOf(again, appraisal),
    );
  }
  return judgement;
}

function wordsOf({ status, assurance, findings }: ResultStatement, { accepted }: Appraisal): string {
  const rules = [...new Set(findings.map(({ rule }) => rule))].join(', ');
  return `${accepted ? '' : 'not accepted: '}${status}, ${assurance}${rules === '' ? '' : ` (${rules})`}`;
}

/** The keys that count: by the newest statement that fleet.json leads to, of the reader's root.json and the one in the file. */
function trustFor(file: RecordFile, fleetFile: Uint8Array, rootFile: Uint8Array | null): Trust | string {
  const inFile = encodeRootFile(file.root);
  // Their age is no matter: what was signed while a statement held stays signed.
  if (rootFile !== null) {
    const extended = extendTrust(loadTrust(fleetFile, rootFile, 0, 0), inFile, 0);
    return extended.ok ? extended.trust : extended.findings.map(({ rule, found }) => `${rule}: ${found}`).join('; ');
  }
  readFleetFile(fleetFile);
  try {
    return loadTrust(fleetFile, inFile, 0, 0);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/**
 * Judges a record. `fleetFile`: the fleet.json that the reader trusts; `rootFile`: the reader's root.json, which may have revoked keys since. Never throws for what the record is. Errors: ConfigError for a fleet.json or root.json that is not to be trusted.
 */
export function judgeRecord(file: Uint8Array, fleetFile: Uint8Array, rootFile: Uint8Array | null = null): JudgedRecord {
  const judgement = new Judgement();
  try {
    const parsed = parseShape(recordFileShape, parseJsonStrict(file, { maxBytes: FILE_BYTES, maxDepth: 8 }), 'record');
    const trust = trustFor(parsed, fleetFile, rootFile);
    if (typeof trust !== 'string') return judgeFile(parsed, trust, judgement).done;
    return judgement.refuse('record-signature', 'a root statement that fleet.json leads to', trust).done;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return judgement.refuse('record-malformed', 'a record of an acceptance', error.message).done;
  }
}
