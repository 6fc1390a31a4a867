// The Tpm port: what the agent asks of a TPM, in domain words. Implemented by the real TPM and by a software key in tests.

/** (resetCount, restartCount) of TPMS_CLOCK_INFO: moves at every TPM reset, restart and resume. */
export interface Epoch {
  readonly resetCount: number;
  readonly restartCount: number;
}

export function sameEpoch(a: Epoch, b: Epoch): boolean {
  return a.resetCount === b.resetCount && a.restartCount === b.restartCount;
}

/** TPMS_CLOCK_INFO, Part 2, 10.11.1. `clock` is in milliseconds of powered time and may go back after a power cut, by `clockUpdateMs` of the identity. */
export interface TpmClock extends Epoch {
  readonly clock: bigint;
  readonly safe: boolean;
}

/** The banks that count. SHA-1 is not among them: its collisions are practical. */
export type PcrBank = 'sha256' | 'sha384';

export interface PcrSelection {
  readonly bank: PcrBank;
  /** Ascending, without repetition, each 0 to 23. */
  readonly pcrs: readonly number[];
}

export interface Quote {
  /** TPMS_ATTEST exactly as the TPM signed it. */
  readonly attest: Buffer;
  /** TPMT_SIGNATURE. */
  readonly signature: Buffer;
}

/** Who this TPM is. Public areas are TPMT_PUBLIC without the outer size. */
export interface TpmIdentity {
  readonly ekPublic: Buffer;
  /** DER, from NV; absent where the TPM has none that matches its key. */
  readonly ekCertificate?: Buffer;
  /** DER, from NV: authorities between the certificate and its root; absent where the vendor left none. */
  readonly ekChain?: readonly Buffer[];
  readonly akPublic: Buffer;
  /** UINT16 nameAlg ‖ digest. */
  readonly akName: Buffer;
  /** alg ‖ H(4000000B ‖ akName): what a quote names as its signer. */
  readonly akQualifiedName: Buffer;
  readonly manufacturer: string;
  readonly firmwareVersion: bigint;
  /** The TPM records its clock at least this often, in ms (TPM_PT_CLOCK_UPDATE, Part 2, 6.13): what a power cut can take back. */
  readonly clockUpdateMs: number;
}

/** Errors of every method: TpmError (code TPM_…). Methods are queued in call order and run one at a time. */
export interface Tpm extends AsyncDisposable {
  /** Also the barrier: when it answers, every command sent before it, by whichever process, has run or never will. */
  readClock(): Promise<TpmClock>;
  /** Values in the order of `selection.pcrs`. */
  readPcrs(selection: PcrSelection): Promise<Buffer[]>;
  /** Extends the SHA-256 bank (and no other) of `pcr` with `digest`. */
  extendPcr(pcr: number, digest: Uint8Array): Promise<void>;
  /** Quotes with the AK; `qualifyingData` is 32 bytes. */
  quote(qualifyingData: Uint8Array, selection: PcrSelection): Promise<Quote>;
  identity(): Promise<TpmIdentity>;
  /** 32 bytes that stay the same until TPM2_Clear and never come back after it. No secret. */
  life(): Promise<Buffer>;
  /** TPM2_ActivateCredential with the EK; `credentialBlob` is TPM2B_ID_OBJECT, `secret` TPM2B_ENCRYPTED_SECRET, both with size. */
  activateCredential(credentialBlob: Uint8Array, secret: Uint8Array): Promise<Buffer>;
}
