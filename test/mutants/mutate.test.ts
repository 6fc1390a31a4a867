// Mutants: taking a check away changes that list alone, and every list of checks in the product is among those that are tried.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../house/modules.ts';
import { CHECK_LISTS } from './lists.ts';
import { mutantText, parseMutant, withoutCheck } from './mutate.ts';

/** Lists made of other lists, and one that judges no security. */
const NOT_TRIED = new Set([
  'GATE_CHECKS',
  'OPEN_CHECKS',
  'MODEL_CHECKS',
  'CHECKS_BEFORE_COUNTERSIGNING',
  'TPM_CHECKS',
  'checks',
]);

describe('a mutant', () => {
  const mutant = { file: 'a.ts', list: 'CHECKS', position: 1 };

  test('has one check less', async () => {
    const source = withoutCheck("export const CHECKS = ['a', 'b', 'c'];\n", mutant);
    const module = source.replace(/ as typeof whole_CHECKS;/, ';');
    const loaded = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as { CHECKS: string[] };
    expect(loaded.CHECKS).toEqual(['a', 'c']);
  });

  test('is refused for a list that is not there', () => {
    expect(() => withoutCheck('export const OTHERS = [];', mutant)).toThrow('no list CHECKS');
  });

  test('is named in one word', () => {
    expect(parseMutant(mutantText(mutant))).toEqual(mutant);
    expect(() => parseMutant('')).toThrow('no mutant');
  });
});

test('every list of checks is tried', () => {
  const found = globSync('src/**/*.ts', { cwd: ROOT }).flatMap((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return [...text.matchAll(/^export const (\w*(?:checks|Checks|CHECKS)\w*)\b/gm)].map(([, list = '']) => ({
      file,
      list,
    }));
  });
  const tried = new Set(CHECK_LISTS.map(({ file, list }) => `${file} ${list}`));
  const missing = found.filter(({ file, list }) => !NOT_TRIED.has(list) && !tried.has(`${file} ${list}`));
  expect(missing).toEqual([]);
  expect(CHECK_LISTS.filter(({ file, list }) => !found.some((one) => one.file === file && one.list === list))).toEqual(
    [],
  );
});
