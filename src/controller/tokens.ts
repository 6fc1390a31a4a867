// One-time enrolment tokens: the controller keeps digests only, and each is good once.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { toBase32 } from '../bytes/text.ts';
import { hexString, parseFile, text, v } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { tokenDigest } from './fleet-files.ts';

const shape = v.array(v.strictObject({ digest: hexString(32), name: text(64) }));

export interface Tokens {
  /** A new token for `name`, shown once. */
  issue(name: string): string;
  /** The name of the token, which is thereby used up; null when it is not one. */
  take(token: string): string | null;
  /** All that were issued are void. */
  clear(): void;
}

/** Tokens kept in `file`. Errors: ConfigError CONFIG_INVALID. */
export function openTokens(file: string): Tokens {
  const load = (): { digest: string; name: string }[] =>
    existsSync(file) ? parseFile(shape, parseJsonStrict(readFileSync(file)), file, 'CONFIG_INVALID') : [];
  const save = (tokens: readonly { digest: string; name: string }[]): void => {
    writeFileSync(`${file}.new`, JSON.stringify(tokens), { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  };
  return {
    issue: (name) => {
      const token = toBase32(randomBytes(20));
      save([...load(), { digest: tokenDigest(token), name }]);
      return token;
    },
    clear: () => {
      save([]);
    },
    take: (token) => {
      const tokens = load();
      const found = tokens.find(({ digest }) => digest === tokenDigest(token));
      if (found === undefined) return null;
      save(tokens.filter((one) => one !== found));
      return found.name;
    },
  };
}
