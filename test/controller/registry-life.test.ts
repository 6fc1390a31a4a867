// The lives of a registry: one ends when the registry was put back from a copy, once, and what counts upwards goes on above it.
// And what it keeps for devices without being able to read it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSqliteRegistry } from '../../src/controller/sqlite-registry.ts';
import type { Registry } from '../../src/controller/registry.ts';
import { acceptanceOf, enter, ID } from '../contract/registry.ts';

function opened(): Registry {
  const folder = mkdtempSync(join(tmpdir(), 'life-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return openSqliteRegistry(join(folder, 'registry.sqlite'));
}

test('a life ends once, whoever notices first, with a line for every device and orders above all before', async () => {
  await using registry = opened();
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

test('what a device gives into escrow is kept with the evidence that brings it, and replaces what it gave before', async () => {
  await using registry = opened();
  await enter(registry, ID);
  const escrow = Buffer.from('sealed');
  expect(await registry.accept([acceptanceOf(ID, 7, { escrow })])).toEqual([false]);
  expect(await registry.escrow(ID)).toBeNull();
  await registry.accept([acceptanceOf(ID, 0, { escrow }), acceptanceOf(ID, 1)]);
  expect(await registry.escrow(ID)).toEqual({ at: 1000, bytes: escrow });
  await registry.accept([acceptanceOf(ID, 2, { escrow: Buffer.from('anew') })]);
  expect((await registry.escrow(ID))?.bytes).toEqual(Buffer.from('anew'));
});
