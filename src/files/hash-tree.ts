// The files of a listed folder with their digests, few at a time however many there are.
import { join } from 'node:path';
import { FileFault } from './fault.ts';
import type { Fault } from './fault.ts';
import type { HashPool, LeaseState } from './hash-pool.ts';
import type { TreeFile } from './tree.ts';

export interface HashedFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: Buffer;
}

export interface HashedTree {
  /** In the order of the listing; a file that could not be hashed is only among the faults. */
  readonly files: HashedFile[];
  readonly faults: Fault[];
  /** How many files gave which answer when a lease was asked for; all zero where none was. */
  readonly leases: Readonly<Record<LeaseState, number>>;
}

export interface HashTreeOptions {
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
  /** How often a file is read again when it changed while it was read; after that it is a fault. */
  readonly retries?: number;
}

/** Files handed to the pool at once: enough for its batches, few enough for a device's memory. */
const WINDOW = 512;

/** Hashes `files` (of `listTree(root)`). What goes wrong with one file is a fault. Errors: the signal's reason; MeasureError. */
export async function hashTree(
  root: string,
  files: readonly TreeFile[],
  pool: HashPool,
  options: HashTreeOptions = {},
): Promise<HashedTree> {
  const { onProgress, signal, retries = 2 } = options;
  const hashed: (HashedFile | undefined)[] = Array.from({ length: files.length });
  const faults: Fault[] = [];
  const leases: Record<LeaseState, number> = { leased: 0, busy: 0, unsupported: 0 };
  const hashOne = async (file: TreeFile, left: number): Promise<HashedFile | Fault> => {
    try {
      const found = await pool.hashFile(join(root, file.path), {
        // A retry asks for the size afresh: it may be what changed.
        ...(left === retries ? { size: file.size } : {}),
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (found.lease !== null) leases[found.lease]++;
      return { path: file.path, size: found.size, sha256: found.sha256 };
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      if (error.kind === 'changed' && left > 0) return await hashOne(file, left - 1);
      return { path: file.path, kind: error.kind };
    }
  };
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < files.length) {
      const index = next++;
      const file = files[index];
      if (file === undefined) return;
      const result = await hashOne(file, retries);
      if ('kind' in result) faults.push(result);
      else hashed[index] = result;
    }
  };
  await Promise.all(Array.from({ length: Math.min(WINDOW, files.length) }, lane));
  return { files: hashed.filter((file) => file !== undefined), faults, leases };
}
