// One-time enrolment tokens: the controller keeps digests only, and each is good once, and for a time.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { toBase32 } from '../bytes/text.ts';
import { hexString, parseFile, text, uint, v } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { tokenDigest } from './fleet-files.ts';

interface Kept {
  readonly digest: string;
  readonly name: string;
  /** ms since 1970; absent in what older controllers wrote: no end. */
  readonly until?: number;
}

const shape = v.array(v.strictObject({ digest: hexString(32), name: text(64), until: v.exactOptional(uint()) }));

export interface Tokens {
  /** A new token for `name`, shown once; good until that time (ms since 1970). */
  issue(name: string, until: number): string;
  /** The name of the token, which is thereby used up; null when it is not one, or is not good at `now` any more. */
  take(token: string, now: number): string | null;
  /** All that were issued are void. */
  clear(): void;
}

/** Tokens kept in `file`. Errors: ConfigError CONFIG_INVALID. */
export function openTokens(file: string): Tokens {
  const load = (): Kept[] =>
    existsSync(file) ? parseFile(shape, parseJsonStrict(readFileSync(file)), file, 'CONFIG_INVALID') : [];
  const save = (tokens: readonly Kept[]): void => {
    writeFileSync(`${file}.new`, JSON.stringify(tokens), { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  };
  return {
    issue: (name, until) => {
      const token = toBase32(randomBytes(20));
      save([...load(), { digest: tokenDigest(token), name, until }]);
      return token;
    },
    clear: () => {
      save([]);
    },
    take: (token, now) => {
      const tokens = load();
      const found = tokens.find(({ digest, until }) => digest === tokenDigest(token) && now <= (until ?? now));
      if (found === undefined) return null;
      save(tokens.filter((one) => one !== found));
      return found.name;
    },
  };
}
