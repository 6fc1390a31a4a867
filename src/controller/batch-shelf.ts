// The batches of factory lines that an operator imported: kept as they were signed, and judged anew whenever one would let a device in.
import { readdir, readFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, TouchstoneError } from '../errors.ts';
import { fsyncDir, sweepTemporaries, writeFileDurably } from '../files/durable.ts';
import type { Log } from '../log.ts';
import { batchFaults, batchFindings, openBatch } from '../release/batch.ts';
import type { BatchEntry, BatchFault, SignedBatch } from '../release/batch.ts';
import type { Trust } from '../release/root.ts';
import type { Finding } from '../rules/finding.ts';

/** Keys on the shelf; what is beyond is a mistake, or an attack on the disk. Batches that ended make room: they are not loaded. */
const MAX_KEYS = 200_000;
/** ID.json counts; ID.withdrawn.json was taken back and is kept, so that the same file is not imported again. */
const FILE = /^([0-9a-f]{32})(\.withdrawn)?\.json$/;

/** A batch as operators and auditors see it. */
export interface BatchView {
  readonly id: string;
  readonly issuedAt: number;
  readonly expires: number;
  readonly profiles: readonly string[];
  readonly count: number;
  readonly signers: readonly string[];
  readonly withdrawn: boolean;
  /** Why it lets nobody in now; empty when it does. */
  readonly faults: readonly BatchFault[];
}

/** What became of an import. */
export type BatchTaken =
  | {
      readonly batch: BatchView;
      /** Keys that another batch has let in as well: a device that went through the line twice, or two that are one. */
      readonly again: readonly BatchEntry[];
    }
  | { readonly refused: readonly Finding[] };

interface Kept extends SignedBatch {
  readonly withdrawn: boolean;
}

export interface ShelfParts {
  readonly folder: string;
  readonly trust: () => Pick<Trust, 'root'>;
  readonly now: () => number;
  readonly log: Log;
}

export class BatchShelf {
  readonly #parts: ShelfParts;
  readonly #kept = new Map<string, Kept>();
  /** Batches that name a key, by the key's Name. */
  readonly #byKey = new Map<string, string[]>();
  #keys = 0;

  constructor(parts: ShelfParts) {
    this.#parts = parts;
  }

  /** Reads what was imported before. A file that is damaged lets nobody in, and is named in the log. */
  async open(): Promise<void> {
    const { folder, trust, log } = this.#parts;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await sweepTemporaries(folder);
    for (const name of (await readdir(folder)).toSorted()) {
      const [, id, withdrawn] = FILE.exec(name) ?? [];
      if (id === undefined) continue;
      const opened = openBatch(await readFile(join(folder, name)), trust().root);
      const fault = 'fault' in opened ? `${opened.fault.rule}: ${opened.fault.found}` : null;
      if ('fault' in opened || opened.batch.id !== id) {
        log.write('error', 'config', `${join(folder, name)} lets nobody in: ${fault ?? 'it is another batch'}`);
      } else this.#add({ ...opened, withdrawn: withdrawn !== undefined });
    }
  }

  #add(kept: Kept): void {
    const { id, entries } = kept.batch;
    this.#kept.set(id, kept);
    this.#keys += entries.length;
    for (const { ekName } of entries) this.#byKey.set(ekName, [...(this.#byKey.get(ekName) ?? []), id]);
  }

  #faults(signed: SignedBatch): BatchFault[] {
    const { trust, now } = this.#parts;
    return batchFaults({ ...signed, root: trust().root, now: now() });
  }

  /** Takes a file that a station signed. Errors: TouchstoneError CONTROL_REFUSED when there is no room; of the disk. */
  async take(file: Uint8Array): Promise<BatchTaken> {
    const { folder, trust, log } = this.#parts;
    const opened = openBatch(file, trust().root);
    if ('fault' in opened) return { refused: batchFindings([opened.fault]) };
    const { id, entries } = opened.batch;
    const before = this.#kept.get(id);
    const faults = this.#faults(opened);
    if (before !== undefined) {
      const found = `batch ${id}, ${before.withdrawn ? 'which was taken back' : 'imported before'}`;
      faults.push({ rule: 'batch-known', expected: 'a batch that was not imported yet', found });
    }
    if (faults.length > 0) return { refused: batchFindings(faults) };
    if (this.#keys + entries.length > MAX_KEYS) {
      throw new TouchstoneError('CONTROL_REFUSED', `a controller keeps at most ${MAX_KEYS} keys of batches`);
    }
    await writeFileDurably(join(folder, `${id}.json`), file, 0o600);
    const again = entries.filter(({ ekName }) => this.#byKey.has(ekName));
    const kept = { ...opened, withdrawn: false };
    this.#add(kept);
    log.write('info', 'batch', `batch ${id} imported: ${entries.length} keys, signed by ${opened.signers.join(', ')}`);
    return { batch: this.#view(kept), again };
  }

  /** Its devices are let in no more; those that are in keep their place. Errors: TouchstoneError CONTROL_REFUSED. */
  async withdraw(id: string): Promise<void> {
    const { folder, log } = this.#parts;
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new TouchstoneError('CONTROL_REFUSED', `no batch ${id} was imported here`);
    if (kept.withdrawn) throw new TouchstoneError('CONTROL_REFUSED', `batch ${id} is taken back already`);
    await rename(join(folder, `${id}.json`), join(folder, `${id}.withdrawn.json`));
    await fsyncDir(folder);
    this.#kept.set(id, { ...kept, withdrawn: true });
    log.write('info', 'batch', `batch ${id} is taken back`);
  }

  /** The batch by which a key may enrol as such a device now; null when there is none. */
  find(ekName: string, profile: string): string | null {
    const found = this.#byKey.get(ekName)?.find((id) => {
      const kept = this.#kept.get(id);
      return (
        kept !== undefined &&
        !kept.withdrawn &&
        kept.batch.profiles.includes(profile) &&
        this.#faults(kept).length === 0
      );
    });
    return found ?? null;
  }

  #view(kept: Kept): BatchView {
    const { id, issuedAt, expires, profiles, count } = kept.batch;
    const { signers, withdrawn } = kept;
    return { id, issuedAt, expires, profiles, count, signers, withdrawn, faults: this.#faults(kept) };
  }

  list(): BatchView[] {
    return [...this.#kept.values()].map((kept) => this.#view(kept));
  }

  /** The exact file of a batch, for who checks it elsewhere. Errors: ConfigError. */
  async file(id: string): Promise<Buffer> {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new TouchstoneError('CONTROL_REFUSED', `no batch ${id} was imported here`);
    const name = kept.withdrawn ? `${id}.withdrawn.json` : `${id}.json`;
    return readFile(join(this.#parts.folder, name)).catch((cause: unknown) => {
      throw new ConfigError('CONFIG_MISSING', `${name} of the batches cannot be read`, { cause });
    });
  }
}
