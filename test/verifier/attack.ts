// What an attack on evidence is, and the small bends that many of them share.
import type { Claims } from '../../src/evidence/claims.ts';
import type { RuleId } from '../../src/rules/catalogue.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, ReferenceRelease, ReferenceValues, RowState } from '../../src/verifier/types.ts';
import { build, freshRow, reference, release } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

/** `bend` makes genuine evidence into one that only the check `check` finds, by its rule. */
export interface Attack {
  readonly attack: string;
  readonly check: string;
  readonly rule: RuleId;
  readonly bend: () => Bend;
}

export const withReference =
  (change: Partial<ReferenceValues>): ((input: AppraisalInput) => AppraisalInput) =>
  (input) => ({ ...input, reference: { ...input.reference, ...change } });

export const withProfile = (change: Partial<ReferenceValues['profile']>): ((input: AppraisalInput) => AppraisalInput) =>
  withReference({ profile: { ...reference.profile, ...change } });

export const withRelease = (change: Partial<ReferenceRelease>): ((input: AppraisalInput) => AppraisalInput) =>
  withReference({ releases: new Map([[release.id, { ...release, ...change }]]) });

export const withClaims =
  (change: Partial<Claims>): ((claims: Claims) => Claims) =>
  (claims) => ({ ...claims, ...change });

/** The row after the genuine evidence was accepted. */
export const laterRow = (): RowState => appraise(build()).next ?? freshRow;

/** The row of a device that was let in with its TPM in that life, and was reset since. */
export function rowInLife(tpmLife: Uint8Array): RowState {
  const { log } = laterRow();
  if (log === null) throw new TypeError('it was accepted');
  return { ...freshRow, log: { ...log, session: null, epoch: { resetCount: 3, restartCount: 0 }, tpmLife } };
}
