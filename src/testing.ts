// touchstone/testing: software TPMs, brokers and whole devices for the tests of those who build on Touchstone; needs swtpm and mosquitto.
export { startSoftwareTpm } from './testing/software-tpm.ts';
export type { RestartOptions, SoftwareTpm, SoftwareTpmOptions } from './testing/software-tpm.ts';
export { startBroker } from './testing/broker.ts';
export type { RunningBroker } from './testing/broker.ts';
export { enrolledDevice, TESTING_PROFILE } from './testing/enrolled-device.ts';
export type { EnrolledDevice, InstallOptions, SlotAnswer } from './testing/enrolled-device.ts';
export type { ModelContent, ReleaseOptions, TestRelease } from './testing/test-release.ts';
export { holdsRelease, isAsSigned, rulesOf, verdictWords } from './testing/device-words.ts';
export type { ShownDevice, UpgradeEnd } from './testing/device-words.ts';
export { flipByte, tamperWith } from './testing/tamper.ts';
export type { Tampered } from './testing/tamper.ts';
