// What a start does with what a power cut left: finishes it where every byte is right, undoes it otherwise.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, sweepTemporaries } from '../files/durable.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { SlotRow } from '../store/journal.ts';
import { activate } from './gate.ts';
import type { GateParts } from './gate.ts';
import { judgeBytes, judgeStored } from './judge.ts';
import { makePlaces, READY, releaseFolder, REPLACED, STAGING } from './places.ts';
import type { Places } from './places.ts';
import { clearSlot, namesInSlots, readSlotLink, switchSlot } from './slot-links.ts';
import { finishReady } from './staging.ts';
import { sweepReleases, usedReleases } from './sweep.ts';
import { openStored } from './stored.ts';

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

/** What ran goes on, whatever its dates say by now: its signatures and bytes are asked, nothing else. */
async function verifyActive(parts: GateParts, slot: SlotProfile, id: string): Promise<VerifiedRelease | null> {
  const signed = await openStored(parts.stateDir, id, parts.trust);
  if (signed === null) return null;
  const read = await judgeBytes(parts, releaseFolder(parts.stateDir, id), signed, slot);
  return read.admitted ? read.verified : null;
}

async function recoverSlot(parts: GateParts, slot: SlotProfile, found: SlotRow | undefined): Promise<void> {
  const { stateDir, journal } = parts;
  const link = await readSlotLink(stateDir, slot.name);
  const held = typeof link === 'string' ? null : link.release;
  const empty = { slot: slot.name, active: null, previous: null, order: 0, staged: null, securityVersion: 0 };
  // Without a row the journal was lost: what the slot holds is let in again as if it had just arrived.
  const row: SlotRow = found ?? { ...empty, staged: held };
  if (row.staged !== null) {
    const staged = await judgeStored(parts, { slot, running: row.securityVersion, named: row.staged });
    if (staged !== null) {
      await activate(parts, row, staged);
      return;
    }
    if (found !== undefined) await journal.setSlot({ ...row, staged: null });
  }
  // An undisturbed slot is left to the measurement, which reads every byte of it anyway.
  if (link === 'none' && row.active === null) return;
  if (held !== null && held === row.active) return;
  const active = row.active === null ? null : await verifyActive(parts, slot, row.active);
  await parts.step('put the link back');
  if (active === null) await clearSlot(stateDir, slot.name);
  else await switchSlot(stateDir, slot.name, active);
}

/** Called once, before anything else is done with the state directory. May be cut at any instruction and called again. */
export async function recover(parts: GateParts): Promise<void> {
  const { stateDir, journal, profile } = parts;
  const places = await makePlaces(stateDir);
  await sweepTemporaries(places.slots);
  await sweepTemporaries(places.releases);
  await sweepTemporaries(places.withdrawals);
  const rows = await journal.slots();
  await recoverReleases(parts, places, rows);
  for (const slot of profile.slots) {
    await recoverSlot(
      parts,
      slot,
      rows.find((row) => row.slot === slot.name),
    );
  }
  const known = new Set(profile.slots.map((slot) => slot.name));
  for (const name of await namesInSlots(stateDir)) if (!known.has(name)) await clearSlot(stateDir, name);
  await sweepReleases(stateDir, await journal.slots());
}
