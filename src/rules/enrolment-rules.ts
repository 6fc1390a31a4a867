// The rules a newcomer must keep to be endorsed.
export const ENROLMENT_RULES = {
  'enrol-malformed': {
    demands: 'An enrolment message is of the declared format.',
    now: 'Update the device: it speaks another version, or something on the way damages messages.',
    atlas: null,
    sai: 'deployment',
  },
  'enrol-fleet': {
    demands: 'A device enrols in the fleet whose fleet.json it carries.',
    now: 'Flash the device with the fleet.json of this fleet.',
    atlas: null,
    sai: 'deployment',
  },
  'enrol-id': {
    demands: 'A device id is derived from the endorsement key that the request carries.',
    now: 'Treat the request as hostile: an id that is not derived from its key is an attempt to be somebody else.',
    atlas: 'AML.T0073',
    sai: 'deployment',
  },
  'enrol-known-id': {
    demands: 'A device id enrols once; a known device is never replaced by a newcomer.',
    now: 'Compare both devices; if the board was replaced on purpose, retire the old record first.',
    atlas: 'AML.T0073',
    sai: 'deployment',
  },
  'enrol-ak-attributes': {
    demands:
      'The attestation key is restricted, fixed to its TPM and free of lockout: attributes 0x50472, nothing more or less.',
    now: 'Do not approve: a key with other attributes can sign what no TPM has seen.',
    atlas: null,
    sai: 'hardware',
  },
  'enrol-ak-scheme': {
    demands: 'The attestation key is P-256 and signs with ECDSA and SHA-256.',
    now: 'Update the device: it made an attestation key that this version does not accept.',
    atlas: null,
    sai: 'hardware',
  },
  'enrol-request': {
    demands: 'The certificate request names the device id and proves possession of its key.',
    now: 'Start the device again; if it persists, treat the request as hostile.',
    atlas: null,
    sai: 'deployment',
  },
  'enrol-profile': {
    demands: 'The device names a profile that this controller knows, with the same bytes.',
    now: 'Put the profile file into the profiles folder of the controller, or flash the device with the known one.',
    atlas: null,
    sai: 'deployment',
  },
  'enrol-credential': {
    demands: 'The TPM that holds the endorsement key also holds the attestation key: only it can open the credential.',
    now: 'Do not approve: the keys of this request are not of one TPM.',
    atlas: 'AML.T0073',
    sai: 'hardware',
  },
  'enrol-quote': {
    demands: 'The first quote is signed by the attestation key and names this request.',
    now: 'Do not approve: the attestation key does not answer for this request.',
    atlas: null,
    sai: 'hardware',
  },
  'enrol-ek-certificate': {
    demands: 'The endorsement key has a certificate whose chain ends at a root of the operator.',
    now: 'Add the root of the TPM vendor to ek-roots/hardware, or approve knowing that no vendor vouches for this TPM.',
    atlas: 'AML.T0010.000',
    sai: 'hardware',
  },
  'enrol-ek-revoked': {
    demands: 'No certificate between the endorsement key and its root is on a revocation list of its issuer.',
    now: 'Do not approve: ask the TPM vendor why, and replace the TPM; who holds its key can claim to be any number of such TPMs.',
    atlas: 'AML.T0010.000',
    sai: 'hardware',
  },
  'enrol-ek-crl': {
    demands: 'A revocation list that the operator gave answers at the time of the enrolment.',
    now: 'Fetch the newest list of the TPM vendor into ek-roots/crls; it is read without a restart. Then let the device ask again.',
    atlas: 'AML.T0010.000',
    sai: 'deployment',
  },
  'enrol-returned': {
    demands:
      'A device that was retired comes back only when somebody approves it, whatever list or batch names its key.',
    now: 'Find out where it was meanwhile; then touchstone device approve, or reject.',
    atlas: 'AML.T0073',
    sai: 'deployment',
  },
  'enrol-many': {
    demands: 'Only so many devices wait for approval at once.',
    now: 'Approve or reject those that wait (touchstone device list); a flood of newcomers is an attack on your patience.',
    atlas: null,
    sai: 'deployment',
  },
  quarantine: {
    demands: 'No operator has set this device aside.',
    now: 'Find out why it was set aside, then trust it again with touchstone device approve, or retire it.',
    atlas: null,
    sai: 'deployment',
  },
} as const;
export type EnrolmentRuleId = keyof typeof ENROLMENT_RULES;
