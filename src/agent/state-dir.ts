// The state directory: of one agent at a time; others may pass through it to the models, and list or read nothing else.
import { constants } from 'node:fs';
import { chmod, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFile } from '../../native/file-lock.ts';
import { ConfigError } from '../errors.ts';

/**
 * Makes `dir` (0711: an inference service of another user opens DIR/slots/SLOT/model) where it is missing and locks it until disposed or dead: two agents on one journal and one PCR would each explain
 * half of it. Errors: ConfigError CONFIG_INVALID when another agent runs on it.
 */
export async function openStateDir(dir: string): Promise<AsyncDisposable> {
  const made = await mkdir(dir, { recursive: true, mode: 0o711 });
  // Whatever the umask; a folder that was there keeps the mode its owner gave it.
  if (made !== undefined) await chmod(dir, 0o711);
  const file = await open(join(dir, 'agent.lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!lockFile(file.fd)) {
    await file.close();
    throw new ConfigError('CONFIG_INVALID', `another agent runs on ${dir}: stop it first`);
  }
  return {
    [Symbol.asyncDispose]: async () => file.close(),
  };
}
