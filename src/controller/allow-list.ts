// The endorsement keys that the operator let in beforehand, by Name: from a delivery note, or from a factory line.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import type { JsonLimits } from '../bytes/json-strict.ts';
import { parseFile, text, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { ConfigError, WireError } from '../errors.ts';
import { ekNameShape } from '../release/batch.ts';

export interface AllowedEk {
  /** TPM Name of the endorsement key: algorithm and digest, 34 or 50 bytes as hex. */
  readonly ekName: string;
  /** What it is let in as: who approved, in the endorsement. */
  readonly note: string;
  /** The operator has seen that it is a hardware TPM; counts where no vendor's certificate says so, or says otherwise. */
  readonly pinned: boolean;
}

/** More than any fleet: what is beyond is a mistake, or an attack on the disk. */
const MAX_ENTRIES = 100_000;

export const ALLOW_LIST_LIMITS: JsonLimits = { maxBytes: 32 * 1024 * 1024, maxDepth: 4 };

const allowedEkShape: Shape<AllowedEk> = v.strictObject({
  ekName: ekNameShape,
  note: text(64),
  pinned: v.boolean(),
});
export const allowedEksShape: Shape<readonly AllowedEk[]> = v.pipe(v.array(allowedEkShape), v.maxLength(MAX_ENTRIES));

export interface AllowList {
  /** Null when nobody let this key in. */
  find(ekName: string): AllowedEk | null;
  list(): readonly AllowedEk[];
  /** Adds, or takes the place of an entry for the same key. */
  add(entries: readonly AllowedEk[]): void;
  /** False when there was no such entry. */
  remove(ekName: string): boolean;
}

/** Kept in `file`. Errors of every method: ConfigError CONFIG_INVALID for a file that is damaged: it lets nobody in. */
export function openAllowList(file: string): AllowList {
  const load = (): readonly AllowedEk[] => {
    if (!existsSync(file)) return [];
    try {
      return parseFile(allowedEksShape, parseJsonStrict(readFileSync(file), ALLOW_LIST_LIMITS), file, 'CONFIG_INVALID');
    } catch (cause) {
      if (cause instanceof WireError) throw new ConfigError('CONFIG_INVALID', `${file}: ${cause.message}`, { cause });
      throw cause;
    }
  };
  const save = (entries: readonly AllowedEk[]): void => {
    writeFileSync(`${file}.new`, `${JSON.stringify(entries, null, 1)}\n`, { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  };
  return {
    find: (ekName) => load().find((one) => one.ekName === ekName) ?? null,
    list: load,
    add: (entries) => {
      const all = new Map([...load(), ...entries].map((one) => [one.ekName, one]));
      save([...all.values()]);
    },
    remove: (ekName) => {
      const all = load();
      const left = all.filter((one) => one.ekName !== ekName);
      if (left.length < all.length) save(left);
      return left.length < all.length;
    },
  };
}
