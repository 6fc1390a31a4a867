// Models and code speak of the same things by the same names: whoever renames or removes one has to look at the other.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { JOURNAL_RULES } from '../../src/measure/journal-rules.ts';
import { ROOT } from '../house/modules.ts';
import { MODEL_CHECKS } from './checks.ts';
import type { ModelName } from './checks.ts';

interface Named {
  readonly model: string;
  readonly code: string;
  readonly file: string;
}

const MODELS: readonly ModelName[] = ['journal', 'acceptance', 'upgrade', 'command', 'lease'];

function read(model: ModelName): { names: Named[]; body: string } {
  const text = readFileSync(join(import.meta.dirname, `${model}.pml`), 'utf8');
  const end = text.indexOf('*/');
  const names = [...text.slice(0, end).matchAll(/^ \* {3}(\S+) = (.+) in (src\/\S+)$/gm)].map(
    ([, name = '', code = '', file = '']) => ({ model: name, code, file }),
  );
  return { names, body: text.slice(end) };
}

const states = (body: string): string[] =>
  [...body.matchAll(/^mtype = \{([^}]*)\}/gm)].flatMap(([, list = '']) => list.split(',').map((name) => name.trim()));
const rules = (model: ModelName): string[] => [
  ...new Set(MODEL_CHECKS.filter((one) => one.model === model).flatMap(({ without }) => without ?? [])),
];

describe.each(MODELS)('the model %s', (model) => {
  const { names, body } = read(model);

  test('names what is in the model, and beside it what is in the code', () => {
    const missing = names.filter(({ model: name, code, file }) => {
      const inModel = new RegExp(String.raw`(?<!\w)${name}(?!\w)`).test(body);
      return !inModel || !readFileSync(join(ROOT, file), 'utf8').includes(code);
    });
    expect(missing).toEqual([]);
    expect(names.length).toBeGreaterThan(5);
  });

  test('has a name in the code for each of its states', () => {
    const named = new Set(names.map(({ model: name }) => name));
    expect(states(body).filter((state) => !named.has(state))).toEqual([]);
  });

  test('has a name in the code for each rule that is taken away', () => {
    const named = new Set(names.map(({ model: name }) => name));
    expect(rules(model).filter((rule) => !named.has(rule))).toEqual([]);
  });

  test('shows each property to hold, and to break without some rule', () => {
    const said = [...body.matchAll(/CHECK\((\d), /g)].map(([, number]) => Number(number));
    const of = (broken: boolean): Set<number> =>
      new Set(
        MODEL_CHECKS.filter((one) => one.model === model && (one.without !== null) === broken).map(
          ({ property }) => property,
        ),
      );
    expect(said.filter((property) => !of(false).has(property))).toEqual([]);
    expect(said.filter((property) => !of(true).has(property))).toEqual([]);
  });
});

test('the model of the journal has every sentence of the code', () => {
  expect(rules('journal')).toEqual(expect.arrayContaining(Object.keys(JOURNAL_RULES)));
});
