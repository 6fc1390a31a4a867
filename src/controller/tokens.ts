// One-time enrolment tokens: the registry keeps digests only, and each counts once among all controllers, and for a time.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { toBase32 } from '../bytes/text.ts';
import { hexString, parseFile, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { TouchstoneError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Registry } from './registry.ts';

/** As older controllers kept it in a file; no `until`: no end. */
interface Kept {
  readonly digest: string;
  readonly name: string;
  readonly until?: number;
}

const shape: Shape<Kept[]> = v.array(
  v.strictObject({ digest: hexString(32), name: text(64), until: v.exactOptional(uint()) }),
);

/** Digest of a one-time token as the registry keeps it. */
export function tokenDigest(token: string): string {
  return createHash('sha256').update(`touchstone/token/1\0${token}`).digest('hex');
}

// Errors of every method: StoreError.
export class Tokens {
  readonly #registry: Pick<Registry, 'addToken' | 'takeToken'>;

  constructor(registry: Pick<Registry, 'addToken' | 'takeToken'>) {
    this.#registry = registry;
  }

  /** A new token for `name`, shown once; good until that time (ms since 1970). */
  async issue(name: string, until: number): Promise<string> {
    const token = toBase32(randomBytes(20));
    await this.#registry.addToken({ digest: tokenDigest(token), name, until });
    return token;
  }

  /** The name of the token, which is thereby used up; null when it is not one, or is not good at `now` any more. */
  async take(token: string, now: number): Promise<string | null> {
    return this.#registry.takeToken(tokenDigest(token), now);
  }
}

/**
 * Brings tokens of the file of older controllers into the registry. The file is renamed first: of two controllers one has it, and none
 * brings back a token that was used meanwhile; a power cut after that leaves them void, and so does a damaged file. Errors: StoreError.
 */
export async function adoptTokenFile(file: string, registry: Pick<Registry, 'addToken'>, log: Log): Promise<void> {
  if (!existsSync(file)) return;
  const mine = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(file, mine);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  const bytes = readFileSync(mine);
  rmSync(mine);
  for (const { digest, name, until } of keptIn(bytes, file, log)) {
    await registry.addToken({ digest, name, until: until ?? Number.MAX_SAFE_INTEGER });
  }
}

function keptIn(bytes: Buffer, file: string, log: Log): readonly Kept[] {
  try {
    return parseFile(shape, parseJsonStrict(bytes), file, 'CONFIG_INVALID');
  } catch (error) {
    if (!(error instanceof TouchstoneError)) throw error;
    log.write('error', 'config', `tokens of an older controller are void: ${error.message}`);
    return [];
  }
}
