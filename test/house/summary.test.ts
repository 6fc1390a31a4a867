// The runner's judgement of a run: nothing that went wrong may end as "0 failed".
import { describe, expect, test } from 'vitest';
import { summarise, summaryLines, type Stage, type TestReport } from '../run/summary.ts';

const good: Stage[] = [
  { name: 'tsc', seconds: 1, ok: true },
  { name: 'vitest', seconds: 2, ok: true },
];

function reportOf(statuses: Record<string, string>, status = 'passed'): TestReport {
  const assertionResults = Object.entries(statuses).map(([fullName, outcome]) => ({ fullName, status: outcome }));
  return { success: true, testResults: [{ name: 'a.test.ts', status, assertionResults }] };
}

describe('the summary of a test run', () => {
  test('ends with the counts alone on the last line', () => {
    const summary = summarise(good, reportOf({ one: 'passed', 'two needs ../shared/data': 'skipped' }));
    expect(summaryLines(good, summary).at(-1)).toBe('1 passed, 0 failed, 1 skipped');
  });

  test('lists what was skipped for want of ../shared/data', () => {
    const summary = summarise(good, reportOf({ one: 'passed', 'two needs ../shared/data': 'skipped' }));
    expect(summary.remarks.join()).toContain('two needs ../shared/data');
  });

  test.each(['skipped', 'pending', 'todo'])('counts a test that is %s for any other reason as failed', (status) => {
    expect(summarise(good, reportOf({ one: 'passed', two: status })).failed).toBe(1);
  });

  test('counts a test file that could not be loaded as failed', () => {
    expect(summarise(good, { ...reportOf({}, 'failed') }).failed).toBe(1);
  });

  test('fails when no test ran', () => {
    expect(summarise(good, reportOf({})).failed).toBe(1);
    expect(summarise(good, undefined).failed).toBe(1);
  });

  test('counts a failed check as failed although every test passed', () => {
    const stages = [{ name: 'tsc', seconds: 1, ok: false }, ...good.slice(1)];
    expect(summarise(stages, reportOf({ one: 'passed' })).failed).toBe(1);
  });

  test('fails when vitest failed without a failed test, as after an unhandled rejection', () => {
    const stages = [...good.slice(0, 1), { name: 'vitest', seconds: 2, ok: false }];
    expect(summarise(stages, reportOf({ one: 'passed' })).failed).toBe(1);
  });
});
