// How a new device becomes known: request, credential, proof, outcome. Each message may be lost, repeated or come after a restart.
import type { KeyObject } from 'node:crypto';
import { createSecretKey } from 'node:crypto';
import { TouchstoneError, WireError } from '../errors.ts';
import { hmacSha256, sha256 } from '../crypto/digest.ts';
import { enrolQualifyingData } from '../evidence/binding.ts';
import { decodeEnrolCredential, decodeEnrolOutcome, encodeEnrolProof } from '../protocol/codec.ts';
import type { EnrolCredential, EnrolOutcome } from '../protocol/messages.ts';
import type { PcrSelection, Tpm } from '../tpm/port.ts';

/** What enrolment stands at; `rejected` is final until the operator retires the record. */
export type EnrolState =
  | { readonly at: 'asking' }
  | { readonly at: 'proving' }
  | { readonly at: 'pending'; readonly reason: string }
  | { readonly at: 'rejected'; readonly reason: string }
  | { readonly at: 'approved'; readonly endorsement: string; readonly certificate: string };

/** A message on the device's enrol topic; null for what is neither. */
export function readEnrolMessage(
  bytes: Uint8Array,
): { readonly credential: EnrolCredential } | { readonly outcome: EnrolOutcome } | null {
  for (const read of [
    (): { credential: EnrolCredential } => ({ credential: decodeEnrolCredential(bytes) }),
    (): { outcome: EnrolOutcome } => ({ outcome: decodeEnrolOutcome(bytes) }),
  ]) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }
  return null;
}

/** The credential's secret; null when the TPM refuses it: anyone can write to a device that has no certificate yet. */
async function opened(tpm: Pick<Tpm, 'activateCredential'>, credential: EnrolCredential): Promise<Buffer | null> {
  try {
    return await tpm.activateCredential(credential.credentialBlob, credential.secret);
  } catch (error) {
    if (error instanceof TouchstoneError && error.code === 'TPM_RESPONSE') return null;
    throw error;
  }
}

export interface EnrolmentParts {
  readonly tpm: Pick<Tpm, 'activateCredential' | 'quote'>;
  readonly selection: PcrSelection;
  /** Exact bytes of the EnrolRequest: kept over restarts, because the controller knows the device by their digest. */
  readonly request: Buffer;
  /**
   * True for an endorsement that a result key of the root signed for this device: a broker can't end enrolment with a paper of its own.
   */
  readonly isOurs: (endorsement: string, certificate: string) => boolean;
  send(message: Buffer): Promise<void>;
}

/** Drives one enrolment. Not concurrent: call `start` and `receive` one after another. */
export class Enrolment {
  readonly #parts: EnrolmentParts;
  readonly #digest: Buffer;
  #state: EnrolState = { at: 'asking' };

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
    this.#digest = sha256(parts.request);
  }

  get state(): EnrolState {
    return this.#state;
  }

  /** Sends the request; again after every connect, because nothing says what was lost. */
  async start(): Promise<void> {
    await this.#parts.send(this.#parts.request);
  }

  /**
   * Takes one message. What is not for this request, not readable or refused by the TPM leaves the state as it is: only the
   * controller that read the request can make a credential the TPM opens. Errors: TpmError other than a refusal.
   */
  async receive(bytes: Uint8Array): Promise<EnrolState> {
    const message = readEnrolMessage(bytes);
    if (message === null) return this.#state;
    if ('credential' in message) {
      if (this.#digest.equals(message.credential.request)) await this.#prove(message.credential);
    } else if (this.#digest.equals(message.outcome.request)) {
      this.#settle(message.outcome);
    }
    return this.#state;
  }

  async #prove(credential: EnrolCredential): Promise<void> {
    const { tpm, selection } = this.#parts;
    const secret = await opened(tpm, credential);
    if (secret === null) return;
    const key: KeyObject = createSecretKey(secret);
    const quote = await tpm.quote(enrolQualifyingData(this.#digest), selection);
    const proof = hmacSha256(key, this.#digest);
    await this.#parts.send(encodeEnrolProof({ v: 1, request: this.#digest, proof, ...quote }));
    if (this.#state.at === 'asking') this.#state = { at: 'proving' };
  }

  #settle(outcome: EnrolOutcome): void {
    const { endorsement, certificate, reason } = outcome;
    if (outcome.outcome === 'approved') {
      if (endorsement === null || certificate === null || !this.#parts.isOurs(endorsement, certificate)) return;
      this.#state = { at: 'approved', endorsement, certificate };
    } else {
      // Unsigned, so only a hint: an approval that follows is still taken.
      this.#state = { at: outcome.outcome, reason };
    }
  }
}
