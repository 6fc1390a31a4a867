// Version floors as evidence tells them: there, never lower than they ever were, and remembered whatever log they come with.
import { describe, expect, test } from 'vitest';
import type { Claims } from '../../src/evidence/claims.ts';
import { decodeLogState, encodeLogState } from '../../src/verifier/log-state-codec.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, LogState } from '../../src/verifier/types.ts';
import { laterRow, withClaims, withProfile } from './attack.ts';
import { build, reference } from './evidence-builder.ts';
import { onceCertified } from './floor-attacks.ts';

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

  test('that is only claimed is a warning, and counts against the device once its TPM has certified it', () => {
    const claims = withClaims({ floors: [main(7)] });
    const first = appraise(build({ input: withFloor, claims, certificate: () => null }));
    expect(first.findings).toMatchObject([{ rule: 'floor-uncertified', status: 'warning' }]);
    expect(first.next?.log?.floorsCertified).toBeUndefined();
    const certified = appraise(build({ input: withFloor, claims }));
    expect(certified.next?.log).toMatchObject({ floors: [main(7)], floorsCertified: true });
    const later = appraise(build({ ...onceCertified, certificate: () => null }));
    expect(later.findings).toMatchObject([
      { rule: 'floor-uncertified', status: 'contraindicated', expected: 'floors certified by the TPM, as before' },
    ]);
  });

  test('that its TPM certified is remembered by no claim alone, and by no certificate that does not hold', () => {
    const higher = { ...onceCertified, claims: withClaims({ floors: [main(9)] }) };
    expect(appraise(build(higher)).next?.log).toMatchObject({ floors: [main(9)], floorsCertified: true });
    const claimed = appraise(build({ ...higher, certificate: () => null }));
    expect(claimed.next?.log).toMatchObject({ floors: [main(7)], floorsCertified: true });
    const forged = appraise(build({ ...higher, certificate: (fields) => ({ ...fields, offset: 8 }) }));
    expect(forged.findings.map(({ rule }) => rule)).toEqual(['floor-range']);
    expect(forged.next?.log).toMatchObject({ floors: [main(7)], floorsCertified: true });
  });

  test('that another index holds is found, also where the root names no keys for floors', () => {
    const { floorIndex: _, ...unnamed } = reference;
    const input = (genuine: AppraisalInput): AppraisalInput => {
      const floored = withFloor(genuine).reference.profile;
      return { ...genuine, reference: { ...unnamed, profile: floored } };
    };
    const appraisal = appraise(build({ input, claims: withClaims({ floors: [main(7)] }) }));
    expect(appraisal.findings.map(({ rule }) => rule)).toEqual(['floor-index']);
  });

  test('of a profile that has none is of no interest', () => {
    const claims = withClaims({ floors: [main(7)] });
    const appraisal = appraise(build({ claims, certificate: (fields) => ({ ...fields, magic: 1 }) }));
    expect(appraisal.findings).toEqual([]);
    expect(appraisal.next?.log?.floorsCertified).toBeUndefined();
  });

  test('is kept in the row exactly', () => {
    const { log } = laterRow();
    if (log === null) throw new TypeError('accepted evidence leaves a log state');
    const state: LogState = { ...log, floors: [main(7)], floorsCertified: true };
    expect(decodeLogState(encodeLogState(state))).toMatchObject({ floors: [main(7)], floorsCertified: true });
    expect(decodeLogState(encodeLogState(log)).floors).toBeUndefined();
  });
});
