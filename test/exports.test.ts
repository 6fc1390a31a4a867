// What the published entries load: vocabulary, verifier and a device's programs must run without a TPM and a native library.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ROOT } from './house/modules.ts';
import { textOf } from './house/tree.ts';

const exported = (
  JSON.parse(textOf('package.json')) as { exports: Record<string, { types: string; default: string } | string> }
).exports;

/** The source file of an entry: what dist is built from. */
function sourceOf(subpath: string): string {
  const entry = exported[subpath];
  const target = typeof entry === 'string' ? entry : (entry?.default ?? '');
  return join(ROOT, target.replace('./dist/', '').replace(/\.js$/, '.ts'));
}

const subpaths = Object.keys(exported).filter((subpath) => subpath !== './package.json');

describe('the published entries', () => {
  test('are those that the house has', () => {
    expect(subpaths).toEqual(['.', './agent', './controller', './verifier', './testing']);
  });

  test.each(subpaths)('%s loads by itself and gives something', (subpath) => {
    const script = `console.log(Object.keys(await import(${JSON.stringify(pathToFileURL(sourceOf(subpath)).href)})).length)`;
    const names = execFileSync('node', ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(Number(names)).toBeGreaterThan(0);
  });

  test.each(['.', './verifier', './agent'].filter((subpath) => existsSync(sourceOf(subpath))))(
    '%s loads no native library',
    (subpath) => {
      const script = `await import(${JSON.stringify(pathToFileURL(sourceOf(subpath)).href)});
      console.log(JSON.stringify(process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'))))`;
      expect(JSON.parse(execFileSync('node', ['--input-type=module', '-e', script], { encoding: 'utf8' }))).toEqual([]);
    },
  );
});
