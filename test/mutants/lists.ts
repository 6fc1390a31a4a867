// Where the named checks of the product are listed, and which tests must miss one that is taken away.

export interface CheckList {
  readonly file: string;
  /** The exported constant: an array of checks, or an object of them by name. */
  readonly list: string;
  /** Tests, the quickest to notice first. */
  readonly tests: readonly string[];
}

const VERIFIER = ['test/verifier', 'test/attacks/evidence'];
const RELEASE = ['test/release', 'test/gate'];

export const CHECK_LISTS: readonly CheckList[] = [
  { file: 'src/verifier/checks/asked.ts', list: 'askedChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/authentic.ts', list: 'signedChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/authentic.ts', list: 'quotedChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/explained.ts', list: 'explainedChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/device.ts', list: 'deviceChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/slots.ts', list: 'slotChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/engines.ts', list: 'engineChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/floors.ts', list: 'floorChecks', tests: VERIFIER },
  { file: 'src/verifier/checks/floor-certificate.ts', list: 'floorCertificateChecks', tests: VERIFIER },
  { file: 'src/controller/newcomer-checks.ts', list: 'REQUEST_CHECKS', tests: ['test/controller/enrolment'] },
  { file: 'src/controller/newcomer-checks.ts', list: 'PROOF_CHECKS', tests: ['test/controller/enrolment'] },
  { file: 'src/controller/newcomer-checks.ts', list: 'CERTIFICATE_CHECKS', tests: ['test/controller/ek-revocation'] },
  { file: 'src/release/batch.ts', list: 'BATCH_CHECKS', tests: ['test/release/batch', 'test/attacks/station'] },
  { file: 'src/gate/admission-checks.ts', list: 'ADMISSION_CHECKS', tests: ['test/gate'] },
  { file: 'src/agent/instruction-checks.ts', list: 'INSTRUCTION_CHECKS', tests: ['test/attacks/air-gap'] },
  { file: 'src/release/open-checks.ts', list: 'SIGNATURE_CHECKS', tests: RELEASE },
  { file: 'src/release/open-checks.ts', list: 'CONTENT_CHECKS', tests: RELEASE },
  { file: 'src/release/check-files.ts', list: 'FILE_CHECKS', tests: RELEASE },
  { file: 'src/release/check-files.ts', list: 'MANIFEST_CHECKS', tests: RELEASE },
  { file: 'src/release/root-link.ts', list: 'LINK_CHECKS', tests: ['test/release'] },
  { file: 'src/crypto/chain-checks.ts', list: 'CHAIN_CHECKS', tests: ['test/crypto'] },
  { file: 'src/crypto/ek-certificate.ts', list: 'EK_CHECKS', tests: ['test/crypto'] },
  { file: 'src/tpm/floor/raise.ts', list: 'RAISE_CHECKS', tests: ['test/tpm', 'test/swtpm/floor'] },
  { file: 'src/tpm/floor/provision.ts', list: 'FIRST_WRITE_CHECKS', tests: ['test/tpm', 'test/swtpm/floor'] },
];
