// What ties a quote to everything it is sent with: the 32 bytes of qualifying data.
import { sha256 } from '../crypto/digest.ts';

/** A log part as it is bound: its bytes, or their digest where they were sent before in parts. */
export type BoundLog = Uint8Array | { readonly digest: Uint8Array };

const digestHead = Buffer.from([0x58, 0x20]);

/** CBOR array head of `count + 1` items ‖ text `label`: the constant start of what is hashed. */
function prefix(label: string, count: number): Buffer {
  if (label.length >= 24) throw new RangeError(`the label ${label} needs a longer CBOR head`);
  return Buffer.concat([Buffer.from([0x80 + count + 1, 0x60 + label.length]), Buffer.from(label)]);
}

const evidencePrefix = prefix('touchstone/evidence/1', 3);
const enrolPrefix = prefix('touchstone/enrol/1', 1);

export function logDigest(log: BoundLog): Uint8Array {
  return log instanceof Uint8Array ? sha256(log) : log.digest;
}

/**
 * SHA-256(CBOR["touchstone/evidence/1", H(challenge), H(claims), H(log part)]), H = SHA-256 of the exact bytes as sent
 * (challenge with its MAC; log = the array of records, empty array included).
 */
export function qualifyingData(challenge: Uint8Array, claims: Uint8Array, log: BoundLog): Buffer {
  return sha256(evidencePrefix, digestHead, sha256(challenge), digestHead, sha256(claims), digestHead, logDigest(log));
}

/** SHA-256(CBOR["touchstone/enrol/1", H(request)]): qualifying data of the quote that goes with an enrolment proof. */
export function enrolQualifyingData(requestDigest: Uint8Array): Buffer {
  return sha256(enrolPrefix, digestHead, requestDigest);
}
