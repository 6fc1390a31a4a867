// What a device compiles for itself: affirmed while it is what the device was seen to make of the model in its slot, whatever happens between.
import { describe, expect, test } from 'vitest';
import type { EngineEvent, LogEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import { decodeLogState, encodeLogState } from '../../src/verifier/log-state-codec.ts';
import { build, digestOf, freshRow, release, slotEvent } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';
import { compiled, engineReference, laterBoot, measured, rowOfCompiled, telling } from './engine-attacks.ts';

const rules = (bend: Bend): string[] => appraise(build(bend)).findings.map(({ rule }) => rule);
const again: EngineEvent = { ...compiled, engine: digestOf('engine, made again') };
const gone: EngineEvent = { ...measured, engine: null };

describe('an engine', () => {
  test('that was compiled, or is not there yet, or any more, is as it should be', () => {
    expect(appraise(build(telling([compiled])))).toMatchObject({ status: 'affirming', assurance: 'A2', findings: [] });
    expect(rules(telling([]))).toEqual([]);
    expect(rules(telling([compiled, gone]))).toEqual([]);
    expect(rules(laterBoot([gone], freshRow))).toEqual([]);
  });

  test('is known again after a boot, also one that was made anew before', () => {
    expect(rules(laterBoot([measured]))).toEqual([]);
    const row = rowOfCompiled([compiled, again]);
    expect(rules(laterBoot([measured], row))).toEqual([]);
    expect(rules(laterBoot([{ ...again, cause: 'measured' }], row))).toEqual([]);
  });

  test('of the release before is known again after a roll-back', () => {
    const other = { ...slotEvent, release: digestOf('next'), statement: digestOf('next statement') };
    const row = rowOfCompiled([compiled, other, { ...again, statement: digestOf('next statement') }]);
    expect(rules(laterBoot([measured], row))).toEqual([]);
  });

  test('goes with its release: the slot that holds another has none', () => {
    const next = { ...release, id: digestOf('next').toString('hex'), statement: digestOf('next statement') };
    const events: LogEvent[] = [
      compiled,
      { ...slotEvent, cause: 'activated', release: digestOf('next'), statement: digestOf('next statement') },
    ];
    const appraisal = appraise(
      build(
        telling(events, {
          claims: (claims) => ({
            ...claims,
            slots: claims.slots.map((slot) => ({ ...slot, release: digestOf('next') })),
          }),
          input: (input) => {
            const { reference, ...rest } = engineReference(input);
            return {
              ...rest,
              reference: { ...reference, releases: new Map([...reference.releases, [next.id, next]]) },
            };
          },
        }),
      ),
    );
    expect(appraisal.findings).toEqual([]);
    expect(appraisal.next?.log?.engines).toBeUndefined();
  });

  test('that was swapped, and made again, is a change since boot', () => {
    const swapped = { ...measured, engine: digestOf('evil') };
    expect(rules(telling([compiled, swapped]))).toEqual(['engine-bytes']);
    expect(rules(telling([compiled, swapped, gone]))).toEqual(['changed-since-boot']);
    expect(rules(telling([compiled, swapped, gone, again]))).toEqual(['changed-since-boot']);
  });

  test('is no worse when the same log is told once more', () => {
    const events = [compiled, gone, again];
    const row = { ...rowOfCompiled(events), maxResetCount: 0 };
    expect(rules(laterBoot([measured, gone, again], row))).toEqual([]);
  });

  test('is judged by nobody’s compiler where the owner names no components', () => {
    const bend = telling([{ ...compiled, compiler: digestOf('any') }]);
    const input: Bend['input'] = (genuine) => {
      const { reference, ...rest } = engineReference(genuine);
      return { ...rest, reference: { ...reference, components: null } };
    };
    const appraisal = appraise(build({ ...bend, input }));
    expect(appraisal).toMatchObject({ findings: [], assurance: 'A1' });
  });

  test('of which something was strange is not remembered as made', () => {
    const strange = { ...compiled, statement: digestOf('other statement') };
    expect(appraise(build(telling([strange]))).next?.log?.enginesMade).toBeUndefined();
  });

  test('is remembered a few times, and outlives the registry', () => {
    const many = Array.from({ length: 9 }, (_, i) => ({ ...compiled, engine: digestOf(`engine ${i}`) }));
    const { log } = rowOfCompiled(many);
    if (log === null) throw new TypeError('no log');
    expect(log.enginesMade).toHaveLength(4);
    expect(log.enginesMade?.[0]?.engine).toEqual(Uint8Array.from(digestOf('engine 8')));
    const kept = decodeLogState(encodeLogState(log));
    expect(kept.engines).toMatchObject([{ slot: 'main', origin: 'made' }]);
    expect(kept.enginesMade).toHaveLength(4);
  });
});
