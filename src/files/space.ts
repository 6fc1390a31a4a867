// Free space of a disk, asked before the first byte is written, and what to say when a disk is full nevertheless.
import { statfs } from 'node:fs/promises';
import { ReleaseError } from '../errors.ts';
import { UnwrittenError } from './copy-target.ts';

/** Left free on the disk: the journal must always be able to write. */
const SPARE_BYTES = 16 * 1024 * 1024;
/** What a file takes beside its bytes: its inode and the rest of its last block. */
export const FILE_OVERHEAD = 8192;

/** Errors: ReleaseError DISK_FULL when `bytes`, files with their overhead, would not fit on the disk of `folder`. */
export async function assertFree(folder: string, bytes: number): Promise<void> {
  const needed = bytes + SPARE_BYTES;
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new ReleaseError('DISK_FULL', `${folder}: the release needs ${needed} bytes, ${free} are free`);
}

/** Errors of the disk of `folder` in the words of this product; all others as they are. */
export function diskError(folder: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new ReleaseError('DISK_FULL', `${folder} is full`, { cause: error });
  if (code === 'EIO' || code === 'EROFS') {
    const why = code === 'EIO' ? 'the disk fails' : 'the disk is read-only';
    return new ReleaseError('DISK_FAILED', `${folder}: ${why}`, { cause: error });
  }
  // As where a file and a folder of a release have one name.
  if (error instanceof UnwrittenError || (error instanceof Error && 'syscall' in error)) {
    return new ReleaseError('RELEASE_INVALID', `${folder}: ${error.message}`, { cause: error });
  }
  return error;
}
