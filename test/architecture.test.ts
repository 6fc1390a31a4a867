// Holds the layers and walls of the house (src/README.md), after proving that each kind of breach would be seen.
import { describe, expect, test } from 'vitest';
import { importCycles, layerBreaks, scatteredPackages, wallBreaks } from './house/layers.ts';
import { modulesOf, projectModules } from './house/modules.ts';
import { impureUses } from './house/purity.ts';

/** Rooms that take bytes, keys and `now`, and give an answer: nothing in them may ask the world. */
const isPure = (path: string): boolean =>
  /^src\/(?:verifier[./]|rules\/|evidence\/|cel\/|boot\/|tpm\/wire\/|bytes\/)/.test(path);

describe('a planted breach is seen', () => {
  test.each([
    [
      'an import that goes up',
      { 'src/bytes/a.ts': "import { b } from '../tpm/b.ts';", 'src/tpm/b.ts': 'export const b = 1;' },
    ],
    ['an import between rooms of one level', { 'src/store/a.ts': "import '../bus/b.ts';", 'src/bus/b.ts': '' }],
    [
      'a re-export that goes up',
      { 'src/cel/a.ts': "export { b } from '../gate/b.ts';", 'src/gate/b.ts': 'export const b = 1;' },
    ],
    [
      'a re-export of everything',
      { 'src/cel/a.ts': "export * from '../gate/b.ts';", 'src/gate/b.ts': 'export const b = 1;' },
    ],
    ['a dynamic import that goes up', { 'src/cel/a.ts': "await import('../gate/b.ts');", 'src/gate/b.ts': '' }],
    ['a dynamic import that cannot be read', { 'src/cel/a.ts': "const x = '../gate/b.ts'; await import(x);" }],
    [
      'a worker above its owner',
      { 'src/store/a.ts': "new URL('../gate/b.ts', import.meta.url);", 'src/gate/b.ts': '' },
    ],
    [
      'a type import that goes up',
      { 'src/cel/a.ts': "import type { B } from '../gate/b.ts';", 'src/gate/b.ts': 'export type B = 1;' },
    ],
    [
      'a worker above its owner, as source or as JavaScript',
      { 'src/store/a.ts': 'new URL(`../gate/b${extname(import.meta.url)}`, import.meta.url);', 'src/gate/b.ts': '' },
    ],
    ['a test in the product', { 'src/cel/a.ts': "import '../../test/fakes/b.ts';" }],
    ['a room without a level', { 'src/cel/a.ts': "import '../cellar/b.ts';", 'src/cellar/b.ts': '' }],
    ['a file that is not there', { 'src/cel/a.ts': "import './b.ts';" }],
  ])('%s', (_, texts) => {
    expect(layerBreaks(modulesOf(texts as Record<string, string>))).toHaveLength(1);
  });

  test('a cycle inside one room', () => {
    const texts = {
      'src/cel/a.ts': "import './b.ts';",
      'src/cel/b.ts': "import './c.ts';",
      'src/cel/c.ts': "import './a.ts';",
    };
    expect(importCycles(modulesOf(texts))).toEqual(['src/cel/a.ts → src/cel/b.ts → src/cel/c.ts → src/cel/a.ts']);
  });

  test.each([
    ['agent to verifier', { 'src/agent/a.ts': "import '../verifier/b.ts';", 'src/verifier/b.ts': '' }],
    [
      'agent to a type of the verifier',
      { 'src/agent/a.ts': "import type { B } from '../verifier/b.ts';", 'src/verifier/b.ts': 'export type B = 1;' },
    ],
    [
      'controller to gate through another room',
      { 'src/controller/a.ts': "import '../bus/b.ts';", 'src/bus/b.ts': "import '../gate/c.ts';", 'src/gate/c.ts': '' },
    ],
    [
      'controller to the transport of a TPM',
      { 'src/controller/a.ts': "import '../tpm/transport/b.ts';", 'src/tpm/transport/b.ts': '' },
    ],
    [
      'verifier to the file system, two files away',
      { 'src/verifier/a.ts': "import '../release/b.ts';", 'src/release/b.ts': "import 'node:fs';" },
    ],
    ['verifier to a worker', { 'src/verifier/a.ts': "import 'node:worker_threads';" }],
    ['verifier to the network by getBuiltinModule', { 'src/verifier/a.ts': "process.getBuiltinModule('node:net');" }],
    [
      'the public entry of the verifier to the clock',
      { 'src/verifier.ts': "import './clock.ts';", 'src/clock.ts': '' },
    ],
    ['release to native', { 'src/release/a.ts': "import '../../native/b.ts';", 'native/b.ts': '' }],
  ])('a way through a wall: %s', (_, texts) => {
    expect(wallBreaks(modulesOf(texts as unknown as Record<string, string>)).length).toBeGreaterThan(0);
  });

  test('a type-only import is no way to the file system, because no code runs', () => {
    const texts = {
      'src/verifier/a.ts': "import type { B } from '../release/b.ts';",
      'src/release/b.ts': "import 'node:fs'; export type B = 1;",
    };
    expect(wallBreaks(modulesOf(texts))).toEqual([]);
  });

  test('a package that is used in two rooms', () => {
    const texts = { 'src/bytes/a.ts': "import 'valibot';", 'src/cel/b.ts': "import type { V } from 'valibot';" };
    expect(scatteredPackages(modulesOf(texts))).toEqual(['valibot is imported in src/bytes/a.ts, src/cel/b.ts']);
  });

  test.each([
    'Date.now()',
    'new Date()',
    'Math.random()',
    'performance.now()',
    "process.env['X']",
    'setTimeout(() => 1, 2)',
    'await fetch("x")',
    'crypto.getRandomValues(x)',
  ])('clock, randomness or the world without an import: %s', (text) => {
    expect(
      impureUses(modulesOf({ 'src/verifier/a.ts': `const x = new Uint8Array(1); ${text};` }), isPure),
    ).toHaveLength(1);
  });

  test.each([
    "import { randomBytes } from 'node:crypto';",
    "import * as c from 'node:crypto';",
    "import c from 'node:crypto';",
  ])('randomness of node:crypto: %s', (text) => {
    expect(impureUses(modulesOf({ 'src/verifier/a.ts': text }), isPure)).toHaveLength(1);
  });
});

describe('the house as it stands', () => {
  const modules = projectModules();

  test('is found at all', () => {
    expect(modules.size).toBeGreaterThan(20);
  });

  test('imports go strictly down', () => {
    expect(layerBreaks(modules)).toEqual([]);
  });

  test('no two files need each other', () => {
    expect(importCycles(modules)).toEqual([]);
  });

  test('nothing goes through a wall', () => {
    expect(wallBreaks(modules)).toEqual([]);
  });

  test('every package is imported in one room only', () => {
    expect(scatteredPackages(modules)).toEqual([]);
  });

  test('what judges asks neither clock nor chance nor the world', () => {
    expect(impureUses(modules, isPure)).toEqual([]);
  });
});
