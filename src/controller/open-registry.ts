// Opens the registry that controller.json names: a database server, or by default a file of the state directory.
import { join } from 'node:path';
import type { Registry } from './registry.ts';
import { STATE_FILES } from './settings.ts';
import type { Settings } from './settings.ts';

/** Errors: ConfigError; StoreError, STORE_UNAVAILABLE where it may answer later. */
export async function openRegistry({ file, stateDir }: Pick<Settings, 'file' | 'stateDir'>): Promise<Registry> {
  if (file.registry === undefined) {
    const { openSqliteRegistry } = await import('./sqlite-registry.ts');
    return openSqliteRegistry(join(stateDir, STATE_FILES.registry));
  }
  const { openPostgresRegistry } = await import('./postgres-registry.ts');
  return openPostgresRegistry(file.registry);
}
