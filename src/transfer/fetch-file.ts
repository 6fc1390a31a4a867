// Fetches one file that a signed statement names: goes on where it was left, and stops at the first wrong byte that can be told.
import { toHex } from '../bytes/text.ts';
import { sha256 } from '../crypto/digest.ts';
import type { HashName } from '../files/hashes.ts';
import type { ReleaseFault } from '../release/judgement.ts';
import type { OmsFile } from '../release/oms-types.ts';
import { attempts } from './attempts.ts';
import type { AttemptParts } from './attempts.ts';
import { pieces } from './body.ts';
import type { BodyParts } from './body.ts';
import { ByteCheck } from './byte-check.ts';
import { PartialFile } from './partial-file.ts';
import type { Announced } from './partial-file.ts';
import { refusedAnswer, unavailable } from './web.ts';
import type { Web } from './web.ts';

export interface FetchParts extends AttemptParts, BodyParts {
  readonly web: Web;
}

/** Starts from the first byte again that pieces of several answers do not fit together. */
const MAX_RESTARTS = 2;

function lengthOf(url: URL, header: string | undefined): number {
  const size = header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : null;
  if (size === null) throw refusedAnswer(url, 'the server does not say how long it is (Content-Length)');
  return size;
}

/** Asks how long a file is, before a byte of it is fetched. Errors: ReleaseError TRANSFER_…. */
export async function announce(parts: FetchParts, url: URL, file: OmsFile): Promise<Announced> {
  return attempts(parts, async () => {
    const answer = await parts.web.ask({ method: 'HEAD', url, signal: parts.signal });
    answer.resume();
    if (answer.statusCode !== 200) throw refusedAnswer(url, `the server answers ${answer.statusCode ?? 'nothing'}`);
    const size = lengthOf(url, answer.headers['content-length']);
    if (file.size !== null && file.size !== size) {
      throw refusedAnswer(url, `${size} bytes announced, ${file.size} bytes signed`);
    }
    const { etag } = answer.headers;
    // A weak tag does not name bytes.
    const tag = etag !== undefined && etag.length <= 256 && /^"[\x21-\x7e]*"$/.test(etag) ? etag : null;
    return { size, tag };
  });
}

/** One answer, appended. Errors: ReleaseError TRANSFER_…. */
async function fetchRest(parts: FetchParts, url: URL, partial: PartialFile, onBytes: (n: number) => void) {
  const { size, tag } = partial.announced;
  const from = partial.offset;
  const ask = from === 0 ? {} : { range: `bytes=${from}-`, ...(tag === null ? {} : { 'if-range': tag }) };
  const answer = await parts.web.ask({ method: 'GET', url, headers: ask, signal: parts.signal });
  const { statusCode: status = 0, headers } = answer;
  if (status === 206 && from > 0) {
    if (headers['content-range'] !== `bytes ${from}-${size - 1}/${size}`) {
      answer.destroy();
      throw refusedAnswer(url, 'the server sends another range than was asked for');
    }
  } else if (status === 200) {
    const length = headers['content-length'];
    if (length !== undefined && Number(length) !== size) {
      answer.destroy();
      throw refusedAnswer(url, `${lengthOf(url, length)} bytes announced now, ${size} before`);
    }
    // The server knows no ranges, or has other bytes than before.
    if (from > 0) await partial.restart();
  } else {
    answer.destroy();
    if (status === 416) {
      await partial.restart();
      throw unavailable(url, 'the server does not have the range that was asked for');
    }
    throw refusedAnswer(url, `the server answers ${status}`);
  }
  for await (const piece of pieces(url, answer, size - partial.offset, parts)) {
    await partial.append(piece);
    onBytes(partial.offset);
    if (partial.fault !== null) return;
  }
  if (partial.offset < size) throw unavailable(url, `it ended after ${partial.offset} of ${size} bytes`);
}

export interface FileWanted {
  readonly url: URL;
  readonly file: OmsFile;
  readonly algorithm: HashName;
  readonly announced: Announced;
  /** Folder of files on their way. */
  readonly partials: string;
  readonly target: string;
}

/** How a file on its way is called: names in a model may be long, and deep. */
export function partialName(file: OmsFile): string {
  return toHex(sha256(Buffer.from(file.path))).slice(0, 32);
}

/** Fetches a file to `target`; what is wrong with it otherwise. `onBytes`: so many of it are there. Errors: ReleaseError TRANSFER_…. */
export async function fetchFile(
  parts: FetchParts,
  wanted: FileWanted,
  onBytes: (there: number) => void,
): Promise<ReleaseFault | null> {
  const { url, file, algorithm, announced, partials, target } = wanted;
  const path = `${partials}/${partialName(file)}`;
  await using partial = await PartialFile.open(path, announced, () => new ByteCheck(file, algorithm));
  let whole = partial.offset === 0;
  for (let restarts = 0; ; restarts++) {
    await attempts(
      {
        ...parts,
        onRetry: (error) => {
          whole = false;
          parts.onRetry(error);
        },
      },
      async () => {
        if (partial.offset < announced.size) await fetchRest(parts, url, partial, onBytes);
      },
      () => partial.offset,
    );
    const fault = partial.fault ?? (await partial.finish(target));
    if (fault === null) return null;
    await partial.restart();
    // Pieces of several answers may be of several contents; one answer is what the server has.
    if (whole || restarts >= MAX_RESTARTS) return fault;
    whole = true;
  }
}
