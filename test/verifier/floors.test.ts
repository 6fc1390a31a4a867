// Version floors as evidence tells them: there, never lower than they ever were, and remembered whatever log they come with.
import { describe, expect, test } from 'vitest';
import type { Claims } from '../../src/evidence/claims.ts';
import { decodeLogState, encodeLogState } from '../../src/controller/log-state-codec.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, LogState } from '../../src/verifier/types.ts';
import { laterRow, withClaims, withProfile } from './attack.ts';
import { build, reference } from './evidence-builder.ts';

const withFloor = withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, floor: 0 })) });

type Floors = NonNullable<LogState['floors']>;

function judged(said: Claims['floors'], before?: Floors): { rules: string[]; next: Floors | undefined } {
  const input = (genuine: AppraisalInput): AppraisalInput => {
    const { log } = laterRow();
    const known = log === null || before === undefined ? null : { ...log, floors: before };
    return { ...withFloor(genuine), row: { ...genuine.row, log: known } };
  };
  const appraisal = appraise(build({ input, ...(said === undefined ? {} : { claims: withClaims({ floors: said }) }) }));
  return { rules: appraisal.findings.map(({ rule }) => rule), next: appraisal.next?.log?.floors };
}

const main = (floor: number): Floors[number] => ({ slot: 'main', floor });

describe('a version floor', () => {
  test('that is there is no finding, and is remembered', () => {
    expect(judged([main(3)])).toEqual({ rules: [], next: [main(3)] });
    expect(judged([main(3)], [main(3)])).toEqual({ rules: [], next: [main(3)] });
    expect(judged([main(4)], [main(3)])).toEqual({ rules: [], next: [main(4)] });
  });

  test('of which the device says nothing, or that it is gone, is missing, and is remembered all the same', () => {
    for (const said of [undefined, [], [{ slot: 'main', floor: null }]]) {
      expect(judged(said, [main(3)])).toEqual({ rules: ['floor-missing'], next: [main(3)] });
    }
    expect(judged(undefined)).toEqual({ rules: ['floor-missing'], next: undefined });
  });

  test('that went down is found until it is as high again', () => {
    const lower = judged([main(2)], [main(3)]);
    expect(lower).toEqual({ rules: ['floor-decreased'], next: [main(3)] });
    expect(judged([main(2)], lower.next).rules).toEqual(['floor-decreased']);
    expect(judged([main(3)], lower.next).rules).toEqual([]);
  });

  test('is kept in the row exactly', () => {
    const { log } = laterRow();
    if (log === null) throw new TypeError('accepted evidence leaves a log state');
    const state = { ...log, floors: [main(7)] };
    expect(decodeLogState(encodeLogState(state)).floors).toEqual([main(7)]);
    expect(decodeLogState(encodeLogState(log)).floors).toBeUndefined();
  });
});
