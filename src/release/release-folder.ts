// A release on disk: RELEASE/{model/…, model.sig, passport.json}, the same everywhere.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { PASSPORT_FILE_BYTES } from './open.ts';

export const MODEL_FOLDER = 'model';
export const SIGNATURE_FILE = 'model.sig';
export const PASSPORT_FILE = 'passport.json';
/** Lets a device raise its floor; a release that raises none has none. */
export const FLOOR_TOKEN_FILE = 'floor-token.json';
export const FLOOR_TOKEN_BYTES = 4096;

/** A statement of 64 MiB in base64 with its bundle. */
export const SIGNATURE_FILE_BYTES: number = 96 * 1024 * 1024;

/**
 * The bytes of a file that must be a regular one and at most `max` bytes long; null where there is none. The last component is
 * never a link that is followed. Errors: ReleaseError RELEASE_INVALID.
 */
export async function readBounded(path: string, max: number): Promise<Buffer | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new ReleaseError('RELEASE_INVALID', `${path} cannot be read`, { cause });
  });
  if (handle === null) return null;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new ReleaseError('RELEASE_INVALID', `${path} is not a regular file`);
    // One byte more than allowed, so that a file that grows meanwhile is noticed too.
    const bytes = Buffer.alloc(Math.min(stat.size, max) + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > max || length > stat.size) {
      throw new ReleaseError('RELEASE_INVALID', `${path} is longer than ${Math.min(stat.size, max)} bytes`);
    }
    return bytes.subarray(0, length);
  } finally {
    await handle.close();
  }
}

/** The two signed files of a release folder, as openRelease takes them. Errors: ReleaseError. */
export async function readSignedFiles(folder: string): Promise<{ sig: Buffer | null; passport: Buffer | null }> {
  return {
    sig: await readBounded(join(folder, SIGNATURE_FILE), SIGNATURE_FILE_BYTES),
    passport: await readBounded(join(folder, PASSPORT_FILE), PASSPORT_FILE_BYTES),
  };
}
