// Forged, replayed, relayed and rewritten evidence: each attack meets the rule it breaks, and passes when only that check is gone.
import { describe, expect, test } from 'vitest';
import { appraise, appraiseWith } from '../../src/verifier/appraise.ts';
import { checks } from '../../src/verifier/checks.ts';
import type { Checks } from '../../src/verifier/checks.ts';
import type { AppraisalInput } from '../../src/verifier/types.ts';
import { laterRow } from '../verifier/attack.ts';
import { contentAttacks } from '../verifier/content-attacks.ts';
import { engineAttacks } from '../verifier/engine-attacks.ts';
import { build } from '../verifier/evidence-builder.ts';
import type { Bend } from '../verifier/evidence-builder.ts';
import { floorAttacks } from '../verifier/floor-attacks.ts';
import { quoteAttacks } from '../verifier/quote-attacks.ts';

const attacks = [...quoteAttacks, ...contentAttacks, ...floorAttacks, ...engineAttacks];

const without = (name: string): Checks => {
  const cut = <T extends { readonly name: string }>(list: readonly T[]): readonly T[] =>
    list.filter((check) => check.name !== name);
  return {
    asked: cut(checks.asked),
    signed: cut(checks.signed),
    quoted: cut(checks.quoted),
    explained: cut(checks.explained),
    expected: cut(checks.expected),
  };
};
const allNames = Object.values(checks).flatMap((list: readonly { readonly name: string }[]) =>
  list.map(({ name }) => name),
);
const rules = (input: AppraisalInput, list: Checks = checks): readonly string[] =>
  appraiseWith(list, input).findings.map(({ rule }) => rule);

test('genuine evidence is accepted and affirming without any finding', () => {
  const appraisal = appraise(build());
  expect(appraisal.findings).toEqual([]);
  expect(appraisal).toMatchObject({ accepted: true, authentic: true, status: 'affirming', assurance: 'A2' });
});

test('genuine evidence is accepted incrementally from the row that the evidence before it left', () => {
  const row = laterRow();
  const bend: Bend = { row, firstRecord: 4, startPcr: row.log?.pcr ?? Buffer.alloc(32), events: [] };
  const appraisal = appraise(build(bend));
  expect(appraisal.findings).toEqual([]);
  expect(appraisal.next).toMatchObject({ generation: 5, log: { seq: 3 } });
});

test('every check has an attack of its own', () => {
  expect(allNames.filter((name) => !attacks.some(({ check }) => check === name))).toEqual([]);
  expect(new Set(allNames).size).toBe(allNames.length);
});

describe.each(attacks)('$attack', ({ check, rule, bend }) => {
  test(`is found by the rule ${rule}`, () => {
    const appraisal = appraise(build(bend()));
    expect(appraisal.findings.map((finding) => finding.rule)).toEqual([rule]);
    expect(appraisal.status).not.toBe('affirming');
  });

  test(`passes when the check ${check} is taken away`, () => {
    const input = build(bend());
    expect(rules(input, without(check))).toEqual([]);
    expect(appraiseWith(without(check), input)).toMatchObject({ accepted: true, status: 'affirming' });
  });
});
