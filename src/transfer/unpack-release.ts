// Takes the files of a model out of an archive: those that the signed statement names, in its order, each verified while it comes.
import { join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { assertFree, FILE_OVERHEAD } from '../files/space.ts';
import type { UstarEntry, UstarReader } from '../files/ustar.ts';
import { expectEnd, expectEntry, modelEntry } from '../protocol/bundle.ts';
import type { BundlePapers } from '../protocol/bundle.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import { hashOfType, pathFault } from '../release/oms-resources.ts';
import type { OmsStatement } from '../release/oms-statement.ts';
import { FLOOR_TOKEN_FILE, MODEL_FOLDER, PASSPORT_FILE, SIGNATURE_FILE } from '../release/release-folder.ts';
import { ByteCheck } from './byte-check.ts';
import { partialName } from './fetch-file.ts';
import { PARTIALS } from './fetch-release.ts';
import { PartialFile } from './partial-file.ts';

export interface UnpackParts {
  readonly reader: UstarReader;
  /** The entry after the papers. */
  readonly next: UstarEntry | null;
  readonly papers: Pick<BundlePapers, 'sig' | 'passport' | 'token'>;
  /** What the signed files name; they were judged. */
  readonly statement: OmsStatement;
  /** Empty, and nobody else writes there. */
  readonly folder: string;
  /** All files together; null: what the disk has room for. */
  readonly maxBytes: number | null;
}

async function unpackFile(
  entry: UstarEntry,
  check: ByteCheck,
  partial: string,
  target: string,
): Promise<ReleaseFault | null> {
  await using file = await PartialFile.open(partial, { size: entry.size, tag: null }, () => check);
  for await (const piece of entry.bytes()) {
    await file.append(piece);
    if (file.fault !== null) return file.fault;
  }
  return file.finish(target);
}

/**
 * Null: the release lies in the folder as it was signed; otherwise the first byte range that is not. Errors: WireError for another
 * archive; ReleaseError DISK_FULL, or RELEASE_INVALID when it is longer than allowed.
 */
export async function unpackRelease(parts: UnpackParts): Promise<ReleaseFault | null> {
  const { reader, statement, folder, maxBytes, papers } = parts;
  const algorithm = hashOfType(statement.serialization.hash_type);
  if (algorithm === undefined) throw new TypeError('a statement was let in whose hash nobody knows');
  let [entry, total] = [parts.next, 0];
  for (const [index, file] of statement.files.entries()) {
    const found = expectEntry(entry, modelEntry(index));
    // A lone `.` is the one file of the model, called as the subject is.
    const path = file.path === '.' ? statement.subject.name : file.path;
    if (pathFault(path) !== null) throw new ReleaseError('RELEASE_INVALID', 'the signed name leads out of the model');
    total += found.size;
    if (maxBytes !== null && total > maxBytes) {
      throw new ReleaseError(
        'RELEASE_INVALID',
        `the release is longer than the ${maxBytes} bytes that the profile allows`,
      );
    }
    await assertFree(folder, found.size + FILE_OVERHEAD);
    const partial = join(folder, PARTIALS, partialName(file));
    const fault = await unpackFile(found, new ByteCheck(file, algorithm), partial, join(folder, MODEL_FOLDER, path));
    if (fault !== null) return fault;
    entry = await reader.next();
  }
  expectEnd(entry);
  if (papers.token !== null) await writeFileDurably(join(folder, FLOOR_TOKEN_FILE), papers.token);
  await writeFileDurably(join(folder, SIGNATURE_FILE), papers.sig);
  // Last: with it the folder is a release.
  await writeFileDurably(join(folder, PASSPORT_FILE), papers.passport);
  return null;
}
