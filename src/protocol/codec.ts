// Each message to bytes and back; the bytes are described in touchstone.cddl.
import { decodeMessage, encodeMessage } from '../evidence/message.ts';
import type { MessageForm } from '../evidence/message.ts';
import {
  certificateMessageShape,
  enrolCredentialShape,
  enrolOutcomeShape,
  enrolProofShape,
  enrolRequestShape,
  evidenceShape,
  logPartShape,
  statusHintShape,
} from './messages.ts';
import type {
  CertificateMessage,
  EnrolCredential,
  EnrolOutcome,
  EnrolProof,
  EnrolRequest,
  EvidenceMessage,
  LogPartMessage,
  StatusHint,
} from './messages.ts';
import { quickEvidence } from './quick-messages.ts';

const EVIDENCE: MessageForm<EvidenceMessage> = { name: 'evidence', shape: evidenceShape, quick: quickEvidence };
const LOG_PART: MessageForm<LogPartMessage> = { name: 'logPart', shape: logPartShape };
const ENROL_REQUEST: MessageForm<EnrolRequest> = { name: 'enrolRequest', shape: enrolRequestShape };
const ENROL_CREDENTIAL: MessageForm<EnrolCredential> = { name: 'enrolCredential', shape: enrolCredentialShape };
const ENROL_PROOF: MessageForm<EnrolProof> = { name: 'enrolProof', shape: enrolProofShape };
const ENROL_OUTCOME: MessageForm<EnrolOutcome> = { name: 'enrolOutcome', shape: enrolOutcomeShape };
const CERTIFICATE: MessageForm<CertificateMessage> = { name: 'certificate', shape: certificateMessageShape };
const STATUS_HINT: MessageForm<StatusHint> = { name: 'statusHint', shape: statusHintShape };

// Every decode: errors are WireError, whatever the bytes are. Every encode: a value outside its shape is a TypeError.

export function encodeEvidence(message: EvidenceMessage): Buffer {
  return encodeMessage(EVIDENCE, message);
}

/** The parts may share memory with `bytes`. */
export function decodeEvidence(bytes: Uint8Array): EvidenceMessage {
  return decodeMessage(EVIDENCE, bytes);
}

export function encodeLogPart(message: LogPartMessage): Buffer {
  return encodeMessage(LOG_PART, message);
}

export function decodeLogPart(bytes: Uint8Array): LogPartMessage {
  return decodeMessage(LOG_PART, bytes);
}

export function encodeEnrolRequest(message: EnrolRequest): Buffer {
  return encodeMessage(ENROL_REQUEST, message);
}

export function decodeEnrolRequest(bytes: Uint8Array): EnrolRequest {
  return decodeMessage(ENROL_REQUEST, bytes);
}

export function encodeEnrolCredential(message: EnrolCredential): Buffer {
  return encodeMessage(ENROL_CREDENTIAL, message);
}

export function decodeEnrolCredential(bytes: Uint8Array): EnrolCredential {
  return decodeMessage(ENROL_CREDENTIAL, bytes);
}

export function encodeEnrolProof(message: EnrolProof): Buffer {
  return encodeMessage(ENROL_PROOF, message);
}

export function decodeEnrolProof(bytes: Uint8Array): EnrolProof {
  return decodeMessage(ENROL_PROOF, bytes);
}

export function encodeEnrolOutcome(message: EnrolOutcome): Buffer {
  return encodeMessage(ENROL_OUTCOME, message);
}

export function decodeEnrolOutcome(bytes: Uint8Array): EnrolOutcome {
  return decodeMessage(ENROL_OUTCOME, bytes);
}

export function encodeCertificateMessage(message: CertificateMessage): Buffer {
  return encodeMessage(CERTIFICATE, message);
}

export function decodeCertificateMessage(bytes: Uint8Array): CertificateMessage {
  return decodeMessage(CERTIFICATE, bytes);
}

export function encodeStatusHint(message: StatusHint): Buffer {
  return encodeMessage(STATUS_HINT, message);
}

export function decodeStatusHint(bytes: Uint8Array): StatusHint {
  return decodeMessage(STATUS_HINT, bytes);
}
