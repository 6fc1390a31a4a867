// The rules that a list of endorsement keys, signed at a factory line, must keep before a controller lets its devices in.
export const BATCH_RULES = {
  'batch-malformed': {
    demands: 'A batch is one signed statement of the declared format, of at most 5,000 endorsement keys.',
    now: 'Copy it again from the station. If that does not help, sign it again; split a longer list.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-signature': {
    demands: 'A batch is signed by a station key that the fleet root names.',
    now: 'Do not import it. Find out who signed it; the holders of the root name a station with touchstone fleet rotate --station-key.',
    atlas: 'AML.T0010',
    sai: 'deployment',
  },
  'batch-signer-revoked': {
    demands: 'The station key that signed a batch is not revoked, whatever date the batch bears.',
    now: 'Count the devices of the batch at the line again and sign it with another station key: who has the revoked key can write any date.',
    atlas: 'AML.T0010',
    sai: 'deployment',
  },
  'batch-critical': {
    demands: 'A controller understands every field of a batch that says that it must be understood.',
    now: 'Update the controller, or sign the batch with a station of this version.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-fleet': {
    demands: 'A batch is for this fleet.',
    now: 'Import it at the controller of the fleet that it names.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-expired': {
    demands: 'A device of a batch enrols before the end that the batch gives.',
    now: 'Sign the batch anew at the station, with a later --expires-days; devices that are enrolled already keep their place.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-profile': {
    demands:
      'A batch lets devices in as profiles that the fleet root allows its station, and each as a profile of the batch.',
    now: 'Sign the batch for the right profile, or let the holders of the root allow this station more.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-count': {
    demands: 'A batch holds as many endorsement keys as it says, each once.',
    now: 'Do not import it: the station does not write such a batch. Find out what did.',
    atlas: null,
    sai: 'deployment',
  },
  'batch-known': {
    demands: 'A batch is imported once, and one that was taken back stays away.',
    now: 'Nothing, if its devices are in. To let devices of a batch in that was taken back, sign a new one, or let them in one by one.',
    atlas: null,
    sai: 'deployment',
  },
} as const;

export type BatchRuleId = keyof typeof BATCH_RULES;
