// What a start does with what a power cut left: finishes it where every byte is right, undoes it otherwise.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, sweepTemporaries } from '../files/durable.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import { emptySlot } from '../store/journal.ts';
import type { SlotRow } from '../store/journal.ts';
import { floorNow, lowestVersion } from './floor.ts';
import type { GateParts } from './parts.ts';
import { judgeStored } from './judge.ts';
import { makePlaces, READY, REPLACED, STAGING } from './places.ts';
import type { Places } from './places.ts';
import { settle, verifyStored } from './settle.ts';
import type { Settled } from './settle.ts';
import { clearSlot, namesInSlots, readSlotLink, switchSlot } from './slot-links.ts';
import { finishReady } from './staging.ts';
import { sweepReleases, usedReleases } from './sweep.ts';
import { openStored } from './stored.ts';
import { act, TRIAL_BOOTS } from './trial.ts';
import { closeCommitted, raiseAndClose, rollBack } from './trial-end.ts';
import { withdrawalsOf } from './withdrawals.ts';

/** Unfinished copies go; what replaces a release that a slot uses is put in its place: it is read again before it is believed. */
async function recoverReleases(parts: GateParts, places: Places, rows: readonly SlotRow[]): Promise<void> {
  const used = usedReleases(rows);
  for (const name of (await readdir(places.releases)).toSorted()) {
    const path = join(places.releases, name);
    if (name.startsWith(STAGING) || name.startsWith(REPLACED)) await removeTree(path);
    if (!name.startsWith(READY)) continue;
    const id = name.slice(READY.length);
    if (used.has(id)) await finishReady(places, id, parts.step);
    else await removeTree(path);
  }
}

/** Without a row the journal was lost. What the slot holds is let in again; it was committed, unless the floor says otherwise. */
async function adopt(parts: GateParts, slot: SlotProfile): Promise<SlotRow> {
  const link = await readSlotLink(parts.stateDir, slot.name);
  const held = typeof link === 'string' ? null : link.release;
  const empty = emptySlot(slot.name);
  const floor = await floorNow(parts.floor, empty);
  const running = lowestVersion(floor, empty);
  const release = held === null ? null : await judgeStored(parts, { slot, running, named: held });
  if (release === null) return empty;
  const { securityVersion } = release.signed.passport;
  const onTrial = floor.hardware && BigInt(securityVersion) > floor.value;
  const { id } = release.signed;
  const row: SlotRow = onTrial
    ? { ...empty, staged: id, state: 'STAGED' }
    : { ...empty, active: id, securityVersion, state: 'COMMITTED' };
  await parts.journal.setSlot(row);
  return row;
}

/** The candidate of a trial that goes on: as signed, and not withdrawn meanwhile. */
async function verifyCandidate(parts: GateParts, row: SlotRow): Promise<VerifiedRelease | null> {
  const verified = row.staged === null ? null : await verifyStored(parts, row.slot, row.staged);
  if (verified === null) return null;
  const { id, passport } = verified.signed;
  const withdrawn = await withdrawalsOf(passport.modelId, parts.stateDir, parts.trust);
  return withdrawn.has(id) ? null : verified;
}

/**
 * A disk from before the commitment under a TPM from after it: the floor is the candidate's and the fallback is below. It was committed
 * once, and a roll-back would leave nothing that may be opened.
 */
async function wasCommitted(parts: GateParts, row: SlotRow, candidate: VerifiedRelease): Promise<boolean> {
  const { value, hardware } = await floorNow(parts.floor, row);
  if (!hardware || BigInt(candidate.signed.passport.securityVersion) !== value) return false;
  const fallback = row.active === null ? null : await openStored(parts.stateDir, row.active, parts.trust);
  return fallback === null || BigInt(fallback.passport.securityVersion) < value;
}

const LOST = {
  rule: 'trial-candidate',
  detail: 'it is not on this device as it was signed, or was withdrawn',
} as const;
const GONE = { rule: 'trial-candidate', detail: 'it is not on this device as it was signed' } as const;
const TOO_OFTEN = {
  rule: 'trial-boots',
  detail: `the device was started ${TRIAL_BOOTS} times with it, and it never passed its trial`,
} as const;

async function recoverStaged(parts: GateParts, slot: SlotProfile, row: SlotRow): Promise<Settled> {
  if (row.staged === null) throw new TypeError('a staged slot without a candidate');
  // What never ran must be let in as if it came today.
  const running = lowestVersion(await floorNow(parts.floor, row), row);
  const candidate = await judgeStored(parts, { slot, running, named: row.staged });
  return candidate === null ? rollBack(parts, row, LOST) : act(parts, row, candidate);
}

/** It passed its trial: who withdrew it meanwhile refuses it the next time, and can't turn back what may be in the floor already. */
async function recoverCommitting(parts: GateParts, row: SlotRow): Promise<Settled> {
  const candidate = row.staged === null ? null : await verifyStored(parts, row.slot, row.staged);
  if (candidate === null) return rollBack(parts, row, GONE);
  // A disk from the midst of an older commitment: what the floor has left behind is not opened, not even until it is compared below.
  const { value } = await floorNow(parts.floor, row);
  if (BigInt(candidate.signed.passport.securityVersion) >= value) {
    await parts.step('put the link back');
    await switchSlot(parts.stateDir, row.slot, candidate);
  }
  return raiseAndClose(parts, row, candidate.signed);
}

/** BOOT. */
async function recoverSlot(parts: GateParts, slot: SlotProfile, found: SlotRow | undefined): Promise<Settled> {
  const row = found ?? (await adopt(parts, slot));
  if (row.state === 'NONE' || row.state === 'COMMITTED') return settle(parts, row);
  if (row.state === 'COMMITTING') return recoverCommitting(parts, row);
  const candidate = await verifyCandidate(parts, row);
  if (candidate !== null && (await wasCommitted(parts, row, candidate))) {
    return closeCommitted(parts, row, candidate.signed);
  }
  if (row.state === 'STAGED') return recoverStaged(parts, slot, row);
  if (candidate === null) return rollBack(parts, row, LOST);
  return row.tries >= TRIAL_BOOTS ? rollBack(parts, row, TOO_OFTEN) : act(parts, row, candidate);
}

/**
 * Called once, before anything else is done with the state directory. May be cut at any instruction and called again. Gives every slot
 * of the profile as it then stands.
 */
export async function recover(parts: GateParts): Promise<Settled[]> {
  const { stateDir, journal, profile } = parts;
  const places = await makePlaces(stateDir);
  await sweepTemporaries(places.state);
  await sweepTemporaries(places.slots);
  await sweepTemporaries(places.releases);
  await sweepTemporaries(places.withdrawals);
  const rows = await journal.slots();
  await recoverReleases(parts, places, rows);
  const settled: Settled[] = [];
  for (const slot of profile.slots) {
    const row = rows.find((one) => one.slot === slot.name);
    settled.push(await recoverSlot(parts, slot, row));
  }
  const known = new Set(profile.slots.map((slot) => slot.name));
  for (const name of await namesInSlots(stateDir)) if (!known.has(name)) await clearSlot(stateDir, name);
  await sweepReleases(stateDir, await journal.slots());
  return settled;
}
