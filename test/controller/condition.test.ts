// How a device is doing: unreachable, stale, unverifiable and untrusted are told apart, and each says what to do.
import { describe, expect, it } from 'vitest';
import { CONDITIONS, conditionOf } from '../../src/controller/condition.ts';
import type { Condition } from '../../src/controller/condition.ts';
import type { DeviceRow } from '../../src/controller/registry.ts';
import type { Status } from '../../src/rules/finding.ts';

const NOW = 10_000_000;
const terms = { now: NOW, silentAfterMs: 900_000, leaseForMs: 300_000 };

function verdictOf(status: Status, age = 1000): DeviceRow['verdict'] {
  return { status, assurance: 'A1', findings: [], at: NOW - age, envelope: '' };
}

const device = { state: 'approved', verdict: null, trouble: null, lastSeen: NOW - 1000, online: true } as const;
const trouble = { at: NOW, status: 'contraindicated', findings: [] } as const;

describe('a device is', () => {
  it.each<[Condition, string, Partial<Parameters<typeof conditionOf>[0]>]>([
    ['trusted', 'as signed', { verdict: verdictOf('affirming') }],
    ['warning', 'as signed, with something to read', { verdict: verdictOf('warning') }],
    ['untrusted', 'not as signed', { verdict: verdictOf('contraindicated') }],
    ['stale', 'there, and its verdict has run out', { verdict: verdictOf('affirming', 300_001) }],
    ['stale', 'there, and its bad verdict has run out', { verdict: verdictOf('contraindicated', 300_001) }],
    ['unreachable', 'silent', { verdict: verdictOf('affirming'), lastSeen: NOW - 900_001 }],
    [
      'unreachable',
      'said to be gone, and its verdict has run out',
      { verdict: verdictOf('affirming', 300_001), online: false },
    ],
    [
      'trusted',
      'said to be gone by a mere hint while its verdict holds',
      { verdict: verdictOf('affirming'), online: false },
    ],
    ['unverifiable', 'sending what proves nothing', { verdict: verdictOf('affirming'), trouble }],
    ['unverifiable', 'sending what proves nothing from the start', { trouble }],
    ['waiting', 'approved and has sent nothing', { lastSeen: null }],
    ['waiting', 'approved and has only said hello', {}],
    ['pending', 'not let in yet', { state: 'pending' }],
    ['rejected', 'turned away', { state: 'rejected' }],
    ['retired', 'out of the fleet', { state: 'retired' }],
    ['quarantined', 'set aside, whatever it proves', { state: 'quarantined', verdict: verdictOf('affirming') }],
  ])('%s when it is %s', (condition, _when, change) => {
    expect(conditionOf({ ...device, ...change }, terms)).toBe(condition);
  });

  it('stale when its profile is not known: nobody can say how long its verdict holds', () => {
    const one = { ...device, verdict: verdictOf('affirming') };
    expect(conditionOf(one, { ...terms, leaseForMs: null })).toBe('stale');
  });

  it('told with words of its own, that say what to do', () => {
    expect(new Set(Object.values(CONDITIONS)).size).toBe(Object.keys(CONDITIONS).length);
  });
});
