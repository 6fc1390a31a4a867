// What a cut may leave of a disk: everything, only what is certain, and what file systems allow in between.
import { applyChange, bytesNow } from './disk.ts';
import type { DataChange, DirNode, FileNode, NameChange, Survival } from './disk.ts';

/** Numbers from 0 to below 1 that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a disk writes as a whole. */
const SECTOR = 512;

/** What a killed process leaves: the kernel has everything. */
export const EVERYTHING: Survival = { names: (pending) => pending, bytes: bytesNow };

/** POSIX to the letter: only what a sync was answered for. */
const CERTAIN: Survival = { names: () => [], bytes: (file) => file.synced };

/** A journalling file system that writes names at once and bytes late. */
const NAMES_ONLY: Survival = { names: (pending) => pending, bytes: (file) => file.synced };

/** The sectors of a change, each of which reaches the disk or not. */
function sectorsOf(change: DataChange): DataChange[] {
  if ('size' in change) return [change];
  const sectors: DataChange[] = [];
  for (let from = 0; from < change.bytes.length;) {
    const to = Math.min(change.bytes.length, from + SECTOR - ((change.at + from) % SECTOR));
    sectors.push({ at: change.at + from, bytes: change.bytes.subarray(from, to) });
    from = to;
  }
  return sectors;
}

/** Everything, but of the last write to each file only its first half, in whole sectors. */
const TORN: Survival = {
  names: (pending) => pending,
  bytes: ({ synced, pending }: FileNode) => {
    const last = pending.at(-1);
    if (last === undefined) return synced;
    const sectors = sectorsOf(last);
    return [...pending.slice(0, -1), ...sectors.slice(0, sectors.length >> 1)].reduce(applyChange, synced);
  },
};

/** In each folder the names up to some change; a rename between folders happens in both or in neither. */
function prefixes(pending: readonly NameChange[], random: () => number): NameChange[] {
  const lost = new Set<DirNode>();
  return pending.filter(({ parts }) => {
    const gone = parts.some(({ dir }) => lost.has(dir)) || random() < 0.4;
    if (gone) for (const { dir } of parts) lost.add(dir);
    return !gone;
  });
}

/** Any of the unsynced sectors, any beginning of the changes of each folder's names, chosen by `seed`. */
function reordered(seed: number): Survival {
  const random = seeded(seed);
  const chosen = new Map<FileNode, Buffer>();
  return {
    names: (pending) => prefixes(pending, random),
    bytes: (file) => {
      // A file with two names is one file.
      const bytes =
        chosen.get(file) ??
        file.pending
          .flatMap(sectorsOf)
          .filter(() => random() < 0.5)
          .reduce(applyChange, file.synced);
      chosen.set(file, bytes);
      return bytes;
    },
  };
}

/** The ways in which a power cut is tried, by name. */
export function powerCuts(seed: number): readonly (readonly [string, Survival])[] {
  return [
    ['all', EVERYTHING],
    ['certain', CERTAIN],
    ['names', NAMES_ONLY],
    ['torn', TORN],
    ['reordered', reordered(seed)],
    ['reordered again', reordered(seed + 0x8000_0000)],
  ];
}
