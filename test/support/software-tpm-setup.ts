// The state of a software TPM, made as the product makes it for its users.
export { makeSoftwareTpmState } from '../../src/testing/software-tpm-setup.ts';
