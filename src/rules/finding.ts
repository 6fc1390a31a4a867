// A finding: one check's judgement, with expected, found and who stands for the expectation. Never an exception.
import type { RuleId } from './catalogue.ts';

/** The words of EAR, best to worst: affirming, warning, contraindicated; `none` = nothing could be judged. */
export const STATUSES = ['affirming', 'warning', 'contraindicated', 'none'] as const;
export type Status = (typeof STATUSES)[number];

export interface Finding {
  /** Id in the rule catalogue. */
  readonly rule: RuleId;
  readonly status: Status;
  /** `device`, or a slot's name. */
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
  /** Who stands for the expectation: a key id, `profile`, `challenge`, `endorsement`, `fleet`. */
  readonly source: string;
}
