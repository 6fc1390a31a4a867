// What the counters and the clock of a TPM may do between two quotes: honest power cuts never look like an attack.
import { describe, expect, test } from 'vitest';
import { clockWentBack, counterWentBack } from '../../src/verifier/tpm-history.ts';
import { freshRow } from './evidence-builder.ts';

const CLOCK = 100_000_000n;
const RECORDED_EVERY = 1n << 22n;
const log = {
  epoch: { resetCount: 7, restartCount: 2 },
  seq: 1,
  pcr: Buffer.alloc(32),
  session: null,
  components: null,
  startedSession: null,
  foreignExtensions: 0,
  bootExplained: true,
  slots: [],
};
const row = { ...freshRow, log, clock: CLOCK, maxResetCount: 7 };
const quote = { resetCount: 7, restartCount: 2, clock: CLOCK, safe: true };
const afterCut = { ...quote, resetCount: 8, restartCount: 0, safe: false };

describe('the clock of a TPM', () => {
  test('may stand still and go on', () => {
    expect(clockWentBack(quote, row, 'hardware')).toBe(false);
    expect(clockWentBack({ ...quote, clock: CLOCK + 1n }, row, 'hardware')).toBe(false);
  });

  test('may lose after a power cut what it had not recorded, and no more', () => {
    expect(clockWentBack({ ...afterCut, clock: CLOCK - RECORDED_EVERY }, row, 'hardware')).toBe(false);
    expect(clockWentBack({ ...afterCut, clock: CLOCK - RECORDED_EVERY - 1n }, row, 'hardware')).toBe(true);
    expect(clockWentBack({ ...afterCut, clock: CLOCK - RECORDED_EVERY - 1n }, row, 'pinned')).toBe(true);
  });

  test('may lose nothing when the TPM itself says that it is safe, or without a reset', () => {
    expect(clockWentBack({ ...afterCut, safe: true, clock: CLOCK - 1n }, row, 'hardware')).toBe(true);
    expect(clockWentBack({ ...quote, safe: false, clock: CLOCK - 1n }, row, 'hardware')).toBe(true);
  });

  test('of a software TPM may lose anything after a power cut: some do not record it at all; without one it may not', () => {
    expect(clockWentBack({ ...afterCut, clock: 1n }, row, 'software')).toBe(false);
    expect(clockWentBack({ ...afterCut, clock: 1n, safe: true }, row, 'software')).toBe(false);
    expect(clockWentBack({ ...quote, clock: CLOCK - 1n }, row, 'software')).toBe(true);
  });
});

describe('the counters of a TPM', () => {
  test('never go back', () => {
    expect(counterWentBack(quote, row)).toBe(false);
    expect(counterWentBack(afterCut, row)).toBe(false);
    expect(counterWentBack({ ...quote, resetCount: 6 }, row)).toBe(true);
    expect(counterWentBack({ ...quote, restartCount: 1 }, row)).toBe(true);
  });
});
