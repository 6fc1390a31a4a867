// The state directory: private, and of one agent at a time.
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFile } from '../../native/file-lock.ts';
import { ConfigError } from '../errors.ts';

/**
 * Makes `dir` (0700) where it is missing and locks it until disposed or dead: two agents on one journal and one PCR would each explain
 * half of it. Errors: ConfigError CONFIG_INVALID when another agent runs on it.
 */
export async function openStateDir(dir: string): Promise<AsyncDisposable> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = await open(join(dir, 'agent.lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!lockFile(file.fd)) {
    await file.close();
    throw new ConfigError('CONFIG_INVALID', `another agent runs on ${dir}: stop it first`);
  }
  return {
    [Symbol.asyncDispose]: async () => file.close(),
  };
}
