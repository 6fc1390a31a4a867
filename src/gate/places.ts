// Where releases and slots lie in the state directory, and what the names of unfinished work say after a power cut.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncDir } from '../files/durable.ts';

export interface Places {
  readonly state: string;
  readonly releases: string;
  readonly slots: string;
  /** Passports that withdraw others: kept when their own release has gone. */
  readonly withdrawals: string;
  /** Releases that are being fetched. */
  readonly incoming: string;
}

/** Bytes on their way in, not to be believed: removed on start. */
export const STAGING = '.staging-';
/** Verified and on the disk, about to replace what lies under its release id: finished on start. */
export const READY = '.ready-';
/** What it replaced: removed on start. */
export const REPLACED = '.old-';

export function placesOf(stateDir: string): Places {
  return {
    state: stateDir,
    releases: join(stateDir, 'releases'),
    slots: join(stateDir, 'slots'),
    withdrawals: join(stateDir, 'withdrawals'),
    incoming: join(stateDir, 'incoming'),
  };
}

export function releaseFolder(stateDir: string, id: string): string {
  if (!isReleaseId(id)) throw new RangeError(`no release id: ${id}`);
  return join(stateDir, 'releases', id);
}

export function isReleaseId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** The link of a slot; a consumer opens STATE/slots/SLOT/model through it. */
export function slotLink(stateDir: string, slot: string): string {
  return join(stateDir, 'slots', slot);
}

/** The text of a slot's link. */
export function linkTarget(id: string): string {
  return `../releases/${id}`;
}

/** The release that a link of this text leads to; null when it is none of ours. */
export function releaseOfTarget(target: string): string | null {
  const id = target.startsWith('../releases/') ? target.slice('../releases/'.length) : '';
  return isReleaseId(id) ? id : null;
}

/** What this device compiled of a release for a slot; a consumer opens STATE/slots/SLOT/engines/SLOT. It goes with its release. */
export function engineFolder(stateDir: string, id: string, slot: string): string {
  return join(releaseFolder(stateDir, id), 'engines', slot);
}

/** Where a release waits for its installation when no other source is named. */
export function inboxFolder(stateDir: string, id: string): string {
  if (!isReleaseId(id)) throw new RangeError(`no release id: ${id}`);
  return join(stateDir, 'inbox', id);
}

/** Where a release comes to lie that the agent fetches: nobody else writes there. */
export function incomingFolder(stateDir: string, id: string): string {
  if (!isReleaseId(id)) throw new RangeError(`no release id: ${id}`);
  return join(placesOf(stateDir).incoming, id);
}

/** Makes the folders where they are missing. */
export async function makePlaces(stateDir: string): Promise<Places> {
  const places = placesOf(stateDir);
  await mkdir(places.releases, { recursive: true, mode: 0o755 });
  await mkdir(places.slots, { recursive: true, mode: 0o755 });
  await mkdir(places.withdrawals, { recursive: true, mode: 0o700 });
  await mkdir(places.incoming, { recursive: true, mode: 0o700 });
  await fsyncDir(stateDir);
  return places;
}

/** Called before each step with its name: tests cut the power there. */
export type StepHook = (step: string) => Promise<void> | void;

export const noHook: StepHook = () => undefined;
