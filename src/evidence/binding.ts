// What ties a quote to everything it is sent with: the 32 bytes of qualifying data.
import { sha256, sha256Binary, SHA256_BYTES } from '../crypto/digest.ts';

/** A log part as it is bound: its bytes, or their digest where they were sent before in parts. */
export type BoundLog = Uint8Array | { readonly digest: Uint8Array };

const DIGEST_HEAD = [0x58, 0x20] as const;

/** CBOR array of text `label`, of less than 24 characters, and `count` digests, which `fill` puts there each time. */
function template(label: string, count: number): Buffer {
  const digest = Buffer.concat([Buffer.from(DIGEST_HEAD), Buffer.alloc(SHA256_BYTES)]);
  const head = Buffer.from([0x80 + count + 1, 0x60 + label.length]);
  return Buffer.concat([head, Buffer.from(label), ...Array.from({ length: count }, () => digest)]);
}

const EVIDENCE = template('touchstone/evidence/1', 3);
const ENROL = template('touchstone/enrol/1', 1);
const FLOORS = template('touchstone/floors/1', 1);

/** SHA-256 of `frame` with these digests (binary) put into its last places, all of them. */
function fill(frame: Buffer, digests: readonly string[]): Buffer {
  const step = DIGEST_HEAD.length + SHA256_BYTES;
  for (const [i, digest] of digests.entries()) {
    frame.write(digest, frame.length - (digests.length - i) * step + DIGEST_HEAD.length, 'latin1');
  }
  return sha256(frame);
}

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/**
 * SHA-256(CBOR["touchstone/evidence/1", H(challenge), H(claims), H(log part)]), H = SHA-256 of the exact bytes as sent
 * (challenge with its MAC; log = the array of records, empty array included).
 */
export function qualifyingData(challenge: Uint8Array, claims: Uint8Array, log: BoundLog): Buffer {
  const logDigest = log instanceof Uint8Array ? sha256Binary(log) : binary(log.digest);
  return fill(EVIDENCE, [sha256Binary(challenge), sha256Binary(claims), logDigest]);
}

/** SHA-256(CBOR["touchstone/enrol/1", H(request)]): qualifying data of the quote that goes with an enrolment proof. */
export function enrolQualifyingData(requestDigest: Uint8Array): Buffer {
  return fill(ENROL, [binary(requestDigest)]);
}

/** SHA-256(CBOR["touchstone/floors/1", H(challenge)]), challenge with its MAC: qualifying data of the floors' certificate. */
export function floorQualifyingData(challenge: Uint8Array): Buffer {
  return fill(FLOORS, [sha256Binary(challenge)]);
}
