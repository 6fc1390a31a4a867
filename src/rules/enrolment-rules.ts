// The rules a newcomer must keep to be endorsed.
export const ENROLMENT_RULES = {
  'enrol-known-id': {
    demands: 'A device id enrols once; a known device is never replaced by a newcomer.',
    now: 'Compare both devices; if the board was replaced on purpose, retire the old record first.',
    atlas: null,
    sai: 'deployment',
  },
} as const;
export type EnrolmentRuleId = keyof typeof ENROLMENT_RULES;
