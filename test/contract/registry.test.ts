// The registry in SQLite: the suite, and that it outlives the process that wrote it.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Registry } from '../../src/controller/registry.ts';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { acceptanceOf, enter, ID, registryContract } from './registry.ts';
import { registryLifeContract } from './registry-life.ts';

async function somewhere(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-'));
  onTestFinished(async () => rm(dir, { recursive: true, force: true }));
  return join(dir, 'registry.sqlite');
}

async function fresh(): Promise<() => Promise<Registry>> {
  const path = await somewhere();
  return async () => Promise.resolve(openSqliteRegistry(path));
}

registryContract('SQLite', fresh);
registryLifeContract('SQLite', fresh);

describe('the registry file', () => {
  it('is for its owner only, and holds what was accepted when it is opened again', async () => {
    const path = await somewhere();
    {
      await using registry = openSqliteRegistry(path);
      await enter(registry);
      await registry.accept([acceptanceOf(ID, 0)]);
    }
    await using again = openSqliteRegistry(path);
    expect((await again.device(ID))?.row.generation).toBe(1);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('of another program is not touched', async () => {
    const path = await somewhere();
    const { openSqlite } = await import('../../src/store/sqlite.ts');
    openSqlite({ path, applicationId: 1, migrations: ['CREATE TABLE x (a TEXT) STRICT;'] }).close();
    expect(() => openSqliteRegistry(path)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }) as Error);
  });
});
