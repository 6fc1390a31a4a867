// The name of how one epoch followed another.
import { describe, expect, test } from 'vitest';
import { EPOCH_CHANGES } from '../../src/cel/events.ts';
import type { EpochChange } from '../../src/cel/events.ts';
import { epochChange } from '../../src/measure/epoch.ts';

/** A power cut may take the clock back by this (Part 2, 10.11.1). */
const LOSS = 1n << 22n;
const before = { epoch: { resetCount: 5, restartCount: 2 }, clock: 10_000_000n };

interface Case {
  readonly reset: number;
  readonly restart: number;
  readonly clock: bigint;
  readonly safe: boolean;
  readonly kept: boolean;
  readonly name: EpochChange;
}

const CASES: readonly Case[] = [
  { reset: 5, restart: 2, clock: 10_000_001n, safe: true, kept: true, name: 'continued' },
  { reset: 5, restart: 2, clock: 10_000_000n, safe: false, kept: true, name: 'continued' },
  { reset: 5, restart: 2, clock: 9_999_999n, safe: true, kept: true, name: 'clock-rolled-back' },
  { reset: 5, restart: 2, clock: 9_999_999n, safe: false, kept: true, name: 'clock-rolled-back' },
  { reset: 5, restart: 3, clock: 10_000_001n, safe: true, kept: true, name: 'resumed' },
  { reset: 5, restart: 3, clock: 10_000_001n, safe: true, kept: false, name: 'restarted' },
  { reset: 5, restart: 3, clock: 9_999_999n, safe: true, kept: true, name: 'clock-rolled-back' },
  { reset: 5, restart: 1, clock: 10_000_001n, safe: true, kept: true, name: 'tpm-cleared-or-replaced' },
  { reset: 6, restart: 0, clock: 10_000_001n, safe: true, kept: false, name: 'rebooted' },
  { reset: 6, restart: 0, clock: 9_999_999n, safe: true, kept: false, name: 'clock-rolled-back' },
  { reset: 6, restart: 0, clock: 10_000_001n, safe: false, kept: false, name: 'power-cut' },
  { reset: 6, restart: 0, clock: 10_000_000n - LOSS, safe: false, kept: false, name: 'power-cut' },
  { reset: 6, restart: 0, clock: 9_999_999n - LOSS, safe: false, kept: false, name: 'clock-rolled-back' },
  { reset: 9, restart: 7, clock: 20_000_000n, safe: true, kept: false, name: 'rebooted' },
  { reset: 4, restart: 9, clock: 20_000_000n, safe: true, kept: true, name: 'tpm-cleared-or-replaced' },
  { reset: 0, restart: 0, clock: 3n, safe: true, kept: false, name: 'tpm-cleared-or-replaced' },
];

describe('after reset 5, restart 2 at 10,000,000 ms', () => {
  for (const { reset, restart, clock, safe, kept, name } of CASES) {
    const seen = `reset ${reset}, restart ${restart} at ${clock} ms, ${safe ? 'safe' : 'not safe'}`;
    test(`${seen}, with the PCR ${kept ? 'kept' : 'lost'}, is ${name}`, () => {
      expect(epochChange(before, { resetCount: reset, restartCount: restart, clock, safe }, kept)).toBe(name);
    });
  }

  test('every name is one of those that an event may carry, and every one but the first has a case', () => {
    const named = new Set(CASES.map(({ name }) => name));
    expect(EPOCH_CHANGES.filter((name) => !named.has(name))).toEqual(['first']);
    expect(epochChange(null, { resetCount: 1, restartCount: 0, clock: 0n, safe: true }, false)).toBe('first');
  });
});
