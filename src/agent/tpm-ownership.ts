// The auth values that make a TPM this device's alone: made once, on the disk before the TPM has them, the same ever after.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hexString, parseFile, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { parseJsonStrict } from '../bytes/json-strict.ts';
import { fromHex } from '../bytes/text.ts';
import { ConfigError, WireError } from '../errors.ts';
import { writeFileDurably } from '../files/durable.ts';
import type { HierarchyAuths } from '../tpm/hierarchy-auth.ts';

/** Name of the file in the state directory. */
export const TPM_AUTH_FILE = 'tpm-auth.json';

interface AuthFile {
  readonly v: 1;
  /** 32 bytes each, hex. Secret. */
  readonly owner: string;
  readonly endorsement: string;
  readonly lockout: string;
}

const authFileShape: Shape<AuthFile> = v.strictObject({
  v: v.literal(1),
  owner: hexString(32),
  endorsement: hexString(32),
  lockout: hexString(32),
});

/** 32 random bytes whose last is not zero: a TPM drops zeros at the end of an auth value. */
function authValue(): string {
  for (;;) {
    const value = randomBytes(32);
    if (value.at(-1) !== 0) return value.toString('hex');
  }
}

function values({ owner, endorsement, lockout }: AuthFile): Required<HierarchyAuths> {
  return { owner: fromHex(owner), endorsement: fromHex(endorsement), lockout: fromHex(lockout) };
}

function read(bytes: Buffer, file: string): Required<HierarchyAuths> {
  try {
    return values(parseFile(authFileShape, parseJsonStrict(bytes), file, 'CONFIG_INVALID'));
  } catch (cause) {
    // Its text may be a part of a secret: the message names the file only.
    if (cause instanceof WireError) throw new ConfigError('CONFIG_INVALID', `${file} is damaged`);
    throw cause;
  }
}

/**
 * The values kept in `file` (0600), made there first where it is missing; null when `make` is false and there is none. Losing the
 * file means that only the firmware can clear the TPM. Errors: ConfigError CONFIG_INVALID; errors of the file system.
 */
export async function ownershipValues(file: string, make: boolean): Promise<Required<HierarchyAuths> | null> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  if (bytes !== null) return read(bytes, file);
  if (!make) return null;
  const made: AuthFile = { v: 1, owner: authValue(), endorsement: authValue(), lockout: authValue() };
  await writeFileDurably(file, `${JSON.stringify(made)}\n`, 0o600);
  return values(made);
}
