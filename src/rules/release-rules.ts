// The rules that a release and the fleet root must keep before the gate lets anything in.
export const RELEASE_RULES = {
  // Signed: is there a signature, and by whom?
  'release-unsigned': {
    demands: 'A release carries a signed passport and a signed model statement.',
    now: 'Ask the publisher for the release again, from its source; do not put files in by hand.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-malformed': {
    demands: 'Passport and model signature are of the format that their standards define, without a second reading.',
    now: 'Ask the publisher for the release again, from its source; do not put files in by hand.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-signing-method': {
    demands:
      'The signature is of the kind that the verifier trusts: for a release, by the key of a publisher and no other.',
    now: 'Ask the publisher to sign with a key; certificates and keyless signatures name people, not this fleet’s publishers.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-signature': {
    demands: 'The signatures over passport and model statement verify.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-signer': {
    demands: 'Who signed the release may sign for this model id, says the fleet root.',
    now: 'Ask who made the release. If the publisher has a new key, the holders of the root keys must name it first.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-signer-revoked': {
    demands: 'The key that signed the release has not been revoked.',
    now: 'Do not use anything this key has signed; ask the publisher for a release signed with the new key.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-threshold': {
    demands: 'As many different publishers signed the release as the fleet root asks for this model id.',
    now: 'Ask another publisher of this model to look at the release and to sign: touchstone release countersign.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-certificate-chain': {
    demands: 'The certificate that signed leads, link by link, to a root that the verifier named.',
    now: 'Ask the signer for the chain, and get its root from where you trust it, not from beside the model.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-certificate-validity': {
    demands: 'Every certificate from the signer’s to the root is in its validity now.',
    now: 'Ask for a signature by a current certificate. If this machine’s clock is wrong, correct it.',
    atlas: null,
    sai: 'deployment',
  },
  'release-certificate-purpose': {
    demands: 'The certificate that signed is meant for signing code, and those above it for issuing certificates.',
    now: 'Ask the signer for a signature by a certificate for code signing; do not trust another in its place.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'release-critical': {
    demands: 'Every field that the passport marks as critical is known to this version.',
    now: 'Upgrade touchstone on the device, then install the release again.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-statement': {
    demands: 'Passport and model signature are about the same statement, and the statement agrees with itself.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },

  // Complete: are the files exactly those that were signed?
  'release-file-changed': {
    demands: 'Every file has the bytes that the publisher signed.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0018.002',
    sai: 'deployment',
  },
  'release-file-missing': {
    demands: 'Every file that the publisher signed is there.',
    now: 'Ask the publisher for the release again, from its source; do not put files in by hand.',
    atlas: 'AML.T0018.002',
    sai: 'deployment',
  },
  'release-file-surplus': {
    demands: 'There is no file that the publisher did not sign.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },
  'release-path': {
    demands: 'Every path of a release stays inside of its model folder.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },
  'release-file-kind': {
    demands: 'A model is made of regular files in folders: no symbolic links, pipes, sockets or devices.',
    now: 'Ask the publisher for a release that holds the files themselves.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },
  'release-ignore-paths': {
    demands: 'The signature leaves out no path but the usual ones of version control and itself.',
    now: 'Ask the publisher to sign without ignored paths: what is not signed could be exchanged by anybody.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },
  'release-manifest': {
    demands: 'The manifest of the files, empty ones included, is the one in the passport.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0018.002',
    sai: 'deployment',
  },

  // Harmless: is it made of what the profile allows?
  'release-format': {
    demands: 'A model is made of the formats that the profile allows; files with code are not among them.',
    now: 'Ask the publisher for the model in an allowed format, without pickles, archives, scripts and programs.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },
  'release-format-header': {
    demands: 'The header of every model file agrees with the file: lengths, places and other files that it names.',
    now: 'Do not load this model anywhere: its file is broken, or made to break the program that reads it.',
    atlas: 'AML.T0011.000',
    sai: 'deployment',
  },

  // Fitting: is it meant for here and now?
  'release-expired': {
    demands: 'A release is installed before its last day; what runs already goes on.',
    now: 'Ask the publisher for a newer release. If the device’s clock is wrong, correct it.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-not-yet-valid': {
    demands: 'A release is installed from its first day on.',
    now: 'Install it later. If the device’s clock is behind, correct it.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-older': {
    demands: 'No release is installed over one with a higher security version.',
    now: 'Choose a release with at least the running security version; the lower ones have known faults.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },
  'release-floor-token': {
    demands: 'A release above the version floor in the TPM brings a token that raises that floor to it.',
    now: 'Ask the holder of the floor key for a token: touchstone floor token. If nobody meant to raise it, do not install this.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },
  'release-withdrawn': {
    demands: 'A release that its publisher or the fleet root withdrew is not installed any more.',
    now: 'Choose another release; this one was found to be bad.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },
  'release-slot-role': {
    demands: 'The release is made for the role of this slot.',
    now: 'Check that the right release was chosen for this slot; the publisher must sign one that is meant for it.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-model-id': {
    demands: 'The slot takes this model id.',
    now: 'Check that the right release was chosen for this slot; the publisher must sign one that is meant for it.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-hardware-class': {
    demands: 'The release is made for this device’s hardware class.',
    now: 'Check that the right release was chosen for this slot; the publisher must sign one that is meant for it.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-planned-change': {
    demands: 'The release is a change that the profile’s change control plan foresees.',
    now: 'If it is one, name it when the release is made (--pccp-change-id); if not, it needs another way to the device than this.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-agent': {
    demands: 'The agent on the device is at least as new as the release needs.',
    now: 'Upgrade touchstone on the device, then install the release again.',
    atlas: null,
    sai: 'upgrade',
  },
  'release-id': {
    demands: 'The release is the one that the command named.',
    now: 'Treat the way the release came as hostile: fetch it again from the publisher and compare the release ids.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },

  // The fleet root: who may say who signs?
  'root-malformed': {
    demands: 'The root statement is well-formed.',
    now: 'Get the current root statement from the holders of the root keys; go on with the one before until then.',
    atlas: null,
    sai: 'deployment',
  },
  'root-threshold': {
    demands: 'Enough different root keys of this fleet signed the root statement.',
    now: 'Get the current root statement from the holders of the root keys; go on with the one before until then.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'root-fleet': {
    demands: 'The root statement is of this fleet.',
    now: 'Get the current root statement from the holders of the root keys; go on with the one before until then.',
    atlas: null,
    sai: 'deployment',
  },
  'root-version': {
    demands: 'The root statement is not older than one seen before.',
    now: 'Get the current root statement from the holders of the root keys; go on with the one before until then.',
    atlas: 'AML.T0010.003',
    sai: 'deployment',
  },
  'root-critical': {
    demands: 'Every field that the root statement marks as critical is known to this version.',
    now: 'Upgrade touchstone, then load the root statement again.',
    atlas: null,
    sai: 'deployment',
  },
  'root-expired': {
    demands: 'New releases are installed only under a root statement that has not expired; what runs already goes on.',
    now: 'Get the current root statement from the holders of the root keys; go on with the one before until then.',
    atlas: null,
    sai: 'upgrade',
  },
} as const;

export type ReleaseRuleId = keyof typeof RELEASE_RULES;
