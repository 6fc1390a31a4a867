// The rules of evidence: what makes it believable, and what makes its content trusted.
import { CONTENT_RULES } from './content-rules.ts';
import { QUOTE_RULES } from './quote-rules.ts';
import type { Rule } from './rule.ts';

export type EvidenceRuleId = keyof typeof QUOTE_RULES | keyof typeof CONTENT_RULES;

export const EVIDENCE_RULES: Readonly<Record<EvidenceRuleId, Rule>> = { ...QUOTE_RULES, ...CONTENT_RULES };
