// The rules that evidence must keep to be believed, and its content to be trusted.
export const EVIDENCE_RULES = {
  'tier-software': {
    demands: 'The TPM is a hardware TPM whose vendor certified its endorsement key.',
    now: 'Expected in development. In production, use a device with a hardware TPM.',
    atlas: null,
    sai: 'hardware',
  },
} as const;
export type EvidenceRuleId = keyof typeof EVIDENCE_RULES;
