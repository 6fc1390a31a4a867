// Every rule of the product in one catalogue: what `touchstone explain RULE` prints and findings refer to.
import { BATCH_RULES } from './batch-rules.ts';
import { BUNDLE_RULES } from './bundle-rules.ts';
import { ENROLMENT_RULES } from './enrolment-rules.ts';
import { EVIDENCE_RULES } from './evidence-rules.ts';
import { OUTCOME_RULES } from './outcome-rules.ts';
import { RECORD_RULES } from './record-rules.ts';
import { RELEASE_RULES } from './release-rules.ts';
import type { BatchRuleId } from './batch-rules.ts';
import type { BundleRuleId } from './bundle-rules.ts';
import type { EnrolmentRuleId } from './enrolment-rules.ts';
import type { EvidenceRuleId } from './evidence-rules.ts';
import type { OutcomeRuleId } from './outcome-rules.ts';
import type { RecordRuleId } from './record-rules.ts';
import type { ReleaseRuleId } from './release-rules.ts';
import type { Rule } from './rule.ts';

export type RuleId =
  BatchRuleId | BundleRuleId | EnrolmentRuleId | EvidenceRuleId | OutcomeRuleId | RecordRuleId | ReleaseRuleId;

export const RULES: Readonly<Record<RuleId, Rule>> = {
  ...RELEASE_RULES,
  ...EVIDENCE_RULES,
  ...ENROLMENT_RULES,
  ...OUTCOME_RULES,
  ...BUNDLE_RULES,
  ...BATCH_RULES,
  ...RECORD_RULES,
};
