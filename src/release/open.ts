// From the bytes of passport.json and model.sig to a release that a publisher of this fleet signed, or everything that is wrong.
import type { KeyObject } from 'node:crypto';
import { toHex, toUtf8 } from '../bytes/text.ts';
import { parseDsse, pae, verifyDsse } from '../crypto/dsse.ts';
import { equalBytes, sha256 } from '../crypto/digest.ts';
import { publicPem, verifyEcdsa } from '../crypto/ecdsa.ts';
import type { Finding } from '../rules/finding.ts';
import { orFault, toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import type { FileDigest } from './manifest.ts';
import { readBundle } from './oms-bundle.ts';
import { pathFault } from './oms-resources.ts';
import { IN_TOTO_TYPE, readStatement } from './oms-statement.ts';
import type { OmsStatement } from './oms-statement.ts';
import { readPassport } from './passport.ts';
import { importKeys } from './root.ts';
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
  /** What findings are about: a slot's name, or `release`. */
  readonly subject?: string;
}

export type OpenedRelease =
  | { readonly ok: true; readonly release: SignedRelease }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Who signed, out of everybody the root has ever named as publisher. */
interface Signed<T> {
  readonly value: T;
  readonly signedBy: readonly string[];
}
type Read<T> = Signed<T> | { readonly faults: readonly ReleaseFault[] };

function unsigned(what: string): ReleaseFault {
  return { rule: 'release-unsigned', expected: what, found: 'nothing' };
}

/** A signature that no key made: broken when it names one of ours, a stranger's otherwise. */
function notSigned(what: string, named: string | null, isOurs: boolean): ReleaseFault {
  return isOurs
    ? {
        rule: 'release-signature',
        expected: `${what}: the signature of the key it names, ${named ?? ''}`,
        found: 'invalid',
      }
    : {
        rule: 'release-signer',
        expected: `${what} signed by a publisher of this fleet`,
        found: `key ${named ?? 'unnamed'}`,
      };
}

function readSignedPassport(
  bytes: Uint8Array | null,
  keys: ReadonlyMap<string, KeyObject>,
): Read<Passport> & { payload?: Buffer } {
  if (bytes === null) return { faults: [unsigned('a passport (passport.json)')] };
  const read = orFault('release-malformed', 'passport envelope', () => {
    const envelope = parseDsse(bytes, PASSPORT_FILE_BYTES);
    return { envelope, opened: verifyDsse(envelope, IN_TOTO_TYPE, keys) };
  });
  if ('fault' in read) return { faults: [read.fault] };
  const { envelope, opened } = read.value;
  if (opened === null) {
    const names = envelope.signatures.flatMap((one) => one.keyid ?? []);
    const ours = names.find((one) => keys.has(one));
    return { faults: [notSigned('passport', ours ?? names[0] ?? null, ours !== undefined)] };
  }
  // Only now may the payload be read: somebody whom the root names has signed it.
  const passport = readPassport(opened.payload);
  if (!('passport' in passport)) return { faults: passport.faults };
  if (passport.faults.length > 0) return { faults: passport.faults };
  return { value: passport.passport, signedBy: opened.signedBy, payload: opened.payload };
}

/** How model.sig names a key: SHA-256 of its PEM text (the reference tool's reading of `hint`). */
export function keyHint(key: KeyObject): string {
  return toHex(sha256(toUtf8(publicPem(key))));
}

function readSignedStatement(bytes: Uint8Array | null, keys: ReadonlyMap<string, KeyObject>): Read<OmsStatement> {
  if (bytes === null) return { faults: [unsigned('a model signature (model.sig)')] };
  const read = readBundle(bytes);
  if ('faults' in read) return read;
  const { signing, payload, signature } = read.bundle;
  if (signing.method !== 'key') {
    const expected = 'the key of a publisher of this fleet';
    return { faults: [{ rule: 'release-signing-method', expected, found: signing.method }] };
  }
  const message = pae(IN_TOTO_TYPE, payload);
  const signedBy = [...keys].filter(([, key]) => verifyEcdsa(key, message, signature)).map(([id]) => id);
  if (signedBy.length === 0) {
    const ours = [...keys].find(([, key]) => keyHint(key) === signing.hint);
    return { faults: [notSigned('model.sig', ours?.[0] ?? signing.hint, ours !== undefined)] };
  }
  const statement = readStatement(payload);
  return 'faults' in statement ? statement : { value: statement.statement, signedBy };
}

/** The first signer who may sign for this model id and was not revoked; otherwise why there is none. */
function authorised(
  what: string,
  signedBy: readonly string[],
  modelId: string,
  { publishers, revoked }: Pick<OpenReleaseInput, 'publishers' | 'revoked'>,
): { id: string } | { fault: ReleaseFault } {
  const named = signedBy.filter((id) => publishers.some((one) => one.id === id && one.modelIds.includes(modelId)));
  const live = named.find((id) => !revoked.some((one) => one.id === id));
  if (live !== undefined) return { id: live };
  const gone = revoked.find((one) => signedBy.includes(one.id));
  if (gone !== undefined) {
    const expected = `${what} signed by a key that was not revoked`;
    return { fault: { rule: 'release-signer-revoked', expected, found: `key ${gone.id}, revoked: ${gone.reason}` } };
  }
  const expected = `${what} signed by a publisher of model ${modelId}`;
  return {
    fault: { rule: 'release-signer', expected, found: `a publisher of other models, key ${signedBy[0] ?? ''}` },
  };
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

/** A model of one file that the signer did not name is called as the subject is; that name must then be a safe one. */
function lonePathFault(statement: OmsStatement): ReleaseFault | null {
  if (statement.files[0]?.path !== '.') return null;
  const { name } = statement.subject;
  const why = name.includes('/') ? 'holds a slash' : pathFault(name);
  return why === null ? null : { rule: 'release-path', expected: 'the name of one file', found: `${name}: ${why}` };
}

/**
 * Judges a release by its two signed files and the root's key table. All findings come at once, but nothing is read of what is not
 * signed by a publisher. Pure; never throws on bad bytes.
 */
export function openRelease(input: OpenReleaseInput): OpenedRelease {
  const keys = importKeys(input.publishers);
  const passport = readSignedPassport(input.passport, keys);
  const statement = readSignedStatement(input.sig, keys);
  const faults: ReleaseFault[] = [
    ...('faults' in passport ? passport.faults : []),
    ...('faults' in statement ? statement.faults : []),
  ];
  let signer = 'fleet';
  if ('value' in passport) {
    const { modelId } = passport.value;
    const by = authorised('passport', passport.signedBy, modelId, input);
    if ('fault' in by) faults.push(by.fault);
    else signer = by.id;
    if ('value' in statement) {
      const other = authorised('model.sig', statement.signedBy, modelId, input);
      if ('fault' in other) faults.push(other.fault);
      const { digest } = statement.value;
      if (!equalBytes(digest, Buffer.from(passport.value.statementDigest, 'hex'))) {
        const expected = `the model statement that the passport names, ${passport.value.statementDigest}`;
        faults.push({ rule: 'release-statement', expected, found: toHex(digest) });
      }
      const lone = lonePathFault(statement.value);
      if (lone !== null) faults.push(lone);
    }
  }
  if (faults.length === 0 && 'value' in passport && 'value' in statement && passport.payload !== undefined) {
    const release: SignedRelease = {
      id: toHex(sha256(passport.payload)),
      passport: passport.value,
      statement: statement.value,
      entries: entriesOf(statement.value),
      signedBy: signer,
    };
    return { ok: true, release };
  }
  return { ok: false, findings: faults.map((fault) => toFinding(fault, input.subject ?? 'release', 'fleet')) };
}
