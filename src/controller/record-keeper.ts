// Keeps a record at each change of a device's verdict, so that an auditor finds yesterday's; bounded for each device, whatever it does.
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TouchstoneError } from '../errors.ts';
import { sweepTemporaries, writeFileDurably } from '../files/durable.ts';
import type { Log } from '../log.ts';
import type { Judged } from './intake.ts';

/** Records of one device, and their bytes together. */
export const KEPT_RECORDS = 64;
const KEPT_BYTES = 16 * 1024 * 1024;
/** Changes that wait for the disk; what comes then is not recorded, and said. */
const MAX_WAITING = 256;

/** TIME-STATUS.record.json; the time is UTC, in a form that every file system takes. */
const FILE = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z)-[a-z]+\.record\.json$/;

interface KeptFile {
  readonly name: string;
  readonly at: number;
  readonly size: number;
}

function timeOf(stamp: string): number {
  return Date.parse(stamp.replace(/T(\d\d)-(\d\d)-/, 'T$1:$2:'));
}

/**
 * What must go, so that no more than `most` files and `bytes` stay: again and again the one in the thickest crowd, never the first and
 * never the last. A device that changes its verdict all the time thins out its own noise, and not what it did before.
 */
export function toPrune(files: readonly KeptFile[], most: number = KEPT_RECORDS, bytes: number = KEPT_BYTES): string[] {
  const left = files.toSorted((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
  const gone: string[] = [];
  let size = left.reduce((sum, one) => sum + one.size, 0);
  while (left.length > 2 && (left.length > most || size > bytes)) {
    const gap = (at: number): number => (left[at + 1]?.at ?? 0) - (left[at - 1]?.at ?? 0);
    let thickest = 1;
    for (let at = 2; at < left.length - 1; at++) if (gap(at) < gap(thickest)) thickest = at;
    const [removed] = left.splice(thickest, 1);
    if (removed === undefined) throw new TypeError('one in the middle was taken');
    size -= removed.size;
    gone.push(removed.name);
  }
  return gone;
}

export interface RecordKeeperParts {
  readonly folder: string;
  /** The record's file. Errors: TouchstoneError where there can be none. */
  readonly make: (judged: Judged) => Promise<Buffer>;
  readonly log: Log;
}

export class RecordKeeper {
  readonly #parts: RecordKeeperParts;
  readonly #waiting: Judged[] = [];
  #writing: Promise<void> | null = null;

  constructor(parts: RecordKeeperParts) {
    this.#parts = parts;
  }

  /** Records what was accepted, where it changed the verdict. Returns at once; nothing that goes wrong here stops anything. */
  accepted(judged: Judged): void {
    if (judged.taken.change === null) return;
    if (this.#waiting.length >= MAX_WAITING) this.#say(judged, `${MAX_WAITING} others wait for the disk`);
    else {
      this.#waiting.push(judged);
      this.#writing ??= this.#write();
    }
  }

  /** Everything that was accepted is on the disk, or was said not to be. */
  async idle(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  #say({ known: { id } }: Judged, why: string): void {
    this.#parts.log.write('warning', 'record', `a change of ${id} is not recorded: ${why}`, { device: id });
  }

  async #write(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const judged = next;
      await this.#keep(judged).catch((error: unknown) => {
        if (!(error instanceof TouchstoneError) && !(error instanceof Error && 'syscall' in error)) throw error;
        this.#say(judged, error.message);
      });
    }
    this.#writing = null;
  }

  async #keep(judged: Judged): Promise<void> {
    const { at, status } = judged.taken.verdict;
    const folder = join(this.#parts.folder, judged.known.id);
    const bytes = await this.#parts.make(judged);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const stamp = new Date(at).toISOString().replaceAll(':', '-');
    await writeFileDurably(join(folder, `${stamp}-${status}.record.json`), bytes, 0o600);
    await sweepTemporaries(folder);
    for (const name of toPrune(await keptIn(folder))) await rm(join(folder, name), { force: true });
  }
}

async function keptIn(folder: string): Promise<KeptFile[]> {
  const found = (await readdir(folder)).map((name) => ({ name, stamp: FILE.exec(name)?.[1] }));
  return Promise.all(
    found.flatMap(({ name, stamp }) =>
      stamp === undefined ? [] : [stat(join(folder, name)).then(({ size }) => ({ name, at: timeOf(stamp), size }))],
    ),
  );
}
