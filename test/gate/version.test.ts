// Version numbers are ordered as Semantic Versioning 2.0.0, clause 11, says; what is none has no order.
import { expect, test } from 'vitest';
import { compareVersions } from '../../src/gate/version.ts';

const ASCENDING = [
  '0.9.9',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.1',
  '1.2.0',
  '1.10.0',
  '2.0.0',
];

test('each of the standard’s examples comes before the next', () => {
  for (const [a, left] of ASCENDING.entries()) {
    for (const [b, right] of ASCENDING.entries()) {
      expect(Math.sign(compareVersions(left, right) ?? Number.NaN)).toBe(Math.sign(a - b));
    }
  }
});

test('what says how it was built has no say in the order', () => {
  expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0);
  expect(compareVersions('1.0.0-rc.1+a', '1.0.0-rc.1')).toBe(0);
});

test.each(['', '1', '1.2', 'v1.2.3', '1.2.3.4', '1.2.x', '1.2.3-', ' 1.2.3', '1.2.3-ä', '9999999999.0.0'])(
  '%j is no version',
  (text) => {
    expect(compareVersions(text, '1.0.0')).toBeNull();
    expect(compareVersions('1.0.0', text)).toBeNull();
  },
);
