// The rules of the house that hold for every file, after proving that each would see a breach.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';
import { type Module, modulesOf, projectModules, ROOT } from './modules.ts';
import { isGenerated, projectFiles, TEXT_RULES, textOf } from './tree.ts';

const TOP_LEVEL = 'LICENSE README.md firmware-profiles native package-lock.json package.json src test tsconfig.json';

/** `any` written as a type, found in the syntax tree, so that words in comments do not count. */
function anyTypes(module: Module): string[] {
  const tree = JSON.stringify(module.program, (_, value: unknown) => (typeof value === 'bigint' ? null : value));
  return tree.includes('"TSAnyKeyword"') ? [module.path] : [];
}

/** The source file that a file of dist is built from. */
function sourceOf(target: string): string {
  return target.replace(/^\.\/dist\//, '').replace(/(?:\.d\.ts|\.js)$/, '.ts');
}

const files = projectFiles();
const manifest = JSON.parse(textOf('package.json')) as {
  bin: Record<string, string>;
  exports?: Record<string, { types: string; default: string } | string>;
  scripts: Record<string, string>;
};

describe('a planted breach is seen', () => {
  const home = '/home';
  test.each([
    ['begins with a comment that says what it is', 'src/a.ts', 'export const a = 1;\n'],
    ['names no path of somebody’s machine', 'src/a.ts', `const a = '${home}/jo/x';`],
    ['names no path of somebody’s machine', 'README.md', ['see ', 'work', 'shared'].join('/')],
    ['names no package registry or mirror', '.npmrc', ['registry=https:', '', 'registry.example.org'].join('/')],
    ['has no name that says nothing', 'src/a.ts', 'export class KeyManager {}'],
    ['has no name that says nothing', 'src/string-utils.ts', ''],
  ])('%s: %s', (rule, path, text) => {
    expect(TEXT_RULES[rule]?.(path, text)).toHaveLength(1);
  });

  test('any as a type, but not as a word', () => {
    const modules = modulesOf({
      'src/a.ts': '// any\nexport type A = any[];',
      'src/b.ts': '// any\nexport const any = 1;',
    });
    expect([...modules.values()].flatMap((module) => anyTypes(module))).toEqual(['src/a.ts']);
  });

  test('files that were generated', () => {
    expect(
      ['dist/a.js', 'src/a.d.ts', 'x/journal.sqlite', 'touchstone-0.1.0.tgz'].every((path) => isGenerated(path)),
    ).toBe(true);
  });
});

describe('every file of the project', () => {
  test.each(Object.entries(TEXT_RULES))('%s', (_, rule) => {
    const breaches = files.flatMap((path) => rule(path, textOf(path)).map((found) => `${path}: ${found}`));
    expect(breaches).toEqual([]);
  });

  test('was written, not generated', () => {
    expect(files.filter((path) => isGenerated(path))).toEqual([]);
  });

  test('uses no `any`', () => {
    expect([...projectModules().values()].flatMap((module) => anyTypes(module))).toEqual([]);
  });
});

describe('the package', () => {
  test('shows exactly the top level that the design gives', () => {
    const visible = new Set(files.map((path) => path.split('/')[0] ?? '').filter((name) => !name.startsWith('.')));
    expect([...visible].toSorted().join(' ')).toBe(TOP_LEVEL);
  });

  test('builds every path it promises from a source file that is there', () => {
    const targets = Object.values(manifest.exports ?? {}).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    );
    const promised = [...targets, ...Object.values(manifest.bin).map((path) => `./${path}`)];
    const missing = promised.filter((path) => path.startsWith('./dist/') && !existsSync(join(ROOT, sourceOf(path))));
    expect(missing).toEqual([]);
  });

  test('runs every script on the pinned Node, after making the machine ready', () => {
    const others = Object.entries(manifest.scripts).filter(([, line]) => !line.startsWith('sh native/setup/setup.sh'));
    expect(others).toEqual([]);
  });
});

describe('the error codes', () => {
  test('each tell a person what to do, in a sentence of their own', () => {
    const sentences = Object.values(ERROR_CODES);
    expect(sentences.filter((sentence) => sentence.length < 20)).toEqual([]);
    expect(new Set(sentences).size).toBe(sentences.length);
  });

  test('are each thrown somewhere', () => {
    const product = [...projectModules().values()].filter((module) => module.path !== 'src/errors.ts');
    const unused = Object.keys(ERROR_CODES).filter(
      (code) => !product.some((module) => module.text.includes(`'${code}'`)),
    );
    expect(unused).toEqual([]);
  });
});
