// The rules a release must keep to be admitted by the gate.
export const RELEASE_RULES = {
  'release-unsigned': {
    demands: 'A release carries a signed passport and a signed model statement.',
    now: 'Ask the publisher for the signed release; do not install the files by hand.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
} as const;
export type ReleaseRuleId = keyof typeof RELEASE_RULES;
