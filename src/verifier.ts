// touchstone/verifier: judge evidence anywhere, without a TPM, a network or native code.
export { appraise, appraiseAsking } from './verifier/appraise.ts';
export type { AskKey } from './verifier/attest.ts';
export { earClaims } from './verifier/ear.ts';
export type { EarAppraisal, EarClaims, TrustClaim } from './verifier/ear.ts';
export type {
  Appraisal,
  AppraisalInput,
  AppraisalPolicy,
  LogState,
  ReferenceRelease,
  ReferenceValues,
  RowState,
  SlotLogState,
  TrustedEndorsement,
} from './verifier/types.ts';
