// The files of a model on disk: a folder walked without following links, or one file that is the whole model.
import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { FileFault, faultKind } from '../files/fault.ts';
import type { Fault } from '../files/fault.ts';
import { listTree } from '../files/tree.ts';
import type { TreeFile } from '../files/tree.ts';

export interface ModelFiles {
  /** The folder that paths are relative to. */
  readonly folder: string;
  /** The model is the one file in `files`, whatever else lies beside it. */
  readonly single: boolean;
  /** Name of the folder or file. */
  readonly name: string;
  readonly files: readonly TreeFile[];
  readonly faults: readonly Fault[];
}

/** Left out of every model folder, at its top level only (OMS v1.0, enumeration). */
export const DEFAULT_IGNORES: readonly string[] = ['.git', '.gitattributes', '.github', '.gitignore'];

/** True for one of `paths` and for everything below it: exact relative paths, no patterns. */
export function ignoring(paths: readonly string[]): (path: string) => boolean {
  const exact = new Set(paths.map((path) => path.replace(/^\.\//, '').replace(/\/+$/, '')));
  return (path) => {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      if (exact.has(path.slice(0, at))) return true;
    }
    return exact.has(path);
  };
}

/** Lists a model. Errors: ReleaseError RELEASE_INVALID where there is none, or where it is neither file nor folder. */
export async function listModel(
  path: string,
  exclude: (path: string) => boolean,
  signal?: AbortSignal,
): Promise<ModelFiles> {
  try {
    const stat = await lstat(path);
    if (stat.isFile()) {
      const name = basename(path);
      return { folder: join(path, '..'), single: true, name, files: [{ path: name, size: stat.size }], faults: [] };
    }
    const tree = await listTree(path, { exclude, ...(signal === undefined ? {} : { signal }) });
    return { folder: path, single: false, name: basename(path), ...tree };
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    const fault = cause instanceof FileFault ? cause : new FileFault(faultKind(cause), path, { cause });
    throw new ReleaseError('RELEASE_INVALID', fault.message, { cause: fault });
  }
}
