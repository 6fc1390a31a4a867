// The gate: the only way for a release into a slot. It judges, copies, reads every byte of the copy, and only then switches.
import { removeTree } from '../files/durable.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import { readSignedFiles } from '../release/release-folder.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { SlotRow } from '../store/journal.ts';
import { judgeFloorToken } from './floor-needed.ts';
import { readFloorToken } from './floor-token.ts';
import { floorNow, lowestVersion } from './floor.ts';
import { judgeBytes, judgeFolder, judgeSigned, judgeStored } from './judge.ts';
import type { Refuse, SignedFiles } from './judge.ts';
import type { GateParts } from './parts.ts';
import { inboxFolder, incomingFolder, makePlaces, placesOf } from './places.ts';
import type { Settled } from './settle.ts';
import { switchSlot } from './slot-links.ts';
import { sourceFolder } from './source.ts';
import { assertSpace, promote, stage, syncStaged } from './staging.ts';
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
  const own = from === incomingFolder(parts.stateDir, release.id);
  await assertSpace(places.releases, own ? [] : listed.model.files, sig.length + passport.length);
  const { folder: model, files: modelFiles } = listed.model;
  const token = await readFloorToken(from);
  const signed = { sig, passport, token };
  const staged = await stage({ places, id: release.id, model, own, files: modelFiles, ...signed, step: parts.step });
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

/**
 * Judges a release and begins its trial in a slot, where none may be open. What the slot holds already is put right without one.
 * `row`: the slot's row in the journal, with the order of this command. A refusal leaves the slot as it was. Errors: ReleaseError (no such source, DISK_FULL), MeasureError, StoreError; the slot is then as it was, or a start
 * finishes what was begun.
 */
export async function install(parts: GateParts, wanted: Wanted, row: SlotRow): Promise<Installed | Refuse> {
  if (isOpen(row)) throw new RangeError(`a trial is open in slot ${row.slot}`);
  const slot = parts.profile.slots.find((one) => one.name === row.slot);
  if (slot === undefined) throw new RangeError(`the profile has no slot ${row.slot}`);
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
  const brought =
    already === null
      ? await bringIn(parts, from, files, release, slot)
      : { admitted: true as const, verified: already };
  if (!brought.admitted) {
    // Wrong bytes are not kept for the next attempt.
    if (from === incomingFolder(parts.stateDir, release.id)) await removeTree(from);
    return brought;
  }
  const held = row.active === release.id;
  const settled = held
    ? await putRight(parts, row, brought.verified)
    : await act(parts, await markStaged(parts, row, release.id), brought.verified);
  await parts.step('clean up');
  if ([inboxFolder, incomingFolder].some((folder) => from === folder(parts.stateDir, release.id)))
    await removeTree(from);
  await sweepReleases(parts.stateDir, await parts.journal.slots());
  return { admitted: true, release, before: held ? null : row.active, settled };
}
