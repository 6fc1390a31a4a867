// The gate's judgement: a release's signatures, whether it belongs into this slot now, and every byte of its model.
import { join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { FileFault } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { listTree } from '../files/tree.ts';
import type { Profile, SlotProfile } from '../profile/profile.ts';
import { judgeListing, readingIn } from '../release/check-files.ts';
import { toFinding } from '../release/judgement.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import type { ModelFiles } from '../release/model-files.ts';
import type { Check } from '../release/open-checks.ts';
import { keyTableOf, OPEN_CHECKS, openReleaseWith } from '../release/open.ts';
import type { OpenChecks, SignedRelease } from '../release/open.ts';
import { MODEL_FOLDER, readSignedFiles } from '../release/release-folder.ts';
import type { Trust } from '../release/root.ts';
import { MODEL_CHECKS, verifyFilesWith } from '../release/verified.ts';
import type { FilesToVerify, ModelChecks, VerifiedRelease } from '../release/verified.ts';
import type { Finding } from '../rules/finding.ts';
import { ADMISSION_CHECKS } from './admission-checks.ts';
import type { Candidate } from './admission-checks.ts';
import { judgeFormats } from './formats/policy.ts';
import { releaseFolder } from './places.ts';
import { withdrawalsOf } from './withdrawals.ts';

export interface Refuse {
  readonly admitted: false;
  /** Never empty. */
  readonly findings: readonly Finding[];
}

/** All that is asked, stage by stage. A stage is reached when the one before it found nothing. */
export interface GateChecks {
  readonly open: OpenChecks;
  readonly admission: readonly Check<Candidate>[];
  readonly model: ModelChecks;
}

export const GATE_CHECKS: GateChecks = { open: OPEN_CHECKS, admission: ADMISSION_CHECKS, model: MODEL_CHECKS };

export interface JudgeParts {
  readonly stateDir: string;
  readonly trust: Trust;
  readonly profile: Profile;
  readonly pool: HashPool;
  readonly agentVersion: string;
  /** Device time, ms. */
  now(): number;
  readonly checks: GateChecks;
}

/** The two signed files of a release, exact bytes. */
export interface SignedFiles {
  readonly sig: Uint8Array | null;
  readonly passport: Uint8Array | null;
}

export interface Asked {
  readonly slot: SlotProfile;
  /** Security version that runs in the slot. */
  readonly running: number;
  /** The release id that was asked for. */
  readonly named: string;
}

function refuse(faults: readonly ReleaseFault[], subject: string, source: string): Refuse {
  return { admitted: false, findings: faults.map((fault) => toFinding(fault, subject, source)) };
}

/** Judges what is signed. Nothing of the model is read. */
export async function judgeSigned(
  parts: JudgeParts,
  files: SignedFiles,
  { slot, running, named }: Asked,
): Promise<{ readonly admitted: true; readonly release: SignedRelease } | Refuse> {
  const { stateDir, trust, profile, agentVersion, checks } = parts;
  const opened = openReleaseWith(checks.open, { ...files, ...keyTableOf(trust.root), subject: slot.name });
  if (!opened.ok) return { admitted: false, findings: opened.findings };
  const { release } = opened;
  const withdrawn = await withdrawalsOf(release.passport.modelId, stateDir, trust);
  const candidate = { release, slot, profile, trust, running, now: parts.now(), agentVersion, named, withdrawn };
  const faults = checks.admission.flatMap((check) => check.judge(candidate));
  return faults.length > 0 ? refuse(faults, slot.name, release.signedBy) : { admitted: true, release };
}

async function listFolder(folder: string): Promise<ModelFiles | ReleaseFault> {
  try {
    const tree = await listTree(folder);
    return { folder, single: false, name: MODEL_FOLDER, ...tree };
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    if (error.kind === 'missing') {
      return { rule: 'release-file-missing', expected: `the folder ${MODEL_FOLDER}`, found: 'no such folder' };
    }
    if (error.kind !== 'unreadable') {
      return { rule: 'release-file-kind', expected: `a folder ${MODEL_FOLDER}`, found: error.kind };
    }
    throw new ReleaseError('RELEASE_INVALID', error.message, { cause: error });
  }
}

/** Lists the model in the release folder `from` and judges names and kinds, so that nothing is copied in vain. Errors: ReleaseError. */
export async function judgeFolder(
  parts: JudgeParts,
  from: string,
  release: SignedRelease,
  slot: SlotProfile,
): Promise<{ readonly admitted: true; readonly model: ModelFiles } | Refuse> {
  const model = await listFolder(join(from, MODEL_FOLDER));
  const faults = 'rule' in model ? [model] : judgeListing(model, release.statement, parts.checks.model.files);
  if ('rule' in model || faults.length > 0) return refuse(faults, slot.name, release.signedBy);
  return { admitted: true, model };
}

export type JudgedBytes = { readonly admitted: true; readonly verified: VerifiedRelease } | Refuse;

/** Reads every byte of `files`, which `judgeFolder` listed, and judges those that lie in their folder then. Errors: those of `read`; MeasureError. */
export async function judgeFiles(
  parts: JudgeParts,
  files: FilesToVerify,
  release: SignedRelease,
  slot: SlotProfile,
): Promise<JudgedBytes> {
  const found = await verifyFilesWith(parts.checks.model, files, release, { subject: slot.name });
  if (!found.ok) return { admitted: false, findings: found.findings };
  const faults = await judgeFormats(files.folder, files.model.files, parts.profile.formats ?? null);
  return faults.length > 0 ? refuse(faults, slot.name, 'profile') : { admitted: true, verified: found.release };
}

/** Reads every byte of the model in the release folder `from`. Errors: MeasureError. */
export async function judgeBytes(
  parts: JudgeParts,
  from: string,
  release: SignedRelease,
  slot: SlotProfile,
): Promise<JudgedBytes> {
  const listed = await judgeFolder(parts, from, release, slot);
  if (!listed.admitted) return listed;
  const { folder } = listed.model;
  return judgeFiles(parts, { model: listed.model, folder, read: readingIn(folder, parts.pool) }, release, slot);
}

/** Judges what lies under a release id on this device, as an installation does; null unless everything is right. Errors: MeasureError. */
export async function judgeStored(parts: JudgeParts, asked: Asked): Promise<VerifiedRelease | null> {
  const folder = releaseFolder(parts.stateDir, asked.named);
  const files = await readSignedFiles(folder).catch(() => null);
  if (files === null) return null;
  const judged = await judgeSigned(parts, files, asked);
  if (!judged.admitted) return null;
  const read = await judgeBytes(parts, folder, judged.release, asked.slot);
  return read.admitted ? read.verified : null;
}
