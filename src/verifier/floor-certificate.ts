// What the TPM says of its version floors, taken apart: whether it may be believed is for the checks of checks/floor-certificate.ts.
import { Reader, sized } from '../bytes/wire.ts';
import { WireError } from '../errors.ts';
import type { FloorCertificateClaim } from '../evidence/claims.ts';
import { readAttestHeader, readSignature } from './attest.ts';
import type { AttestHeader, TpmSignature } from './attest.ts';

/** Eight floors of 8 bytes, big-endian: the whole index. */
export const FLOORS_BYTES = 64;
const FLOOR_BYTES = 8;

/** TPMS_ATTEST with TPMS_NV_CERTIFY_INFO (Part 2, 10.12.8), and who signed it. */
export interface FloorCertificate {
  readonly attest: Uint8Array;
  readonly signature: TpmSignature;
  readonly header: AttestHeader;
  readonly indexName: Buffer;
  readonly offset: number;
  readonly contents: Buffer;
}

/** absent: none came with the evidence. */
export type CertificateRead =
  | { readonly state: 'read'; readonly certificate: FloorCertificate }
  | { readonly state: 'malformed'; readonly why: string }
  | { readonly state: 'absent' };

function read({ attest, signature }: FloorCertificateClaim): FloorCertificate {
  const header = readAttestHeader(attest);
  const from = new Reader(header.attested, 'floorCertificate.attested');
  const indexName = sized(66).read(from);
  const offset = from.uint(2);
  const contents = sized(2048).read(from);
  from.end();
  return { attest, signature: readSignature(signature), header, indexName, offset, contents };
}

/** Bytes that are none are a value: the evidence that they came with is accepted, and found wanting. */
export function readFloorCertificate(claim: FloorCertificateClaim | undefined): CertificateRead {
  if (claim === undefined) return { state: 'absent' };
  try {
    return { state: 'read', certificate: read(claim) };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { state: 'malformed', why: error.message };
  }
}

/** The floor with this number as claims can hold it (no security version is above 2^53 − 1); null where the bytes end before it. */
export function certifiedFloor({ contents }: FloorCertificate, number: number): number | null {
  const at = number * FLOOR_BYTES;
  if (at + FLOOR_BYTES > contents.length) return null;
  const floor = contents.readBigUInt64BE(at);
  return floor > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(floor);
}
