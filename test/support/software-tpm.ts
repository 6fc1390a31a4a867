// The software TPM of the tests is the one that the product gives to its users.
export { SoftwareTpm, startSoftwareTpm } from '../../src/testing/software-tpm.ts';
export type { RestartOptions, SoftwareTpmOptions } from '../../src/testing/software-tpm.ts';
