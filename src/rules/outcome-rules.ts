// The rules by which a device reports what became of a command, a trial or itself.
export const OUTCOME_RULES = {
  'trial-open': {
    demands: 'Nothing new goes into a slot while its trial is open.',
    now: 'Wait for the trial to end, or quarantine the device to roll it back; then give the upgrade again.',
    atlas: null,
    sai: 'upgrade',
  },
  'trial-boots': {
    demands: 'A release that is tried survives three starts of the device.',
    now: 'Look at the device’s log: the release, or the power supply, ended the device in its trial. It is not tried again by itself.',
    atlas: 'AML.T0029',
    sai: 'upgrade',
  },
  'trial-disk': {
    demands: 'The disk takes what the activation of a release writes.',
    now: 'Make room on the disk, or look what ails it; then give the upgrade again. The release before runs on.',
    atlas: 'AML.T0029',
    sai: 'upgrade',
  },
  'trial-candidate': {
    demands: 'A release that is tried lies on the device as it was signed until its trial ends.',
    now: 'Find out what changed or removed it, then give the upgrade again.',
    atlas: 'AML.T0018',
    sai: 'upgrade',
  },
  'release-below-floor': {
    demands: 'No release is activated below the version floor of its slot.',
    now: 'Use a release at or above the floor; if the floor is wrong, the fleet root can recover it.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },
  'floor-token': {
    demands:
      'The token that gives a device its version floors is signed for this TPM and for the request that it has open now.',
    now: 'Ask for it again: touchstone floor request DEVICE, floor first-token (or floor recover), floor give DEVICE.',
    atlas: 'AML.T0010.003',
    sai: 'upgrade',
  },
  'glass-profile': {
    demands: 'Break-glass is for the slots whose profile allows it.',
    now: 'Let the device reach its controller, or carry a bundle to it; the profile is the maker’s decision.',
    atlas: null,
    sai: 'inference',
  },
  'glass-needless': {
    demands: 'The glass is broken only where a slot is not ready by itself.',
    now: 'Nothing: the model may be loaded.',
    atlas: null,
    sai: 'inference',
  },
  'glass-model': {
    demands:
      'Under break-glass too a model is what its publisher signed, at or above its version floor, and has passed its health check.',
    now: 'Use the device without this model; install the signed release again: touchstone upgrade, or touchstone bundle.',
    atlas: 'AML.T0018',
    sai: 'inference',
  },
  'glass-broken': {
    demands: 'A glass is broken once, until the controller vouches for the device again.',
    now: 'Let the device reach its controller, or carry a bundle to it and the result of its receipt back.',
    atlas: null,
    sai: 'inference',
  },
  'glass-reports': {
    demands: 'The controller can be told of every broken glass.',
    now: 'Let the device reach its controller, which takes the reports that wait.',
    atlas: null,
    sai: 'inference',
  },
  'lease-expired': {
    demands: 'A trial ends before the controller’s last word runs out, where the profile says stop.',
    now: 'Let the device reach its controller, then give the upgrade again.',
    atlas: null,
    sai: 'upgrade',
  },
  'engine-compile': {
    demands: 'The device’s own runtime compiles an engine from the release, of plain files, in the profile’s time.',
    now: 'Read the reason: the runtime may be too old for the model, the time too short, or the disk too full. Rehearse it with this profile.',
    atlas: null,
    sai: 'testing',
  },
  'health-plan': {
    demands: 'The health check that a release names is a valid file of the model.',
    now: 'Rehearse the release before it ships: touchstone rehearse says which line is wrong.',
    atlas: null,
    sai: 'testing',
  },
  'health-runtime': {
    demands: 'The device’s own runtime loads the model and answers every golden case.',
    now: 'Rehearse the release with this device’s profile; the model may need another runtime or more time.',
    atlas: null,
    sai: 'testing',
  },
  'health-output': {
    demands: 'The model answers each golden case within the tolerance that its publisher signed.',
    now: 'Do not ship it: on this device the model computes something else than its publisher saw.',
    atlas: 'AML.T0018',
    sai: 'testing',
  },
  'health-latency': {
    demands: 'The model answers within the time that its health check allows.',
    now: 'Use a smaller model, a faster device, or another limit if the release allows it.',
    atlas: 'AML.T0029',
    sai: 'testing',
  },
  'health-memory': {
    demands: 'The runtime with the model stays within the memory that its health check allows.',
    now: 'Use a smaller model, a larger device, or another limit if the release allows it.',
    atlas: 'AML.T0029',
    sai: 'testing',
  },
  'health-command': {
    demands: 'The operator’s own command finds the device well with the new release.',
    now: 'See what the command says on the device; the release before runs on.',
    atlas: null,
    sai: 'testing',
  },
  'superseded-order': {
    demands: 'A slot takes only wishes newer than the last one it took.',
    now: 'Nothing, if a later command is the one that is wanted; else give the upgrade again.',
    atlas: null,
    sai: 'upgrade',
  },
  interrupted: {
    demands: 'A command is carried out to its end.',
    now: 'The agent or the power was cut meanwhile: look what the slot holds, and give the command again if it is still wanted.',
    atlas: null,
    sai: 'upgrade',
  },
  'tpm-late': {
    demands: 'The TPM answers within the deadline of its command.',
    now: 'Once is nothing. If it happens again, look at the TPM with touchstone tpm doctor on the device.',
    atlas: null,
    sai: 'hardware',
  },
  'journal-started-over': {
    demands: 'The journal of the agent is whole.',
    now: 'The disk lost or changed what was written: check it, and keep the set-aside journal for the examination.',
    atlas: null,
    sai: 'deployment',
  },
} as const;

export type OutcomeRuleId = keyof typeof OUTCOME_RULES;
