// A release whose every byte on a disk was compared with what its publisher signed: a type that only the comparison makes.
import { toHex } from '../bytes/text.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { Finding } from '../rules/finding.ts';
import { checkFiles, FILE_CHECKS, MANIFEST_CHECKS, readingIn } from './check-files.ts';
import type { FileFacts, Manifests, ReadFile } from './check-files.ts';
import { toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { manifestDigest } from './manifest.ts';
import { listModel } from './model-files.ts';
import type { ModelFiles } from './model-files.ts';
import type { Check } from './open-checks.ts';
import type { SignedRelease } from './open.ts';
import type { ManifestEntry } from './types.ts';

const MADE_HERE = Symbol('verified');

/** Holds what was verified and where. There is no other way to one than the functions below. */
export class VerifiedRelease {
  readonly signed: SignedRelease;
  /** The folder of the bytes that were compared. */
  readonly folder: string;
  readonly entries: readonly ManifestEntry[];
  readonly #mark: symbol;

  constructor(mark: symbol, signed: SignedRelease, folder: string, entries: readonly ManifestEntry[]) {
    if (mark !== MADE_HERE) throw new TypeError('a VerifiedRelease comes only from verifyModelFolder');
    this.#mark = mark;
    this.signed = signed;
    this.folder = folder;
    this.entries = entries;
  }

  /** False for anything that only looks like one. */
  static is(value: unknown): value is VerifiedRelease {
    return typeof value === 'object' && value !== null && #mark in value && value.#mark === MADE_HERE;
  }
}

export interface VerifyOptions {
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** What findings are about: a slot's name, or `release`. */
  readonly subject?: string;
}

/** What is asked of a model's bytes, stage by stage. */
export interface ModelChecks {
  readonly files: readonly Check<FileFacts>[];
  readonly manifest: readonly Check<Manifests>[];
}

export const MODEL_CHECKS: ModelChecks = { files: FILE_CHECKS, manifest: MANIFEST_CHECKS };

/**
 * Reads every byte under `dir`. Nothing is left out, whatever the signer ignored: a release holds what was signed and nothing
 * else. Errors: ReleaseError where `dir` cannot be listed; MeasureError; the signal's reason.
 */
export async function verifyModelFolder(
  dir: string,
  signed: SignedRelease,
  pool: HashPool,
  options: VerifyOptions = {},
): Promise<{ ok: true; release: VerifiedRelease } | { ok: false; findings: Finding[] }> {
  return verifyModelFolderWith(MODEL_CHECKS, dir, signed, pool, options);
}

/** The same with other checks: how a test shows what each is good for. */
export async function verifyModelFolderWith(
  checks: ModelChecks,
  dir: string,
  signed: SignedRelease,
  pool: HashPool,
  options: VerifyOptions = {},
): Promise<{ ok: true; release: VerifiedRelease } | { ok: false; findings: Finding[] }> {
  const model = await listModel(dir, () => false, options.signal);
  return verifyFilesWith(checks, { model, folder: dir, read: readingIn(dir, pool) }, signed, options);
}

/** Files that `read` reads, or copies into `folder` while it reads them. */
export interface FilesToVerify {
  /** As listed just now, with nothing left out. */
  readonly model: ModelFiles;
  /** Where the bytes lie that the digests of `read` are of. */
  readonly folder: string;
  readonly read: ReadFile;
}

/** The same for files that come from elsewhere: what was verified is what `read` put there. Errors: those of `read` too. */
export async function verifyFilesWith(
  checks: ModelChecks,
  { model, folder, read }: FilesToVerify,
  signed: SignedRelease,
  options: VerifyOptions = {},
): Promise<{ ok: true; release: VerifiedRelease } | { ok: false; findings: Finding[] }> {
  const { onProgress, signal, subject = 'release' } = options;
  const checked = await checkFiles(model, signed.statement, {
    read,
    withManifest: true,
    checks: checks.files,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  const faults: ReleaseFault[] = [...checked.faults];
  // With faults in files the manifest is another anyway, and says nothing more.
  if (faults.length === 0) {
    const both = { found: toHex(manifestDigest(checked.entries)), signed: signed.passport.manifestDigest };
    faults.push(...checks.manifest.flatMap((check) => check.judge(both)));
  }
  if (faults.length > 0)
    return { ok: false, findings: faults.map((fault) => toFinding(fault, subject, signed.signedBy)) };
  return { ok: true, release: new VerifiedRelease(MADE_HERE, signed, folder, checked.entries) };
}
