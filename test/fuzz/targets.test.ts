// A short turn of the fuzzer's targets without the fuzzer: good bytes, and good bytes with damage drawn from a fixed seed.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mutated } from '../support/wire-outcome.ts';
import { seedsOf } from './seeds.ts';
import { assertSame, readOrRefused } from './target.ts';
import { TARGETS } from './targets.ts';

const damage = fc.record({ at: fc.nat(1 << 20), byte: fc.nat(255), kind: fc.nat(2) });

describe.each(Object.entries(TARGETS))('%s', (name, feed) => {
  test('reads its seeds, and reads or refuses seeds with up to eight faults', async () => {
    const seeds = await seedsOf(name);
    for (const seed of seeds) expect(await feed(seed)).toBe(true);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...seeds),
        fc.array(damage, { minLength: 1, maxLength: 8 }),
        async (seed, faults) => {
          let bytes: Buffer = Buffer.from(seed);
          for (const fault of faults) bytes = mutated(bytes, fault);
          await feed(bytes);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('a target', () => {
  test('that throws what is no refusal is a finding', () => {
    expect(() =>
      readOrRefused(() => {
        throw new TypeError('no such property');
      }),
    ).toThrow(TypeError);
  });

  test('that reads something else is a finding', () => {
    expect(() => assertSame({ a: 1n }, { a: 1 }, 'read again')).toThrow(/read again/);
    expect(() => assertSame({ a: 1n }, { a: 1n }, 'read again')).not.toThrow();
  });
});
