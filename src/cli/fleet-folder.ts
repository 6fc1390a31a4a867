// A folder of fleet.json and root.json: a device's, a controller's, or a copy of them at a holder of a root key.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { STATE_FILES } from '../controller/settings.ts';
import { ConfigError } from '../errors.ts';
import { loadTrust } from '../release/root.ts';
import type { Trust } from '../release/root.ts';

/** Errors: ConfigError CONFIG_MISSING. */
export async function readFleetFolder(dir: string, name: 'fleet' | 'root'): Promise<Buffer> {
  const file = join(dir, STATE_FILES[name]);
  return readFile(file).catch((cause: unknown) => {
    throw new ConfigError('CONFIG_MISSING', `cannot read ${file}: is ${dir} the folder of a device or a controller?`, {
      cause,
    });
  });
}

/** Errors: ConfigError, also when the root statement is not to be trusted. */
export async function trustIn(dir: string): Promise<Trust> {
  const [fleet, root] = await Promise.all([readFleetFolder(dir, 'fleet'), readFleetFolder(dir, 'root')]);
  return loadTrust(fleet, root, Date.now(), 0);
}
