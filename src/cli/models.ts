// What commands share that work on one signed model: where it is, and where its signature lies.
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { SIGNATURE_FILE } from '../release/release-folder.ts';

export interface ModelPlace {
  /** The folder or file itself: a link given by the caller was followed, those inside of the model never are. */
  readonly model: string;
  readonly isFolder: boolean;
  readonly signature: string;
  /** Path of the signature relative to the model folder; null where it lies elsewhere. */
  readonly signatureInside: string | null;
}

/** A path inside of the folder, as POSIX path relative to it; null for one outside, and for `-`, standard input. */
export function insideOf(folder: string, path: string): string | null {
  if (path === '-') return null;
  const inside = relative(resolve(folder), resolve(path));
  return inside === '' || inside === '..' || inside.startsWith(`..${sep}`) ? null : inside;
}

/** Finds model and signature. `given`: the caller's own place for the signature. Errors: ReleaseError where there is no model. */
export async function modelPlace(asGiven: string, given: string | undefined): Promise<ModelPlace> {
  const model = await realpath(asGiven).catch((cause: unknown) => {
    throw new ReleaseError('RELEASE_INVALID', `${asGiven} is not there, or cannot be read`, { cause });
  });
  const isFolder = (await lstat(model)).isDirectory();
  const signature = given ?? join(isFolder ? model : dirname(model), SIGNATURE_FILE);
  // Its folder may be a link into the model.
  const folder = await realpath(dirname(resolve(signature))).catch(() => dirname(resolve(signature)));
  return {
    model,
    isFolder,
    signature,
    signatureInside: isFolder ? insideOf(model, join(folder, basename(signature))) : null,
  };
}
