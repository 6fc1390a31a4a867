// The catalogue of rules: each is a name that may stand on the wire, says what it demands and what to do, and is judged by somebody.
import { describe, expect, test } from 'vitest';
import { name, v } from '../../src/bytes/shape.ts';
import { RULES } from '../../src/rules/catalogue.ts';
import type { Rule } from '../../src/rules/rule.ts';
import { projectModules } from '../house/modules.ts';

const rules: readonly (readonly [string, Rule])[] = Object.entries(RULES);

describe('every rule', () => {
  test('has a name that results and topics may hold', () => {
    expect(rules.filter(([id]) => !v.is(name, id)).map(([id]) => id)).toEqual([]);
  });

  test('says what it demands and what to do now, in whole sentences', () => {
    const sentence = /^[A-Z“].{15,}[.)]$/su;
    expect(rules.filter(([, rule]) => !sentence.test(rule.demands)).map(([id]) => id)).toEqual([]);
    expect(rules.filter(([, rule]) => !sentence.test(rule.now)).map(([id]) => id)).toEqual([]);
  });

  test('demands something of its own', () => {
    expect(new Set(rules.map(([, rule]) => rule.demands)).size).toBe(rules.length);
  });

  test('names an ATLAS technique by its number, or none', () => {
    expect(
      rules.filter(([, { atlas }]) => atlas !== null && !/^AML\.T\d{4}(?:\.\d{3})?$/.test(atlas)).map(([id]) => id),
    ).toEqual([]);
  });

  test('is judged somewhere', () => {
    const judges = [...projectModules().values()].filter(({ path }) => !path.startsWith('src/rules/'));
    const unused = rules.filter(([id]) => !judges.some(({ text }) => text.includes(`'${id}'`)));
    expect(unused.map(([id]) => id)).toEqual([]);
  });
});
