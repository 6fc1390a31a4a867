// The package as it is shipped, for figures of it: type-stripping at each start is no part of the product.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

export const ROOT: string = join(import.meta.dirname, '../..');

/** Builds the package into `dir`, beside its modules and package.json. Answers its folder of JavaScript. */
export function builtIn(dir: string): string {
  const dist = join(dir, 'dist');
  execFileSync(process.execPath, ['test/run/build.ts', dist], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  symlinkSync(join(ROOT, 'package.json'), join(dir, 'package.json'));
  return dist;
}

/** A program of the tests, its types taken out, on top of a built package. Answers where it lies. */
export function builtProgram(dist: string, path: string): string {
  const script = stripTypeScriptTypes(readFileSync(join(ROOT, path), 'utf8')).replaceAll(/\.ts';/g, ".js';");
  const target = join(dist, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, script);
  return target;
}
