// What each stage of appraisal knows: every stage is given only what the stage before it proved.
import type { LogEvent } from '../cel/events.ts';
import type { Claims } from '../evidence/claims.ts';
import type { Challenge, EvidenceMessage } from '../protocol/messages.ts';
import type { AttestHeader, QuoteInfo, SignatureAnswer, TpmSignature } from './attest.ts';
import type { Findings } from './findings.ts';
import type { CertificateRead } from './floor-certificate.ts';
import type { LogRecord } from './log-reader.ts';
import type { MeasuredSlot } from './slot-judgement.ts';
import type { AppraisalInput, LogState } from './types.ts';

/** Nothing is proved yet: a message, and the challenge that it brings back. */
export interface Asked {
  readonly input: AppraisalInput;
  readonly message: EvidenceMessage;
  readonly challenge: Challenge;
}

/** The challenge is ours, open and fresh; what the endorsed key says of the signature is yet to be asked. */
export interface Unproved extends Asked {
  readonly signature: TpmSignature;
}

/** The endorsed key was asked. */
export interface Signed extends Unproved {
  readonly answer: SignatureAnswer;
}

/** The bytes of the attestation come from the endorsed key; what they are is still open. */
export interface Quoted extends Signed {
  readonly header: AttestHeader;
  readonly log: Uint8Array;
}

/** A quote by the endorsed TPM over this challenge, these claims and this log. Made only by appraise(). */
export interface VerifiedQuote extends AttestHeader {
  readonly verified: 'quote';
}

/** Everything is authentic; whether the log accounts for the PCRs is open. */
export interface Explained extends Asked {
  readonly quote: VerifiedQuote;
  readonly info: QuoteInfo;
  readonly claims: Claims;
  readonly records: readonly LogRecord[];
  readonly events: readonly LogEvent[];
  /** Log state that the first record follows; null when it follows zero PCRs. */
  readonly base: LogState | null;
  /** SHA-256 of each record's content, and the event PCR after the last record, computed here; latin1. */
  readonly contentDigests: readonly string[];
  readonly replayed: string;
}

/** The log accounts for the quoted PCRs: what it tells may be judged. */
export interface Expected {
  readonly input: AppraisalInput;
  /** The challenge as it was sent, MAC included. */
  readonly sealed: Uint8Array;
  readonly quote: VerifiedQuote;
  readonly claims: Claims;
  readonly state: LogState;
  /** What the claims bring as the TPM's word on its version floors; unproved until its checks. */
  readonly floors: CertificateRead;
  /** The profile's slots that the log measured. */
  readonly measured: readonly MeasuredSlot[];
  /** A boot PCR as quoted; undefined when it was not asked for. */
  readonly bootPcr: (pcr: number) => Uint8Array | undefined;
}

/** One named judgement. It adds what it finds and changes nothing else. */
export interface Check<Context> {
  readonly name: string;
  readonly run: (context: Context, findings: Findings) => void;
}
