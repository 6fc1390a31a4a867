// The releases that a fleet may install: a plain folder that a web server or a USB stick can serve, each under its release id.
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { Finding } from '../rules/finding.ts';
import { toFinding } from './judgement.ts';
import { listModel } from './model-files.ts';
import { keyTableOf, openRelease } from './open.ts';
import type { OpenedRelease, SignedRelease } from './open.ts';
import { makeReleaseFolder } from './publisher-copy.ts';
import type { CopyOptions } from './publisher-copy.ts';
import { FLOOR_TOKEN_BYTES, FLOOR_TOKEN_FILE, MODEL_FOLDER, readBounded, readSignedFiles } from './release-folder.ts';
import type { Trust } from './root.ts';
import { verifyModelFolder } from './verified.ts';

async function open(folder: string, trust: Trust): Promise<OpenedRelease> {
  return openRelease({ ...(await readSignedFiles(folder)), ...keyTableOf(trust.root) });
}

export interface AddPlan extends CopyOptions {
  /** The release folder as it came. */
  readonly from: string;
  /** The fleet's folder of releases. */
  readonly releases: string;
  readonly trust: Trust;
  readonly pool: HashPool;
}

export type Added =
  | { readonly ok: true; readonly release: SignedRelease; readonly folder: string; readonly state: AddedState }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** `present`: it was there already, byte for byte; `repaired`: what lay under its id had been changed. */
type AddedState = 'added' | 'present' | 'repaired';

async function isWhole(folder: string, release: SignedRelease, plan: AddPlan): Promise<boolean | null> {
  const opened = await open(folder, plan.trust);
  if (!opened.ok) {
    const nothing = opened.findings.every((finding) => finding.rule === 'release-unsigned');
    const there = await readdir(folder).catch(() => null);
    return nothing && there === null ? null : false;
  }
  if (opened.release.id !== release.id) return false;
  const { pool, signal } = plan;
  const options = signal === undefined ? {} : { signal };
  return (await verifyModelFolder(join(folder, MODEL_FOLDER), release, pool, options)).ok;
}

/**
 * Judges a release by the root's key table, reads every byte of it, and puts a copy among the fleet's releases.
 * Errors: ReleaseError; MeasureError; the signal's reason.
 */
export async function addRelease(plan: AddPlan): Promise<Added> {
  const { from, releases, trust, pool, onProgress, signal } = plan;
  const signed = await readSignedFiles(from);
  const opened = openRelease({ ...signed, ...keyTableOf(trust.root) });
  const findings: Finding[] = opened.ok ? [] : [...opened.findings];
  if (trust.expired) {
    const found = `it ended ${new Date(trust.root.expires).toISOString()}`;
    findings.push(
      toFinding({ rule: 'root-expired', expected: 'a root statement in its time', found }, 'root', 'fleet'),
    );
  }
  if (!opened.ok || findings.length > 0) return { ok: false, findings };
  const { release } = opened;
  const token = await readBounded(join(from, FLOOR_TOKEN_FILE), FLOOR_TOKEN_BYTES);
  const { sig, passport } = signed;
  if (sig === null || passport === null) throw new TypeError('an opened release without its files');
  const model = await listModel(join(from, MODEL_FOLDER), () => false, signal);
  const some = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  // Links and pipes are never copied: the judgement of what came says so before anything is made.
  const asItCame = await verifyModelFolder(join(from, MODEL_FOLDER), release, pool, some);
  if (!asItCame.ok) return asItCame;
  const folder = join(releases, release.id);
  const whole = await isWhole(folder, release, plan);
  if (whole === true) {
    // A token made later: the release keeps its id, and what lets a device take it goes on.
    if (token !== null) await writeFileDurably(join(folder, FLOOR_TOKEN_FILE), token, 0o644);
    return { ok: true, release, folder, state: 'present' };
  }
  // Made beside the folder of releases, where nobody looks for one.
  const options = { ...plan, replace: whole === false, workIn: dirname(releases) };
  await makeReleaseFolder(folder, model, options, async (copied) => {
    const copy = await verifyModelFolder(copied, release, pool, signal === undefined ? {} : { signal });
    if (!copy.ok) throw new ReleaseError('RELEASE_INVALID', `${from} changed while it was copied`);
    return { signature: sig, passport, ...(token === null ? {} : { token }) };
  });
  return { ok: true, release, folder, state: whole === false ? 'repaired' : 'added' };
}

/** One folder of the fleet's releases: what it holds, or why it cannot be used. Bytes of models are not read. */
export interface ListedRelease {
  readonly folder: string;
  readonly opened: OpenedRelease;
  /** Id of the release whose passport withdraws this one; null when none does. */
  readonly withdrawnBy: string | null;
}

/** All releases, by model id, security version and version. Errors: ReleaseError where a file cannot be read. */
export async function listReleases(releases: string, trust: Trust): Promise<ListedRelease[]> {
  const names = await readdir(releases).catch((cause: unknown) => {
    throw new ReleaseError('RELEASE_INVALID', `${releases} cannot be read`, { cause });
  });
  const listed: { folder: string; opened: OpenedRelease }[] = [];
  for (const name of names.toSorted()) {
    const folder = join(releases, name);
    listed.push({ folder, opened: await open(folder, trust) });
  }
  const withdrawnBy = new Map<string, string>();
  for (const { opened } of listed) {
    if (!opened.ok) continue;
    const { modelId, withdraws } = opened.release.passport;
    // Only for its own model: a publisher of others has no say.
    for (const id of withdraws) withdrawnBy.set(`${modelId}\0${id}`, opened.release.id);
  }
  const withdrawerOf = (opened: OpenedRelease): string | null =>
    opened.ok ? (withdrawnBy.get(`${opened.release.passport.modelId}\0${opened.release.id}`) ?? null) : null;
  const sortKey = ({ opened }: { opened: OpenedRelease }): string => {
    if (!opened.ok) return '\u{10ffff}';
    const { modelId, securityVersion } = opened.release.passport;
    return `${modelId}\0${String(securityVersion).padStart(16, '0')}`;
  };
  return listed
    .map((one) => ({ ...one, withdrawnBy: withdrawerOf(one.opened) }))
    .toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}
