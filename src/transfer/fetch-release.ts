// Fetches a release from a web server: first what is signed, and once that was judged, the files that it names and no others.
import { lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import { assertFree, diskError, FILE_OVERHEAD } from '../files/space.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import { inLanes } from '../release/lanes.ts';
import { hashOfType, pathFault } from '../release/oms-resources.ts';
import type { OmsStatement } from '../release/oms-statement.ts';
import type { OmsFile } from '../release/oms-types.ts';
import { PASSPORT_FILE_BYTES } from '../release/open.ts';
import {
  FLOOR_TOKEN_BYTES,
  FLOOR_TOKEN_FILE,
  MODEL_FOLDER,
  PASSPORT_FILE,
  SIGNATURE_FILE,
  SIGNATURE_FILE_BYTES,
} from '../release/release-folder.ts';
import { attempts } from './attempts.ts';
import { pieces } from './body.ts';
import { announce, fetchFile, partialName } from './fetch-file.ts';
import type { FetchParts } from './fetch-file.ts';
import type { Announced } from './partial-file.ts';
import { fileUrl, folderUrl } from './source-url.ts';
import { refusedAnswer } from './web.ts';

/** Files on their way, in the folder of the release. */
export const PARTIALS = '.parts';

export interface SignedBytes {
  readonly sig: Buffer | null;
  readonly passport: Buffer | null;
}

export interface ReleaseParts extends FetchParts {
  /** Where the release comes to lie; nobody else writes there. */
  readonly folder: string;
  /** What the signed files name, when it may be fetched; null: they were refused, and nothing more is asked for. */
  judge(files: SignedBytes): Promise<OmsStatement | null>;
  /** So many bytes of so many are there. */
  onProgress(there: number, of: number): void;
}

/** `refused`: by `judge`. */
export type Fetched =
  { readonly at: 'here' } | { readonly at: 'refused' } | { readonly at: 'wrong'; readonly fault: ReleaseFault };

/** A small file as a whole; null where there is none. Errors: ReleaseError TRANSFER_…. */
async function fetchSmall(parts: FetchParts, url: URL, max: number): Promise<Buffer | null> {
  return attempts(parts, async () => {
    const answer = await parts.web.ask({ method: 'GET', url, signal: parts.signal });
    const { statusCode } = answer;
    if (statusCode !== 200) {
      answer.destroy();
      if (statusCode === 404 || statusCode === 410) return null;
      throw refusedAnswer(url, `the server answers ${statusCode ?? 'nothing'}`);
    }
    const all: Buffer[] = [];
    for await (const piece of pieces(url, answer, max, parts)) all.push(piece);
    return Buffer.concat(all);
  });
}

async function sizeOf(path: string): Promise<number | null> {
  return lstat(path).then(
    (stat) => (stat.isFile() ? stat.size : null),
    () => null,
  );
}

interface Planned {
  readonly file: OmsFile;
  readonly url: URL;
  readonly target: string;
  readonly announced: Announced;
  /** Bytes of it on this disk already. */
  readonly there: number;
}

/** What is to be fetched, and that there is room for it. Errors: ReleaseError TRANSFER_…, DISK_FULL. */
async function plan(parts: ReleaseParts, base: URL, statement: OmsStatement): Promise<Planned[]> {
  const { folder, limits } = parts;
  const model = fileUrl(base, MODEL_FOLDER);
  model.pathname += '/';
  const planned = await inLanes(statement.files, async (file): Promise<Planned> => {
    // A lone `.` is the one file of the model, called as the subject is.
    const path = file.path === '.' ? statement.subject.name : file.path;
    if (pathFault(path) !== null) throw new ReleaseError('RELEASE_INVALID', 'the signed name leads out of the model');
    const url = fileUrl(model, path);
    const target = join(folder, MODEL_FOLDER, path);
    const whole = await sizeOf(target);
    if (whole !== null) return { file, url, target, announced: { size: whole, tag: null }, there: whole };
    const partial = join(folder, PARTIALS, `${partialName(file)}.part`);
    const announced = await announce(parts, url, file);
    return { file, url, target, announced, there: Math.min((await sizeOf(partial)) ?? 0, announced.size) };
  });
  const total = planned.reduce((sum, one) => sum + one.announced.size, 0);
  if (limits.maxBytes !== null && total > limits.maxBytes) {
    throw refusedAnswer(base, `the release is ${total} bytes long, the profile allows ${limits.maxBytes}`);
  }
  const open = planned.reduce((sum, one) => sum + one.announced.size - one.there + FILE_OVERHEAD, 0);
  await assertFree(folder, open);
  return planned;
}

/** The release at the address itself, or under its id below it. Errors: ReleaseError TRANSFER_…. */
async function findRelease(parts: ReleaseParts, source: string, id: string): Promise<{ base: URL; passport: Buffer }> {
  const given = folderUrl(source, parts.limits.plainHttp);
  const below = fileUrl(given, id);
  below.pathname += '/';
  for (const base of [given, below]) {
    const passport = await fetchSmall(parts, fileUrl(base, PASSPORT_FILE), PASSPORT_FILE_BYTES);
    if (passport !== null) return { base, passport };
  }
  throw refusedAnswer(given, `there is no ${PASSPORT_FILE} here, nor below ${id}/`);
}

async function fetchAll(parts: ReleaseParts, source: string, id: string): Promise<Fetched> {
  const { folder, clock, limits, signal } = parts;
  if (limits.jitterMs > 0) await clock.sleep(Math.random() * limits.jitterMs, signal);
  const { base, passport } = await findRelease(parts, source, id);
  const sig = await fetchSmall(parts, fileUrl(base, SIGNATURE_FILE), SIGNATURE_FILE_BYTES);
  const statement = await parts.judge({ sig, passport });
  if (statement === null || sig === null) return { at: 'refused' };
  const algorithm = hashOfType(statement.serialization.hash_type);
  if (algorithm === undefined) throw new TypeError('a statement was let in whose hash nobody knows');
  const token = await fetchSmall(parts, fileUrl(base, FLOOR_TOKEN_FILE), FLOOR_TOKEN_BYTES);
  await mkdir(join(folder, MODEL_FOLDER), { recursive: true, mode: 0o700 });
  const planned = await plan(parts, base, statement);
  const of = planned.reduce((sum, one) => sum + one.announced.size, 0);
  let done = 0;
  for (const { file, url, target, announced } of planned) {
    if ((await sizeOf(target)) === null) {
      const wanted = { url, file, algorithm, announced, partials: join(folder, PARTIALS), target };
      const fault = await fetchFile(parts, wanted, (there) => {
        parts.onProgress(done + there, of);
      });
      if (fault !== null) return { at: 'wrong', fault };
    }
    done += announced.size;
    parts.onProgress(done, of);
  }
  if (token !== null) await writeFileDurably(join(folder, FLOOR_TOKEN_FILE), token);
  await writeFileDurably(join(folder, SIGNATURE_FILE), sig);
  // Last: with it the folder is a release.
  await writeFileDurably(join(folder, PASSPORT_FILE), passport);
  await rm(join(folder, PARTIALS), { recursive: true, force: true });
  return { at: 'here' };
}

/**
 * Fetches release `id` into `parts.folder`. What was fetched stays there when it fails or is cut, and the next call goes on with it.
 * Takes no more disk than was announced before the first file. Errors: ReleaseError TRANSFER_…, DISK_FULL; the signal's reason.
 */
export async function fetchRelease(parts: ReleaseParts, source: string, id: string): Promise<Fetched> {
  try {
    return await fetchAll(parts, source, id);
  } catch (error) {
    parts.signal.throwIfAborted();
    throw diskError(parts.folder, error);
  }
}
