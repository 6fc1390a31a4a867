// The gate: the only way for a release into a slot. It judges, copies what it judges, and only then switches.
import { ReleaseError } from '../errors.ts';
import { removeTree } from '../files/durable.ts';
import { diskError } from '../files/space.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { SlotRow } from '../store/journal.ts';
import { judgeFloorToken } from './floor-needed.ts';
import { readFloorToken } from './floor-token.ts';
import { floorNow, lowestVersion } from './floor.ts';
import { judgeFiles, judgeFolder, judgeSigned, judgeStored } from './judge.ts';
import type { JudgedBytes, Refuse, SignedFiles } from './judge.ts';
import type { GateParts } from './parts.ts';
import { inboxFolder, incomingFolder, makePlaces, placesOf } from './places.ts';
import type { Settled } from './settle.ts';
import { switchSlot } from './slot-links.ts';
import { sourceFolder } from './source.ts';
import { assertSpace, beginStaging, promote, sealStaging } from './staging.ts';
import { sweepReleases } from './sweep.ts';
import { act, isOpen, markStaged } from './trial.ts';

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

/** Copies the release in, and judges the bytes in the same pass: those that it wrote, where nobody else can write. */
async function bringIn(
  parts: GateParts,
  from: string,
  files: SignedFiles,
  release: SignedRelease,
  slot: SlotProfile,
): Promise<JudgedBytes> {
  const places = placesOf(parts.stateDir);
  const listed = await judgeFolder(parts, from, release, slot);
  if (!listed.admitted) return listed;
  const { sig, passport } = files;
  if (sig === null || passport === null) throw new TypeError('a signed release without its signed files');
  const { model } = listed;
  const own = from === incomingFolder(parts.stateDir, release.id);
  await assertSpace(places.releases, own ? [] : model.files, sig.length + passport.length);
  const token = await readFloorToken(from);
  const { pool, step } = parts;
  const what = { places, id: release.id, model: model.folder, own, files: model.files, pool, step };
  const options = { ...what, sig, passport, token };
  const staging = await beginStaging(options);
  let judged: JudgedBytes;
  try {
    judged = await judgeFiles(parts, { model, folder: staging.model, read: staging.read }, release, slot);
    if (judged.admitted) {
      await sealStaging(staging, options);
      await promote(places, staging.folder, release.id, step);
    }
  } catch (error) {
    // A disk that fails may also refuse that: the next start removes it.
    await removeTree(staging.folder).catch(() => undefined);
    throw diskError(places.releases, error);
  }
  if (!judged.admitted) await removeTree(staging.folder);
  return judged;
}

/** What the gate did with a wish: `settled` is the slot as it then stands. */
export interface Installed extends Admit {
  readonly settled: Settled;
}

/** It was committed once: what lies there is as it was signed again, and the link leads to it. */
async function putRight(parts: GateParts, row: SlotRow, verified: VerifiedRelease): Promise<Settled> {
  await parts.step('switch the link');
  await switchSlot(parts.stateDir, row.slot, verified);
  const { value } = await floorNow(parts.floor, row);
  return { row, loaded: true, needs: value };
}

interface LetIn {
  readonly admitted: true;
  readonly from: string;
  readonly release: SignedRelease;
  readonly verified: VerifiedRelease;
}

/** Everything before the slot is touched: judged, and on the disk as it was signed. Errors: as `install`. */
async function letIn(parts: GateParts, wanted: Wanted, row: SlotRow, slot: SlotProfile): Promise<LetIn | Refuse> {
  await makePlaces(parts.stateDir);
  const from = await sourceFolder(parts.stateDir, wanted.release, wanted.source);
  const files = await readSignedFiles(from);
  const asked = { slot, running: lowestVersion(await floorNow(parts.floor, row), row) };
  const judged = await judgeSigned(parts, files, { ...asked, named: wanted.release });
  if (!judged.admitted) return judged;
  const { release } = judged;
  const unraisable = await judgeFloorToken(parts, row, release, from);
  if (unraisable !== null) return unraisable;
  const already = await judgeStored(parts, { ...asked, named: release.id });
  if (already !== null) return { admitted: true, from, release, verified: already };
  const brought = await bringIn(parts, from, files, release, slot);
  if (brought.admitted) return { ...brought, from, release };
  // Wrong bytes are not kept for the next attempt.
  if (from === incomingFolder(parts.stateDir, release.id)) await removeTree(from);
  return brought;
}

/** What is not needed any more. What a disk does not give back now is taken at the next start, or with the next release. */
async function cleanUp(parts: GateParts, { from, release }: LetIn): Promise<void> {
  try {
    await parts.step('clean up');
    if ([inboxFolder, incomingFolder].some((folder) => from === folder(parts.stateDir, release.id)))
      await removeTree(from);
    await sweepReleases(parts.stateDir, await parts.journal.slots());
  } catch (error) {
    if (!(diskError(parts.stateDir, error) instanceof ReleaseError)) throw error;
  }
}

/**
 * Judges a release and begins its trial in a slot, where none may be open. What the slot holds already is put right without one.
 * `row`: the slot's row in the journal, with the order of this command. A refusal leaves the slot as it was; what the disk does not take
 * is rolled back. Errors: ReleaseError (no such source, DISK_FULL, DISK_FAILED), MeasureError, StoreError; the slot is then as it was, or
 * a start finishes what was begun.
 */
export async function install(parts: GateParts, wanted: Wanted, row: SlotRow): Promise<Installed | Refuse> {
  if (isOpen(row)) throw new RangeError(`a trial is open in slot ${row.slot}`);
  const slot = parts.profile.slots.find((one) => one.name === row.slot);
  if (slot === undefined) throw new RangeError(`the profile has no slot ${row.slot}`);
  const onDisk = (error: unknown): never => {
    throw diskError(parts.stateDir, error);
  };
  const admitted = await letIn(parts, wanted, row, slot).catch(onDisk);
  if (!admitted.admitted) return admitted;
  const { release, verified } = admitted;
  const held = row.active === release.id;
  const settled = held
    ? await putRight(parts, row, verified).catch(onDisk)
    : await act(parts, await markStaged(parts, row, release.id), verified);
  await cleanUp(parts, admitted);
  return { admitted: true, release, before: held ? null : row.active, settled };
}
