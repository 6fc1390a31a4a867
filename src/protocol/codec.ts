// Each message to bytes and back; the bytes are described in touchstone.cddl.
import { quickly } from '../bytes/quick-cbor.ts';
import { decodeMessage, encodeMessage } from '../evidence/message.ts';
import {
  enrolCredentialShape,
  enrolOutcomeShape,
  enrolProofShape,
  enrolRequestShape,
  evidenceShape,
  logPartShape,
  statusHintShape,
} from './messages.ts';
import type {
  EnrolCredential,
  EnrolOutcome,
  EnrolProof,
  EnrolRequest,
  EvidenceMessage,
  LogPartMessage,
  StatusHint,
} from './messages.ts';
import { quickEvidence } from './quick-messages.ts';

// Every decode: errors are WireError, whatever the bytes are. Every encode: a value outside its shape is a TypeError.

export function encodeEvidence(message: EvidenceMessage): Buffer {
  return encodeMessage(evidenceShape, message, 'evidence');
}

/** The parts may share memory with `bytes`. */
export function decodeEvidence(bytes: Uint8Array): EvidenceMessage {
  return quickly(bytes, quickEvidence) ?? decodeMessage(evidenceShape, bytes, 'evidence');
}

export function encodeLogPart(message: LogPartMessage): Buffer {
  return encodeMessage(logPartShape, message, 'logPart');
}

export function decodeLogPart(bytes: Uint8Array): LogPartMessage {
  return decodeMessage(logPartShape, bytes, 'logPart');
}

export function encodeEnrolRequest(message: EnrolRequest): Buffer {
  return encodeMessage(enrolRequestShape, message, 'enrolRequest');
}

export function decodeEnrolRequest(bytes: Uint8Array): EnrolRequest {
  return decodeMessage(enrolRequestShape, bytes, 'enrolRequest');
}

export function encodeEnrolCredential(message: EnrolCredential): Buffer {
  return encodeMessage(enrolCredentialShape, message, 'enrolCredential');
}

export function decodeEnrolCredential(bytes: Uint8Array): EnrolCredential {
  return decodeMessage(enrolCredentialShape, bytes, 'enrolCredential');
}

export function encodeEnrolProof(message: EnrolProof): Buffer {
  return encodeMessage(enrolProofShape, message, 'enrolProof');
}

export function decodeEnrolProof(bytes: Uint8Array): EnrolProof {
  return decodeMessage(enrolProofShape, bytes, 'enrolProof');
}

export function encodeEnrolOutcome(message: EnrolOutcome): Buffer {
  return encodeMessage(enrolOutcomeShape, message, 'enrolOutcome');
}

export function decodeEnrolOutcome(bytes: Uint8Array): EnrolOutcome {
  return decodeMessage(enrolOutcomeShape, bytes, 'enrolOutcome');
}

export function encodeStatusHint(message: StatusHint): Buffer {
  return encodeMessage(statusHintShape, message, 'statusHint');
}

export function decodeStatusHint(bytes: Uint8Array): StatusHint {
  return decodeMessage(statusHintShape, bytes, 'statusHint');
}
