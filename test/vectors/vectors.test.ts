// Golden vectors: each message of version 1 is written and read byte for byte as it always was, and as the grammar says.
import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/bytes/cbor.ts';
import type { LogEvent } from '../../src/cel/events.ts';
import { advance, decodeEvent, decodeLog, encodeEvent, encodeLog, encodeRecord } from '../../src/cel/record.ts';
import { makeRecord, replay, ZERO_PCR } from '../../src/cel/record.ts';
import { parseDsse } from '../../src/crypto/dsse.ts';
import { importPublicKey, keyId } from '../../src/crypto/ecdsa.ts';
import { sha256 } from '../../src/crypto/digest.ts';
import { enrolQualifyingData, floorQualifyingData, qualifyingData } from '../../src/evidence/binding.ts';
import { decodeClaims, encodeClaims } from '../../src/evidence/claims-codec.ts';
import type { Claims } from '../../src/evidence/claims.ts';
import { deviceId } from '../../src/evidence/device-id.ts';
import { openChallenge, readChallenge, sealChallenge } from '../../src/protocol/challenge.ts';
import * as codec from '../../src/protocol/codec.ts';
import type * as messages from '../../src/protocol/messages.ts';
import { openStatement } from '../../src/protocol/statement.ts';
import type { StatementKind } from '../../src/protocol/statement.ts';
import { batchFaults, openBatch } from '../../src/release/batch.ts';
import type { EkBatch, SignedBatch } from '../../src/release/batch.ts';
import { encodePassport, readPassport } from '../../src/release/passport.ts';
import { judgeRoot } from '../../src/release/root.ts';
import type { FleetFile, Passport, RootStatement } from '../../src/release/types.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { judgeRecord } from '../../src/verifier/record.ts';
import { decodeAcceptance, encodeAcceptance } from '../../src/verifier/record-shape.ts';
import { decodeAnyCbor, faultsOf } from '../support/cddl-check.ts';
import { readGrammar, ruleOf } from '../support/cddl.ts';
import { textOf } from '../house/tree.ts';
import { build, NOW } from '../verifier/evidence-builder.ts';
import { cborNames, cborVector, signedNames, signedVector, vector, vectorNames } from './vectors.ts';
import type { CborVector } from './vectors.ts';

const grammar = readGrammar(textOf('src/protocol/touchstone.cddl'));
const bytesOf = (hex: string): Buffer => Buffer.from(hex, 'hex');

interface Coder {
  readonly encode: (value: unknown, vector: CborVector) => Buffer;
  readonly decode: (bytes: Buffer, vector: CborVector) => unknown;
}

function coder<T>(encode: (value: T) => Buffer, decode: (bytes: Uint8Array) => T): Coder {
  return { encode: (value) => encode(value as T), decode };
}

const macKey = (golden: CborVector): ReturnType<typeof createSecretKey> => createSecretKey(bytesOf(golden.macKey ?? ''));

const CODERS: Readonly<Record<string, Coder>> = {
  challenge: {
    encode: (value, golden) => sealChallenge(value as messages.Challenge, macKey(golden)),
    decode: (bytes, golden) => openChallenge(bytes, new Map([[readChallenge(bytes).kid, macKey(golden)]])),
  },
  claims: coder<Claims>(encodeClaims, decodeClaims),
  event: coder<LogEvent>(encodeEvent, decodeEvent),
  evidence: coder(codec.encodeEvidence, codec.decodeEvidence),
  'log-part': coder(codec.encodeLogPart, codec.decodeLogPart),
  'enrol-request': coder(codec.encodeEnrolRequest, codec.decodeEnrolRequest),
  'enrol-credential': coder(codec.encodeEnrolCredential, codec.decodeEnrolCredential),
  'enrol-proof': coder(codec.encodeEnrolProof, codec.decodeEnrolProof),
  'enrol-outcome': coder(codec.encodeEnrolOutcome, codec.decodeEnrolOutcome),
  'certificate-message': coder(codec.encodeCertificateMessage, codec.decodeCertificateMessage),
  'status-hint': coder(codec.encodeStatusHint, codec.decodeStatusHint),
  acceptance: coder(encodeAcceptance, decodeAcceptance),
};

describe.each(cborNames)('%s', (name) => {
  const golden = cborVector(name);
  const bytes = bytesOf(golden.hex);
  const { encode, decode } = CODERS[golden.rule] ?? coder(encodeCbor, () => null);

  test('is written byte for byte', () => {
    expect(encode(golden.value, golden).toString('hex')).toBe(golden.hex);
  });

  test('is read as the value it stands for', () => {
    expect(decode(bytes, golden)).toEqual(golden.value);
  });

  test('is as the grammar says', () => {
    const body = golden.rule === 'challenge' ? bytes.subarray(0, -32) : bytes;
    expect(faultsOf(grammar, ruleOf(grammar, golden.rule), decodeAnyCbor(body))).toEqual([]);
  });
});

describe.each(signedNames)('%s', (name) => {
  const golden = signedVector(name);
  const kind = golden.rule as StatementKind;
  const key = importPublicKey(golden.publicPem);

  test('opens with the key that signed it to the value it stands for', () => {
    expect(keyId(key)).toBe(golden.keyId);
    expect(openStatement(kind, Buffer.from(golden.envelope), new Map([[golden.keyId, key]]))).toEqual(golden.value);
  });

  test('has the payload that we would write, and the grammar says so too', () => {
    const envelope = parseDsse(Buffer.from(golden.envelope));
    expect(Buffer.from(envelope.payload, 'base64').toString()).toBe(golden.payload);
    expect(JSON.stringify(golden.value)).toBe(golden.payload);
    expect(faultsOf(grammar, ruleOf(grammar, kind), golden.value)).toEqual([]);
    expect(faultsOf(grammar, ruleOf(grammar, 'dsse-envelope'), envelope)).toEqual([]);
  });
});

interface LogVector {
  readonly pcr: number;
  readonly events: readonly LogEvent[];
  readonly hex: string;
  readonly records: readonly string[];
  readonly values: readonly string[];
}

test('the log is written, read and replayed as it always was', () => {
  const { pcr, events, hex, records, values } = vector('log') as LogVector;
  const made = events.map((event, i) => makeRecord(i + 1, pcr, event));
  expect(made.map((record) => encodeRecord(record).toString('hex'))).toEqual(records);
  expect(encodeLog(made.map(encodeRecord)).toString('hex')).toBe(hex);
  expect(decodeLog(bytesOf(hex))).toEqual(made);
  expect(faultsOf(grammar, ruleOf(grammar, 'log'), decodeAnyCbor(bytesOf(hex)))).toEqual([]);
  expect(values.map((_, i) => replay(ZERO_PCR, made.slice(0, i + 1)).toString('hex'))).toEqual(values);
  expect(advance(ZERO_PCR, made[0] ?? makeRecord(1, pcr, events[0] as LogEvent)).toString('hex')).toBe(values[0]);
});

test('what a quote binds is what it always was', () => {
  const golden = vector('binding') as Readonly<Record<string, string>>;
  const at = (field: string): Buffer => bytesOf(golden[field] ?? '');
  expect(qualifyingData(at('challenge'), at('claims'), at('log')).toString('hex')).toBe(golden['evidenceQualifyingData']);
  const inParts = { digest: sha256(at('log')) };
  expect(qualifyingData(at('challenge'), at('claims'), inParts).toString('hex')).toBe(golden['evidenceQualifyingData']);
  expect(sha256(at('evidenceBinding')).toString('hex')).toBe(golden['evidenceQualifyingData']);
  expect(enrolQualifyingData(at('request')).toString('hex')).toBe(golden['enrolQualifyingData']);
  expect(sha256(at('enrolBinding')).toString('hex')).toBe(golden['enrolQualifyingData']);
  for (const [field, rule] of [['evidenceBinding', 'evidence-binding'], ['enrolBinding', 'enrol-binding']] as const) {
    expect(faultsOf(grammar, ruleOf(grammar, rule), decodeAnyCbor(at(field)))).toEqual([]);
  }
});

test('what a certificate of version floors binds is what it always was', () => {
  const golden = vector('floor-binding') as Readonly<Record<string, string>>;
  const binding = bytesOf(golden['floorBinding'] ?? '');
  expect(floorQualifyingData(bytesOf(golden['challenge'] ?? '')).toString('hex')).toBe(golden['floorQualifyingData']);
  expect(sha256(binding).toString('hex')).toBe(golden['floorQualifyingData']);
  expect(faultsOf(grammar, ruleOf(grammar, 'floor-binding'), decodeAnyCbor(binding))).toEqual([]);
});

test('a device is called what it always was', () => {
  const golden = vector('device-id') as { fleetId: string; ekName: string; deviceId: string };
  expect(deviceId(bytesOf(golden.fleetId), bytesOf(golden.ekName))).toBe(golden.deviceId);
});

test('a passport is written, read and named as it always was', () => {
  const golden = vector('passport') as { value: Passport; payload: string; releaseId: string };
  const payload = encodePassport(golden.value);
  expect(payload.toString()).toBe(golden.payload);
  expect(sha256(payload).toString('hex')).toBe(golden.releaseId);
  expect(readPassport(payload)).toMatchObject({ passport: golden.value, subject: golden.value.statementDigest });
  expect(faultsOf(grammar, ruleOf(grammar, 'passport-statement'), JSON.parse(golden.payload))).toEqual([]);
});

test.each(['root', 'root-escrow', 'root-stations'])('the root statement %s counts by two of its root keys', (name) => {
  const golden = vector(name) as { fleet: FleetFile; value: object; payload: string; envelope: string };
  const judged = judgeRoot(golden.fleet, Buffer.from(golden.envelope), 1);
  expect(judged).toMatchObject({ ok: true, root: golden.value });
  expect(JSON.stringify(golden.value)).toBe(golden.payload);
  expect(faultsOf(grammar, ruleOf(grammar, 'root'), golden.value)).toEqual([]);
});

test('a record is judged again by fleet.json alone, as it always was', () => {
  const golden = vector('acceptance') as CborVector & { fleet: FleetFile; file: string; status: string };
  const judged = judgeRecord(Buffer.from(golden.file), Buffer.from(JSON.stringify(golden.fleet)));
  expect([judged.findings, judged.result?.status, judged.verdict?.status]).toEqual([[], golden.status, golden.status]);
  const file = JSON.parse(golden.file) as { acceptance: { payload: string } };
  expect(faultsOf(grammar, ruleOf(grammar, 'record'), file)).toEqual([]);
  expect(Buffer.from(file.acceptance.payload, 'base64').toString('hex')).toBe(golden.hex);
});

test('a batch of a station is read as the value it stands for', () => {
  const golden = vector('ek-batch') as { station: NonNullable<RootStatement['stations']>[0]; value: EkBatch; payload: string; file: string };
  const root = { fleetId: golden.value.fleetId, stations: [golden.station], revoked: [] };
  const opened = openBatch(Buffer.from(golden.file), root);
  expect(opened).toEqual({ batch: golden.value, signers: [golden.station.id] });
  expect(batchFaults({ ...(opened as SignedBatch), root, now: golden.value.expires })).toEqual([]);
  const envelope = parseDsse(Buffer.from(golden.file));
  expect(Buffer.from(envelope.payload, 'base64').toString()).toBe(golden.payload);
  expect(JSON.stringify(golden.value)).toBe(golden.payload);
  expect(faultsOf(grammar, ruleOf(grammar, 'ek-batch'), golden.value)).toEqual([]);
});

describe('the golden evidence', () => {
  test.each(['evidence', 'evidence-in-parts', 'evidence-floors'])('%s is accepted and affirming', (name) => {
    const { hex, akPublicPem, qualifiedName } = vector(name) as CborVector & { akPublicPem: string; qualifiedName: string };
    const input = build();
    const { profile } = input.reference;
    const slots = profile.slots.map((slot) => (name === 'evidence-floors' ? { ...slot, floor: 0 } : slot));
    const appraisal = appraise({
      ...input,
      reference: { ...input.reference, profile: { ...profile, slots } },
      evidence: bytesOf(hex),
      log: name === 'evidence-in-parts' ? bytesOf((vector('log') as LogVector).hex) : null,
      endorsement: {
        ...input.endorsement,
        akKey: importPublicKey(akPublicPem),
        akQualifiedName: bytesOf(qualifiedName),
      },
      now: NOW + 1000,
    });
    expect(appraisal.findings).toEqual([]);
    expect(appraisal).toMatchObject({ accepted: true, status: 'affirming', assurance: 'A2' });
  });
});

test('every message, event and statement of the grammar has a vector', () => {
  const rules = new Set(vectorNames.map((name) => (vector(name) as { rule?: string }).rule));
  const message = ruleOf(grammar, 'message');
  const named = message.is === 'choice' ? message.options.map((option) => (option.is === 'rule' ? option.name : '')) : [];
  const wanted = [...named, 'claims', 'event', 'log', 'result', 'command', 'instruction', 'endorsement', 'root', 'passport-statement', 'ek-batch', 'acceptance'];
  expect(wanted.filter((rule) => !rules.has(rule))).toEqual([]);
  const types = cborNames.filter((name) => name.startsWith('event-')).map((name) => (cborVector(name).value as LogEvent).type);
  expect(new Set(types)).toEqual(new Set(['boot', 'agent-start', 'slot', 'engine', 'foreign-extension']));
});
