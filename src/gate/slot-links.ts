// The links under slots/: what a consumer opens. One is only ever made for a release of which every byte was verified.
import { lstat, readlink, readdir } from 'node:fs/promises';
import { removeTree, replaceSymlink } from '../files/durable.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import { linkTarget, placesOf, releaseOfTarget, slotLink } from './places.ts';

/** Hex release id that the slot's link leads to; `none`: nothing is there; `strange`: something that the gate did not make. */
export type LinkState = { readonly release: string } | 'none' | 'strange';

export async function readSlotLink(stateDir: string, slot: string): Promise<LinkState> {
  const path = slotLink(stateDir, slot);
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return 'none';
  if (!stat.isSymbolicLink()) return 'strange';
  const release = releaseOfTarget(await readlink(path));
  return release === null ? 'strange' : { release };
}

/** Switches the slot to a verified release in one step: a consumer finds the one before or this one. */
export async function switchSlot(stateDir: string, slot: string, verified: VerifiedRelease): Promise<void> {
  if ((await readSlotLink(stateDir, slot)) === 'strange') await clearSlot(stateDir, slot);
  await replaceSymlink(slotLink(stateDir, slot), linkTarget(verified.signed.id));
}

/** Removes whatever is there, never following a link. */
export async function clearSlot(stateDir: string, slot: string): Promise<void> {
  await removeTree(slotLink(stateDir, slot));
}

/** Everything under slots/, by name. */
export async function namesInSlots(stateDir: string): Promise<string[]> {
  return (await readdir(placesOf(stateDir).slots)).toSorted();
}
