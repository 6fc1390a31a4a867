// The rules by which somebody else judges what a controller once accepted, from its record alone.
export const RECORD_RULES = {
  'record-malformed': {
    demands: 'A record of an acceptance is one file of the declared format, whole.',
    now: 'Get the file again from the controller: touchstone evidence record DEVICE. Do not trust a file that was edited.',
    atlas: null,
    sai: 'deployment',
  },
  'record-signature': {
    demands: 'The record, the verdict and the endorsement are signed by a key that the fleet root named for results.',
    now: 'Ask whose key signed it. A key that the root never named, or has revoked, says nothing about a device of this fleet.',
    atlas: 'AML.T0010',
    sai: 'deployment',
  },
  'record-subject': {
    demands: 'Record, verdict and endorsement are about the same device of this fleet.',
    now: 'Do not use the file: its parts were put together from several. Get it again from the controller.',
    atlas: null,
    sai: 'deployment',
  },
  'record-verdict': {
    demands:
      'Who appraises the recorded evidence again comes to the verdict that the controller signed, byte for byte.',
    now: 'Take neither for true. Another version of this program may judge otherwise; if it is the same version, the controller was wrong or lied: look at what it ran.',
    atlas: null,
    sai: 'deployment',
  },
} as const;
export type RecordRuleId = keyof typeof RECORD_RULES;
