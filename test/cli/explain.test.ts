// `touchstone explain`: every rule that a finding can name is explained; a name that is almost right finds it.
import { describe, expect, test } from 'vitest';
import { nearestRules } from '../../src/cli/explain.ts';
import { RULES } from '../../src/rules/catalogue.ts';
import { quickly, quicklyJson, touchstone } from '../support/binary.ts';

describe('touchstone explain', () => {
  test('says what a rule demands, what to do, and what a breach is evidence for', async () => {
    const { code, stdout } = await touchstone(['explain', 'release-file-changed']);
    expect(code).toBe(0);
    const { demands, now, sai } = RULES['release-file-changed'];
    for (const words of [demands, now, 'MITRE ATLAS AML.T0018.002', sai]) expect(stdout).toContain(words);
    const { document } = await quicklyJson(['explain', 'release-expired']);
    expect(document).toEqual({ rule: 'release-expired', ...RULES['release-expired'] });
    expect(document).toMatchObject({ atlas: null });
  });

  test('lists all rules without one', async () => {
    const { document } = await quicklyJson(['explain']);
    expect((document as { rules: { rule: string }[] }).rules.map(({ rule }) => rule)).toEqual(Object.keys(RULES));
    const { stdout } = await quickly(['explain']);
    expect(stdout.split('\n').length).toBe(Object.keys(RULES).length + 3);
  });

  test('offers the nearest names for one that there is not', async () => {
    const { code, stderr } = await touchstone(['explain', 'release-file-chaged']);
    expect(code).toBe(2);
    expect(stderr).toContain('release-file-changed');
    expect((await quickly(['explain', '__proto__'])).code).toBe(2);
  });

  test.each([
    ['expired', 'release-expired'],
    ['file-missing', 'release-file-missing'],
    ['RELEASE_OLDER', 'release-older'],
    ['signature', 'release-signature'],
  ])('%s finds %s', (asked, rule) => {
    expect(nearestRules(asked)).toContain(rule);
  });

  test('offers nothing where nothing is near, and says how to see all', async () => {
    expect(nearestRules('nosuch')).toEqual([]);
    const { code, stderr } = await quickly(['explain', 'nosuch']);
    expect({ code, lists: stderr.includes('touchstone explain lists all') }).toEqual({ code: 2, lists: true });
  });

  test('never offers more than three', () => {
    expect(nearestRules('release')).toHaveLength(3);
  });
});
