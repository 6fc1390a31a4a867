// The scenes of a rehearsal in their order: names for scripts, titles for people. What is not reached is reported by these.
export const TITLES = {
  signed: 'The release is what a publisher signed, byte for byte',
  'signed-before': 'The release of before is what a publisher signed',
  before: 'The device runs the release of before',
  install: 'The device judges the release, installs it, tries it and proves it',
  verdict: 'The controller trusts the device with it',
  resources: 'What the installation needs on the device',
  prediction: 'Events and PCR value are those that were predicted',
  'power-cut': 'The power is cut: agent and TPM are killed and start again',
  tampering: 'Root on the device changes one bit of the model',
  floor: 'The disk of before the release is put back under the TPM of now',
  'roll-back': 'The release is changed while it is on trial',
  'cut-install': 'The power is cut in the middle of the installation',
  'way-back': 'The release of before is installed again',
} as const;

export type SceneName = keyof typeof TITLES;

/** Played only where it is known what the devices run now. */
const WITH_BEFORE: ReadonlySet<string> = new Set(['signed-before', 'before', 'way-back']);

/** The scenes of a rehearsal, with or without a release of before. */
export function acts(hasBefore: boolean): SceneName[] {
  return (Object.keys(TITLES) as SceneName[]).filter((name) => hasBefore || !WITH_BEFORE.has(name));
}
