// Measures a slot: where its link points, every byte of the model there, and the configs that go with it.
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DifferingFile } from '../cel/events.ts';
import { MAX_DIFFERING } from '../cel/events.ts';
import { faultKind } from '../files/fault.ts';
import type { Fault, FaultKind } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import type { SlotProfile } from '../profile/profile.ts';
import { canonicalManifest, diffManifests } from '../release/manifest.ts';
import type { SignedRelease } from '../release/open.ts';
import { MODEL_FOLDER } from '../release/release-folder.ts';
import { measureConfigs } from './config-measurer.ts';
import { findFiles, withFaults } from './found-files.ts';
import type { FoundFiles } from './found-files.ts';

export interface SlotMeasurement {
  /** Hex id of the release that STATE/slots/SLOT points to; null where it points to none. */
  readonly release: string | null;
  /** Canonical manifest of what was found; a thing without readable bytes is in it by its kind (found-files.ts). */
  readonly manifest: Buffer;
  /** Digest of what the profile's config paths hold; null where it names none. */
  readonly configs: Buffer | null;
  /** Files that are not as the release says, and config paths (absolute) that are not as the profile says. */
  readonly differing: readonly DifferingFile[];
  /** How many more differ. */
  readonly more: number;
  /** What could not be measured, and why. */
  readonly faults: readonly Fault[];
}

export interface MeasureSlotOptions {
  readonly slot: SlotProfile;
  readonly stateDir: string;
  readonly expected: SignedRelease | null;
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

/** The slot's link, read: `id` null where there is none or it does not point to a release. */
interface Link {
  readonly text: string | null;
  readonly id: string | null;
  readonly fault: FaultKind | null;
}

const TARGET = /^\.\.\/releases\/([0-9a-f]{64})$/;
/** A slot that is switched while it is read is read again. */
const ATTEMPTS = 3;

async function readSlot(path: string): Promise<Link> {
  try {
    const text = await readlink(path);
    const id = TARGET.exec(text)?.[1] ?? null;
    return { text, id, fault: id === null ? 'symlink' : null };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return { text: null, id: null, fault: null };
    // A folder or file where a link belongs: consumers would open what is in it.
    return { text: null, id: null, fault: code === 'EINVAL' ? 'special' : faultKind(error) };
  }
}

async function findModel(link: Link, { stateDir, slot, pool, signal }: MeasureSlotOptions): Promise<FoundFiles> {
  if (link.fault !== null) return withFaults([], [{ path: '.', kind: link.fault }]);
  if (link.id === null) return withFaults([], []);
  const folder = join(stateDir, 'releases', link.id);
  const kind = await lstat(folder).then(
    (stat) => (stat.isDirectory() ? null : stat.isSymbolicLink() ? 'symlink' : 'special'),
    faultKind,
  );
  if (kind !== null) return withFaults([], [{ path: '.', kind }]);
  const found = await findFiles(join(folder, MODEL_FOLDER), { pool, ...(signal === undefined ? {} : { signal }) });
  const again = await readSlot(join(stateDir, 'slots', slot.name));
  return again.text === link.text ? found : withFaults([], [{ path: '.', kind: 'changed' }]);
}

/** What of the found files is not as `expected` says. */
function differences(expected: SignedRelease | null, found: FoundFiles): { differing: DifferingFile[]; more: number } {
  if (expected === null) return diffManifests([], found.entries, MAX_DIFFERING);
  if (expected.entries !== null) return diffManifests(expected.entries, found.entries, MAX_DIFFERING);
  // The signature names no whole-file digests: what is surplus has a name, what is altered shows in the manifest alone.
  const signed = new Set(expected.statement.files.map(({ path }) => path));
  const surplus = found.entries.filter(({ path }) => !signed.has(path));
  return diffManifests([], surplus, MAX_DIFFERING);
}

/** Reads every byte. What cannot be read is in the measurement. Errors: MeasureError; the signal's reason. */
export async function measureSlot(options: MeasureSlotOptions): Promise<SlotMeasurement> {
  const { slot, stateDir, expected, pool, signal } = options;
  const path = join(stateDir, 'slots', slot.name);
  let link = await readSlot(path);
  let found = await findModel(link, options);
  for (
    let attempt = 1;
    attempt < ATTEMPTS && found.faults.some((fault) => fault.path === '.' && fault.kind === 'changed');
    attempt++
  ) {
    link = await readSlot(path);
    found = await findModel(link, options);
  }
  const configs = await measureConfigs(slot.configs, { pool, ...(signal === undefined ? {} : { signal }) });
  const { differing, more } = differences(expected, found);
  return {
    release: link.id,
    manifest: canonicalManifest(found.entries),
    configs: configs.digest,
    differing: [...configs.differing, ...differing],
    more,
    faults: [...found.faults, ...configs.faults],
  };
}
