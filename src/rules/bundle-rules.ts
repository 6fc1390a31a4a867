// The rules that a bundle must keep before a device does what it asks.
export const BUNDLE_RULES = {
  'bundle-malformed': {
    demands: 'A bundle holds its parts in order, as plain files under their own names, and nothing else.',
    now: 'Copy it again from where it was made. If that does not help, make it again.',
    atlas: 'AML.T0010',
    sai: 'upgrade',
  },
  'instruction-signature': {
    demands: 'What a bundle asks is signed by an operator key that the fleet root names.',
    now: 'Do not apply it. Find out who made it; make one with touchstone bundle make at the fleet’s controller.',
    atlas: 'AML.T0010',
    sai: 'upgrade',
  },
  'instruction-device': {
    demands: 'A bundle is applied on the device that it was made for.',
    now: 'Take it to the device that it names, or make one for this device.',
    atlas: null,
    sai: 'upgrade',
  },
  'instruction-slot': {
    demands: 'A bundle is for a slot that this device has.',
    now: 'Make the bundle again with --slot and one of the device’s slots: touchstone device show lists them.',
    atlas: null,
    sai: 'upgrade',
  },
  'instruction-challenge': {
    demands: 'A bundle comes with the challenge that its instruction names, made for this device.',
    now: 'Copy it again from where it was made: without its own challenge no receipt would be accepted.',
    atlas: null,
    sai: 'upgrade',
  },
  'instruction-expired': {
    demands: 'A bundle is applied before the time that its instruction gives.',
    now: 'Make it again; --valid-for says for how many days it is good. If the device’s clock is ahead, correct that.',
    atlas: null,
    sai: 'upgrade',
  },
  'reports-full': {
    demands: 'A device has room to report what becomes of a bundle.',
    now: 'Apply the signed result of an earlier receipt (touchstone bundle accept --result): it makes room.',
    atlas: null,
    sai: 'upgrade',
  },
} as const;

export type BundleRuleId = keyof typeof BUNDLE_RULES;
