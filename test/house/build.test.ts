// The package as it is installed: built JavaScript, run without the sources and without type stripping.
import { execFileSync, spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './modules.ts';

let dist = '';

beforeAll(() => {
  // Inside node_modules, so that the built files find their packages as an installed package would.
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  dist = mkdtempSync(join(cache, 'touchstone-dist-'));
  execFileSync('node', [join(ROOT, 'test/run/build.ts'), dist], { stdio: 'pipe' });
});

afterAll(() => {
  rmSync(dist, { recursive: true, force: true });
});

describe('the built package', () => {
  test('runs its binary with every command loaded', () => {
    const main = join(dist, 'src/cli/main.js');
    const script = execFileSync('node', ['--no-experimental-strip-types', main, 'completion', 'bash'], {
      encoding: 'utf8',
    });
    expect(script).toContain('_touchstone()');
  });

  test('points its workers at files that are there', () => {
    const address = /new URL\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g;
    const files = globSync('**/*.js', { cwd: dist }).map((name) => join(dist, name));
    const pointed = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(address)].map((match) => join(dirname(file), match[1] ?? '')),
    );
    expect(pointed.filter((path) => !existsSync(path))).toEqual([]);
  });

  test('starts an agent from a few files, in one byte a letter, whose threads lie beside them', () => {
    const main = join(dist, 'src/cli/main.js');
    const start = (...args: string[]): SpawnSyncReturns<string> =>
      spawnSync('node', ['--no-experimental-strip-types', main, 'agent', ...args], { encoding: 'utf8' });
    const nowhere = join(dist, 'nowhere');
    // Which of the two is missed first is chance.
    const failed = start('--profile', nowhere, '--fleet', nowhere, '--state', join(dist, 'state'));
    expect([failed.status, failed.stderr]).toEqual([3, expect.stringContaining(`cannot read ${nowhere}`)]);
    expect(failed.stderr).toContain('what to do');
    // What is no plain start is explained by the whole program.
    expect(start()).toMatchObject({ status: 2, stderr: expect.stringContaining("required option '--profile <file>'") });
    expect(start('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('firmware profile') });
    const device = join(dist, 'src/device');
    const files = globSync('*.js', { cwd: device });
    expect(files).toEqual(expect.arrayContaining(['agent-start.js', 'hash-worker.js', 'journal-worker.js']));
    expect(files.length).toBeLessThan(20);
    const wide = files.filter((name) => readFileSync(join(device, name)).some((byte) => byte > 0x7f));
    expect(wide).toEqual([]);
  });

  test('has declarations for every file that may be imported', () => {
    const files = globSync('**/*.js', { cwd: dist }).filter((name) => !name.startsWith('src/device/'));
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((name) => !existsSync(join(dist, name.replace(/\.js$/, '.d.ts'))))).toEqual([]);
  });
});
