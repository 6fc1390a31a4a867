// From the bytes of passport.json and model.sig to a release that a publisher of this fleet signed, or everything that is wrong.
import type { KeyObject } from 'node:crypto';
import { fromBase64, toHex, toUtf8 } from '../bytes/text.ts';
import { parseDsse, pae, verifyDsse } from '../crypto/dsse.ts';
import { sha256 } from '../crypto/digest.ts';
import { publicPem, verifyEcdsa } from '../crypto/ecdsa.ts';
import type { Finding } from '../rules/finding.ts';
import { orFault, toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import type { FileDigest } from './manifest.ts';
import { readBundle } from './oms-bundle.ts';
import { IN_TOTO_TYPE, readStatement } from './oms-statement.ts';
import type { OmsStatement } from './oms-statement.ts';
import { CONTENT_CHECKS, SIGNATURE_CHECKS } from './open-checks.ts';
import type { Check, Contents, SignedFile } from './open-checks.ts';
import { readPassport } from './passport.ts';
import { importKeys } from './root-keys.ts';
import type { Passport, RootStatement } from './types.ts';

/** A passport's envelope: 256 KiB of statement in base64 and its signatures. */
export const PASSPORT_FILE_BYTES: number = 512 * 1024;

/** Signatures, signers and statements agree. Nothing is said of the files on any disk: that is `VerifiedRelease`. */
export interface SignedRelease {
  /** SHA-256 of the passport's exact payload bytes, hex. */
  readonly id: string;
  readonly passport: Passport;
  readonly statement: OmsStatement;
  /** Every file with its SHA-256; null where the statement has other digests (shards, BLAKE2b). */
  readonly entries: readonly FileDigest[] | null;
  /** Id of the publisher key that signed the passport. */
  readonly signedBy: string;
}

export interface OpenReleaseInput {
  /** model.sig and passport.json, exact bytes; null where there is none. */
  readonly sig: Uint8Array | null;
  readonly passport: Uint8Array | null;
  readonly publishers: RootStatement['publishers'];
  readonly revoked: RootStatement['revoked'];
  readonly releaseThresholds: RootStatement['releaseThresholds'] | undefined;
  /** What findings are about: a slot's name, or `release`. */
  readonly subject?: string;
}

/** Whose signatures count, and how many. */
export type KeyTable = Pick<OpenReleaseInput, 'publishers' | 'revoked' | 'releaseThresholds'>;

/** The key table of a root statement, as new releases are judged by it. */
export function keyTableOf({ publishers, revoked, releaseThresholds }: RootStatement): KeyTable {
  return { publishers, revoked, releaseThresholds };
}

/**
 * The same for a release that was let in before: what the root said since, of keys and of their number, stops new installations and
 * not what runs. A stolen key's release that must not run either is withdrawn by its id.
 */
export function tableForRunning({ publishers }: RootStatement): KeyTable {
  return { publishers, revoked: [], releaseThresholds: undefined };
}

export type OpenedRelease =
  | { readonly ok: true; readonly release: SignedRelease }
  | { readonly ok: false; readonly findings: readonly Finding[] };

interface Faulty {
  readonly faults: readonly ReleaseFault[];
}
type Keys = ReadonlyMap<string, KeyObject>;
/** A signed file with its unread payload, or why there is none. */
type Read = { readonly file: SignedFile; readonly payload: Buffer } | Faulty;

function missing(what: string): Read {
  return { faults: [{ rule: 'release-unsigned', expected: what, found: 'nothing' }] };
}

function readPassportFile(bytes: Uint8Array | null, keys: Keys): Read {
  if (bytes === null) return missing('a signed passport (passport.json)');
  const read = orFault('release-malformed', 'passport envelope', () => {
    const envelope = parseDsse(bytes, PASSPORT_FILE_BYTES);
    return { envelope, payload: fromBase64(envelope.payload), opened: verifyDsse(envelope, IN_TOTO_TYPE, keys) };
  });
  if ('fault' in read) return { faults: [read.fault] };
  const { envelope, payload, opened } = read.value;
  const names = envelope.signatures.flatMap((one) => one.keyid ?? []);
  const ours = names.find((one) => keys.has(one));
  const named = ours ?? names[0] ?? null;
  const signedBy = opened?.signedBy ?? [];
  return { payload, file: { what: 'passport', method: 'key', signedBy, named, namesOurs: ours !== undefined } };
}

/** How model.sig names a key: SHA-256 of its PEM text (the reference tool's reading of `hint`). */
export function keyHint(key: KeyObject): string {
  return toHex(sha256(toUtf8(publicPem(key))));
}

function readSignatureFile(bytes: Uint8Array | null, keys: Keys): Read {
  if (bytes === null) return missing('a model signature (model.sig)');
  const read = readBundle(bytes);
  if ('faults' in read) return read;
  const { signing, payload, signature } = read.bundle;
  const message = pae(IN_TOTO_TYPE, payload);
  const hint = signing.method === 'key' ? signing.hint : null;
  // As the reference tool does: a signature that names another key is not this key's.
  const asked = [...keys].filter(([, key]) => hint === null || keyHint(key) === hint);
  const signedBy = asked.filter(([, key]) => verifyEcdsa(key, message, signature)).map(([id]) => id);
  const ours = hint === null ? undefined : asked[0]?.[0];
  const named = ours ?? hint;
  return {
    payload,
    file: { what: 'model.sig', method: signing.method, signedBy, named, namesOurs: ours !== undefined },
  };
}

/** The payload once the checks of its signature found nothing; otherwise what they found. */
function signedPayload(
  read: Read,
  checks: readonly Check<SignedFile>[],
): { payload: Buffer; by: readonly string[] } | Faulty {
  if ('faults' in read) return read;
  const faults = checks.flatMap((check) => check.judge(read.file));
  return faults.length > 0 ? { faults } : { payload: read.payload, by: read.file.signedBy };
}

/** The files with their SHA-256, where the statement has whole-file SHA-256. A lone `.` is the file that the subject names. */
function entriesOf(statement: OmsStatement): FileDigest[] | null {
  const { method, hash_type: hashType } = statement.serialization;
  if (method !== 'files' || hashType !== 'sha256') return null;
  return statement.files.map(({ path, parts }) => ({
    path: path === '.' ? statement.subject.name : path,
    sha256: parts[0]?.digest ?? Buffer.alloc(0),
  }));
}

function signerOf({ passport, passportBy, publishers, revoked }: Contents): string {
  const may = publishers.filter((one) => one.modelIds.includes(passport?.passport.modelId ?? ''));
  const live = passportBy.filter((id) => revoked.every((one) => one.id !== id));
  return live.find((id) => may.some((one) => one.id === id)) ?? passportBy[0] ?? 'nobody';
}

/** What is asked of the two signed files, stage by stage. */
export interface OpenChecks {
  readonly signature: readonly Check<SignedFile>[];
  readonly content: readonly Check<Contents>[];
}

export const OPEN_CHECKS: OpenChecks = { signature: SIGNATURE_CHECKS, content: CONTENT_CHECKS };

/**
 * Judges a release by its two signed files and the root's key table. All findings come at once, but nothing is read of what is not
 * signed by a publisher. Pure; never throws on bad bytes.
 */
export function openRelease(input: OpenReleaseInput): OpenedRelease {
  return openReleaseWith(OPEN_CHECKS, input);
}

/** The same with other checks: how a test shows what each is good for. */
export function openReleaseWith(checks: OpenChecks, input: OpenReleaseInput): OpenedRelease {
  const { publishers, revoked, releaseThresholds } = input;
  const keys = importKeys(publishers);
  const faults: ReleaseFault[] = [];
  const kept = <T extends object>(read: T): Exclude<T, Faulty> | null => {
    if (!('faults' in read)) return read as Exclude<T, Faulty>;
    faults.push(...(read as T & Faulty).faults);
    return null;
  };
  const ofPassport = kept(signedPayload(readPassportFile(input.passport, keys), checks.signature));
  const ofStatement = kept(signedPayload(readSignatureFile(input.sig, keys), checks.signature));
  const contents: Contents = {
    passport: ofPassport === null ? null : kept(readPassport(ofPassport.payload)),
    passportBy: ofPassport?.by ?? [],
    statement: ofStatement === null ? null : (kept(readStatement(ofStatement.payload))?.statement ?? null),
    statementBy: ofStatement?.by ?? [],
    publishers,
    revoked,
    releaseThresholds,
  };
  faults.push(...checks.content.flatMap((check) => check.judge(contents)));
  const { passport, statement } = contents;
  if (faults.length > 0 || ofPassport === null || passport === null || statement === null) {
    return { ok: false, findings: faults.map((fault) => toFinding(fault, input.subject ?? 'release', 'fleet')) };
  }
  const release: SignedRelease = {
    id: toHex(sha256(ofPassport.payload)),
    passport: passport.passport,
    statement,
    entries: entriesOf(statement),
    signedBy: signerOf(contents),
  };
  return { ok: true, release };
}

/** A passport alone: who signed it was asked, what it is about was not. */
export interface SignedPassport {
  /** The release's id, hex. */
  readonly id: string;
  readonly passport: Passport;
}

/** Opens the bytes of a passport.json by the root's key table; null when anything is wrong. Pure; never throws on bad bytes. */
export function openPassport(
  bytes: Uint8Array,
  { publishers, revoked, releaseThresholds }: KeyTable,
): SignedPassport | null {
  const signed = signedPayload(readPassportFile(bytes, importKeys(publishers)), SIGNATURE_CHECKS);
  if ('faults' in signed) return null;
  const passport = readPassport(signed.payload);
  if ('faults' in passport) return null;
  const nothing = { statement: null, statementBy: [] };
  const table = { publishers, revoked, releaseThresholds };
  const contents: Contents = { passport, passportBy: signed.by, ...nothing, ...table };
  if (CONTENT_CHECKS.some((check) => check.judge(contents).length > 0)) return null;
  return { id: toHex(sha256(signed.payload)), passport: passport.passport };
}
