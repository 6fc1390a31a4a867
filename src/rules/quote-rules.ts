// The rules that evidence must keep to be believed at all: asked for, authentic, explained by its log.
export const QUOTE_RULES = {
  // Asked: is this an answer to a question of ours that is still open? Refusals, never verdicts.
  'evidence-malformed': {
    demands: 'Evidence is a well-formed message of a version we speak.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'deployment',
  },
  'challenge-mac': {
    demands: 'Evidence answers a challenge that this fleet’s controller sealed.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'deployment',
  },
  'challenge-fleet': {
    demands: 'The challenge was issued for this fleet.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'deployment',
  },
  'challenge-device': {
    demands: 'The challenge was issued for this device.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'deployment',
  },
  late: {
    demands: 'Evidence arrives within the policy’s greatest age, or as a receipt within the life of its bundle.',
    now: 'Nothing to do: the controller asks again by itself; only a receipt that was carried needs another bundle. If it goes on, something replays or delays messages.',
    atlas: null,
    sai: 'deployment',
  },
  superseded: {
    demands: 'A challenge counts once, and not after newer evidence was accepted or the policy changed.',
    now: 'Nothing to do: the controller asks again by itself; only a receipt that was carried needs another bundle. If it goes on, something replays or delays messages.',
    atlas: null,
    sai: 'deployment',
  },
  'controller-clock': {
    demands: 'All controllers of a fleet agree on the time within the policy’s skew.',
    now: 'Correct the clocks of the controllers (NTP); the device is not at fault.',
    atlas: null,
    sai: 'deployment',
  },

  // Authentic: did the endorsed TPM sign exactly this?
  'quote-signature': {
    demands: 'The quote is signed by the attestation key that enrolment endorsed.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'hardware',
  },
  'algorithm-strength': {
    demands: 'Keys and hashes are at least as strong as P-256, RSA-2048 and SHA-256.',
    now: 'Enrol the device again with a P-256 attestation key.',
    atlas: null,
    sai: 'hardware',
  },
  'quote-magic': {
    demands: 'What was signed was made by the TPM itself (magic ff544347).',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'hardware',
  },
  'quote-type': {
    demands: 'What was signed is a quote and no other kind of attestation.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'hardware',
  },
  'qualified-name': {
    demands: 'The quote names the endorsed key in its hierarchy as its signer.',
    now: 'Retire the device and enrol it again.',
    atlas: null,
    sai: 'hardware',
  },
  'qualifying-data': {
    demands: 'The quote covers exactly this challenge, these claims and this log.',
    now: 'Ignore the message; the device was not judged by it. If it goes on, look for who publishes in its name.',
    atlas: null,
    sai: 'deployment',
  },

  // Explained: does the log account for the quoted PCRs?
  'quote-malformed': {
    demands: 'The quote has the layout of the TPM specification, with nothing left over.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'hardware',
  },
  'pcr-bank': {
    demands: 'The quote is over the PCR bank that was asked for, and no other.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'hardware',
  },
  'pcr-selection': {
    demands: 'The quote is over exactly the PCRs that were asked for.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'hardware',
  },
  'pcr-resettable': {
    demands: 'No quoted PCR can be reset by software on the device (16 to 23).',
    now: 'Choose an event PCR from 0 to 15 in the profile.',
    atlas: null,
    sai: 'hardware',
  },
  'claims-malformed': {
    demands: 'The claims are a well-formed map of a version we speak.',
    now: 'Upgrade the device’s software, or the controller if it is older.',
    atlas: null,
    sai: 'deployment',
  },
  'claims-device': {
    demands: 'The claims name the endorsed device and its fleet.',
    now: 'Check which state directory the device runs on; retire and enrol it again.',
    atlas: null,
    sai: 'deployment',
  },
  'log-malformed': {
    demands: 'The event log holds only records and events that this version knows.',
    now: 'Upgrade the controller if it is older than the device; otherwise reboot the device.',
    atlas: null,
    sai: 'deployment',
  },
  'log-start': {
    demands: 'The log starts at its first record, or right after the last one accepted in the same TPM epoch.',
    now: 'Nothing to do: the controller asks again by itself. If it goes on, something replays or delays messages.',
    atlas: null,
    sai: 'deployment',
  },
  'log-consecutive': {
    demands: 'The records are numbered without gap, repetition or exchange, and end where the claims say.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'deployment',
  },
  'log-pcr': {
    demands: 'Every record is of the profile’s event PCR.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'deployment',
  },
  'log-digest': {
    demands: 'The digest of every record is the SHA-256 of its content.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'deployment',
  },
  'log-replay': {
    demands: 'Replaying the log gives the PCR values that the TPM quoted.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'deployment',
  },
  'claims-epoch': {
    demands: 'The claims speak of the TPM epoch that the quote proves.',
    now: 'Reboot the device to start a new log. If it comes back, treat the device as taken over.',
    atlas: null,
    sai: 'hardware',
  },
} as const;
