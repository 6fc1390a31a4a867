// The software TPM of the tests is the one that the product gives to its users.
export { startSoftwareTpm } from '../../src/testing/software-tpm.ts';
export type { SoftwareTpm } from '../../src/testing/software-tpm.ts';
