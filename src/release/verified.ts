// A release whose every byte on a disk was compared with what its publisher signed: a type that only the comparison makes.
import { toHex } from '../bytes/text.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { Finding } from '../rules/finding.ts';
import { checkFiles } from './check-files.ts';
import { toFinding } from './judgement.ts';
import type { ReleaseFault } from './judgement.ts';
import { manifestDigest } from './manifest.ts';
import { listModel } from './model-files.ts';
import type { SignedRelease } from './open.ts';
import type { ManifestEntry } from './types.ts';

const MADE_HERE = Symbol('verified');

/** Holds what was verified and where. There is no other way to one than `verifyModelFolder`. */
export class VerifiedRelease {
  readonly signed: SignedRelease;
  /** The model folder as it was given to the comparison. */
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
  const { onProgress, signal, subject = 'release' } = options;
  const model = await listModel(dir, () => false, signal);
  const checked = await checkFiles(model, signed.statement, {
    pool,
    withManifest: true,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(signal === undefined ? {} : { signal }),
  });
  const faults: ReleaseFault[] = [...checked.faults];
  // With faults in files the manifest is another anyway, and says nothing more.
  if (faults.length === 0) {
    const found = toHex(manifestDigest(checked.entries));
    const expected = signed.passport.manifestDigest;
    if (found !== expected) faults.push({ rule: 'release-manifest', expected: `manifest ${expected}`, found });
  }
  if (faults.length > 0)
    return { ok: false, findings: faults.map((fault) => toFinding(fault, subject, signed.signedBy)) };
  return { ok: true, release: new VerifiedRelease(MADE_HERE, signed, dir, checked.entries) };
}
