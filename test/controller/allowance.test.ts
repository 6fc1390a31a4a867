// How much each device may ask for: bounded for each by itself, filled up again by time.
import { describe, expect, it } from 'vitest';
import { Allowance } from '../../src/controller/allowance.ts';

function taken(allowance: Allowance, key: string, now: number, tries: number): number {
  return Array.from({ length: tries }, () => allowance.take(key, now)).filter(Boolean).length;
}

describe('an allowance', () => {
  it('gives a burst, then as much as time fills up, and never more than a burst', () => {
    const allowance = new Allowance({ perSecond: 2, burst: 5 });
    expect(taken(allowance, 'a', 0, 100)).toBe(5);
    expect(taken(allowance, 'a', 499, 100)).toBe(0);
    expect(taken(allowance, 'a', 1000, 100)).toBe(2);
    expect(taken(allowance, 'a', 1_000_000, 100)).toBe(5);
  });

  it('of one is not used up by another', () => {
    const allowance = new Allowance({ perSecond: 1, burst: 1 });
    expect(taken(allowance, 'loud', 0, 1000)).toBe(1);
    expect(taken(allowance, 'quiet', 0, 1)).toBe(1);
  });

  it('remembers the loud, however many others come', () => {
    const allowance = new Allowance({ perSecond: 0.001, burst: 1 });
    expect(allowance.take('loud', 0)).toBe(true);
    let granted = 0;
    for (let i = 0; i < 150_000; i++) {
      allowance.take(`other ${i}`, 1);
      if (i % 1000 === 0 && allowance.take('loud', 1)) granted += 1;
    }
    expect(granted).toBe(0);
  });
});
