// The gate: the only way for a release into a slot. It judges, copies, reads every byte of the copy, and only then switches.
import { removeTree } from '../files/durable.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { Journal, SlotRow } from '../store/journal.ts';
import { judgeBytes, judgeFolder, judgeSigned, judgeStored } from './judge.ts';
import type { JudgeParts, Refuse, SignedFiles } from './judge.ts';
import { inboxFolder, makePlaces, placesOf } from './places.ts';
import type { StepHook } from './places.ts';
import { switchSlot } from './slot-links.ts';
import { sourceFolder } from './source.ts';
import { assertSpace, promote, stage, syncStaged } from './staging.ts';
import { sweepReleases } from './sweep.ts';
import { keepWithdrawals } from './withdrawals.ts';

export interface GateParts extends JudgeParts {
  readonly journal: Pick<Journal, 'slots' | 'setSlot'>;
  readonly step: StepHook;
}

/** A release that a slot should hold. `source` as in `sourceFolder`. */
export interface Wanted {
  readonly release: string;
  readonly source: string | null;
}

export interface Admit {
  readonly admitted: true;
  readonly release: SignedRelease;
  /** Hex release id that the slot held before; null when none, or the same. */
  readonly before: string | null;
}

/** Copies the release in and reads every byte of the copy, which nobody else can write. */
async function bringIn(
  parts: GateParts,
  from: string,
  files: SignedFiles,
  release: SignedRelease,
  slot: SlotProfile,
): Promise<{ readonly admitted: true; readonly verified: VerifiedRelease } | Refuse> {
  const places = placesOf(parts.stateDir);
  const listed = await judgeFolder(parts, from, release, slot);
  if (!listed.admitted) return listed;
  const { sig, passport } = files;
  if (sig === null || passport === null) throw new TypeError('a signed release without its signed files');
  await assertSpace(places.releases, listed.model.files, sig.length + passport.length);
  const { folder: model, files: modelFiles } = listed.model;
  const staged = await stage({ places, id: release.id, model, files: modelFiles, sig, passport, step: parts.step });
  await parts.step('read the copy');
  // The disk writes while the processor reads; only when both are done does the copy count.
  const [read] = await Promise.all([
    judgeBytes(parts, staged, release, slot),
    syncStaged(places, staged, modelFiles),
  ]).catch(async (error: unknown) => {
    await removeTree(staged);
    throw error;
  });
  if (!read.admitted) {
    await removeTree(staged);
    return read;
  }
  await promote(places, staged, release.id, parts.step);
  return read;
}

/** Journal, link, journal: a cut anywhere between is finished or undone by the next start. */
export async function activate(parts: GateParts, row: SlotRow, verified: VerifiedRelease): Promise<void> {
  const { id, passport } = verified.signed;
  await parts.step('keep what it withdraws');
  await keepWithdrawals(parts.stateDir, verified);
  await parts.step('journal the intent');
  await parts.journal.setSlot({ ...row, staged: id });
  await parts.step('switch the link');
  await switchSlot(parts.stateDir, row.slot, verified);
  await parts.step('journal the end');
  await parts.journal.setSlot({
    ...row,
    active: id,
    previous: row.active === id ? row.previous : row.active,
    staged: null,
    securityVersion: passport.securityVersion,
  });
}

/**
 * Judges a release and puts it into a slot. `row`: the slot's row in the journal, with the order of this command. A refusal leaves the
 * slot as it was. Errors: ReleaseError (no such source, DISK_FULL), MeasureError, StoreError; the slot is then as it was, or a start
 * finishes what was begun.
 */
export async function install(parts: GateParts, wanted: Wanted, row: SlotRow): Promise<Admit | Refuse> {
  const slot = parts.profile.slots.find((one) => one.name === row.slot);
  if (slot === undefined) throw new RangeError(`the profile has no slot ${row.slot}`);
  await makePlaces(parts.stateDir);
  const from = await sourceFolder(parts.stateDir, wanted.release, wanted.source);
  const files = await readSignedFiles(from);
  const judged = await judgeSigned(parts, files, { slot, running: row.securityVersion, named: wanted.release });
  if (!judged.admitted) return judged;
  const { release } = judged;
  const already = await judgeStored(parts, { slot, running: row.securityVersion, named: release.id });
  const brought =
    already === null
      ? await bringIn(parts, from, files, release, slot)
      : { admitted: true as const, verified: already };
  if (!brought.admitted) return brought;
  await activate(parts, row, brought.verified);
  await parts.step('clean up');
  if (from === inboxFolder(parts.stateDir, release.id)) await removeTree(from);
  await sweepReleases(parts.stateDir, await parts.journal.slots());
  return { admitted: true, release, before: row.active === release.id ? null : row.active };
}
