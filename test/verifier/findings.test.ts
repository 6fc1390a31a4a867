// What a verdict carries: the worst decides, texts are harmless, and nothing that was found is lost without a word.
import { describe, expect, test } from 'vitest';
import { STATUSES } from '../../src/rules/finding.ts';
import type { Status } from '../../src/rules/finding.ts';
import { Findings, MAX_FINDINGS, showText, worse } from '../../src/verifier/findings.ts';

const add = (findings: Findings, status: Status, subject = 'device', found = 'f'): void => {
  findings.add('late', status, subject, 'e', found, 'fleet');
};

test('the worse of two is contraindicated over none over warning over affirming', () => {
  const order: readonly Status[] = ['affirming', 'warning', 'none', 'contraindicated'];
  for (const a of STATUSES) {
    for (const b of STATUSES) expect(worse(a, b)).toBe(order[Math.max(order.indexOf(a), order.indexOf(b))]);
  }
});

describe('findings', () => {
  test('are affirming while there are none', () => {
    const findings = new Findings();
    expect([findings.any, findings.status, findings.of('device'), findings.list()]).toEqual([
      false,
      'affirming',
      'affirming',
      [],
    ]);
  });

  test('decide by the worst, of the whole and of each subject', () => {
    const findings = new Findings();
    add(findings, 'none', 'main');
    add(findings, 'warning', 'main');
    add(findings, 'warning', 'spare');
    expect([findings.status, findings.of('main'), findings.of('spare'), findings.of('device')]).toEqual([
      'none',
      'none',
      'warning',
      'affirming',
    ]);
  });

  test('are all kept up to the limit', () => {
    const findings = new Findings();
    for (let i = 0; i < MAX_FINDINGS; i++) add(findings, 'warning', 'device', `${i}`);
    expect(findings.list().map(({ found }) => found)).toEqual(Array.from({ length: MAX_FINDINGS }, (_, i) => `${i}`));
  });

  test('beyond the limit are counted, and the worst of them is kept', () => {
    const findings = new Findings();
    for (let i = 0; i < MAX_FINDINGS; i++) add(findings, 'warning');
    add(findings, 'contraindicated', 'main', 'the worst');
    add(findings, 'none', 'main', 'less');
    const list = findings.list();
    expect(list).toHaveLength(MAX_FINDINGS);
    expect(list.at(-1)).toMatchObject({ status: 'contraindicated', found: 'the worst (and 2 more findings)' });
    expect(findings.of('main')).toBe('contraindicated');
  });
});

describe('text', () => {
  test('of somebody else cannot control what shows it', () => {
    expect(showText('a\u001b[2J\nb\u009b')).toBe('a\ufffd[2J\ufffdb\ufffd');
  });

  test('is cut at its limit', () => {
    expect(showText('x'.repeat(512))).toHaveLength(512);
    expect(showText('x'.repeat(513))).toBe(`${'x'.repeat(512)}…`);
  });
});
