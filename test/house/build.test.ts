// The package as it is installed: built JavaScript, run without the sources and without type stripping.
import { execFileSync } from 'node:child_process';
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

  test('has declarations for every file', () => {
    const files = globSync('**/*.js', { cwd: dist });
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((name) => !existsSync(join(dist, name.replace(/\.js$/, '.d.ts'))))).toEqual([]);
  });
});
