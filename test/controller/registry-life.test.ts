// The lives of a registry: one ends when the registry was put back from a copy, once, and what counts upwards goes on above it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import { enter, ID } from '../contract/registry.ts';

test('a life ends once, whoever notices first, with a line for every device and orders above all before', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'life-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  await using registry = openSqliteRegistry(join(folder, 'registry.sqlite'));
  expect(await registry.standing()).toEqual({ life: null, accepted: 0, newest: null });
  await enter(registry, ID);
  const before = await registry.nextOrder(ID, 'main');
  const [next, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  expect(await registry.beginLife(null, next, 5000, 'put back')).toBe(true);
  expect(await registry.beginLife(null, other, 6000, 'put back')).toBe(false);
  expect(await registry.standing()).toMatchObject({ life: next, newest: 5000 });
  expect((await registry.history(ID, 5)).map(({ kind, text }) => [kind, text])).toEqual([['restored', 'put back']]);
  expect(await registry.nextOrder(ID, 'main')).toBeGreaterThan(5000 + before - 1);
  expect(await registry.nextOrder(ID, 'other')).toBe(5001);
});
