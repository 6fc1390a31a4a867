// What lies somewhere as entries of a manifest: files by their bytes, and everything that has none by what it is.
import { compareUtf8 } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import { FileFault } from '../files/fault.ts';
import type { Fault, FaultKind } from '../files/fault.ts';
import type { HashPool } from '../files/hash-pool.ts';
import { hashTree } from '../files/hash-tree.ts';
import { listTree } from '../files/tree.ts';
import type { Tree } from '../files/tree.ts';
import type { ManifestEntry } from '../release/types.ts';

export interface FoundFiles {
  /** Sorted by the bytes of the path, each path once. A fault is an entry of size 0 with `faultDigest`. */
  readonly entries: readonly ManifestEntry[];
  readonly faults: readonly Fault[];
}

/** Stands in a manifest for what cannot be read, so that a link or a pipe beside the signed files is a difference like any other. */
export function faultDigest(kind: FaultKind): Buffer {
  return sha256(Buffer.from(`touchstone/fault/1\0${kind}`));
}

/** Files and faults as one manifest. */
export function withFaults(files: readonly ManifestEntry[], faults: readonly Fault[]): FoundFiles {
  const byPath = new Map<string, ManifestEntry>();
  for (const file of files) byPath.set(file.path, file);
  // The kind that says most: two faults of one path come from its listing, which is sorted.
  for (const { path, kind } of faults.toReversed()) byPath.set(path, { path, size: 0, sha256: faultDigest(kind) });
  return { entries: [...byPath.values()].toSorted((a, b) => compareUtf8(a.path, b.path)), faults };
}

/** Where there is no folder at all. */
function nothingThere(error: unknown): Tree {
  if (!(error instanceof FileFault)) throw error;
  return { files: [], faults: [{ path: '.', kind: error.kind }] };
}

export interface FindOptions {
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
  /** True for a relative path that is left out with all below it. */
  readonly exclude?: (path: string) => boolean;
  /** Of what is listed, what counts; everything by default. */
  readonly counts?: (entry: { readonly path: string; readonly fault: FaultKind | null }) => boolean;
}

/** Reads every byte below `root`; a root that is no folder is the fault `.`. Errors: MeasureError; the signal's reason. */
export async function findFiles(root: string, options: FindOptions): Promise<FoundFiles> {
  const { pool, signal, exclude, counts = () => true } = options;
  const some = signal === undefined ? {} : { signal };
  const tree = await listTree(root, { ...some, ...(exclude === undefined ? {} : { exclude }) }).catch(nothingThere);
  const files = tree.files.filter(({ path }) => counts({ path, fault: null }));
  const hashed = await hashTree(root, files, pool, some);
  return withFaults(hashed.files, [
    ...tree.faults.filter(({ path, kind }) => counts({ path, fault: kind })),
    ...hashed.faults,
  ]);
}
