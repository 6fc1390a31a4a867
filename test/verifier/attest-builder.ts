// Attestations of a TPM field by field, and the software key that signs them as an attestation key would.
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const akPrivate: KeyObject = privateKey;
export const akPublic: KeyObject = publicKey;

/** What every TPMS_ATTEST begins with. */
export interface HeadFields {
  magic: number;
  type: number;
  qualifiedSigner: Uint8Array;
  extraData: Uint8Array;
  clock: bigint;
  resetCount: number;
  restartCount: number;
  safe: number;
}

/** Of an NV index: a certificate of the version floors. */
export interface NvFields extends HeadFields {
  indexName: Uint8Array;
  offset: number;
  contents: Uint8Array;
}

export interface AttestFields extends HeadFields {
  banks: { alg: number; pcrs: readonly number[] }[];
  pcrDigest: Uint8Array;
}

const sized = (bytes: Uint8Array): Buffer => {
  const size = Buffer.alloc(2);
  size.writeUInt16BE(bytes.length);
  return Buffer.concat([size, bytes]);
};

function encodeHead(fields: HeadFields): Buffer {
  const start = Buffer.alloc(6);
  start.writeUInt32BE(fields.magic, 0);
  start.writeUInt16BE(fields.type, 4);
  const clock = Buffer.alloc(25);
  clock.writeBigUInt64BE(fields.clock, 0);
  clock.writeUInt32BE(fields.resetCount, 8);
  clock.writeUInt32BE(fields.restartCount, 12);
  clock[16] = fields.safe;
  return Buffer.concat([start, sized(fields.qualifiedSigner), sized(fields.extraData), clock]);
}

export function encodeNvAttest(fields: NvFields): Buffer {
  const offset = Buffer.alloc(2);
  offset.writeUInt16BE(fields.offset);
  return Buffer.concat([encodeHead(fields), sized(fields.indexName), offset, sized(fields.contents)]);
}

export function encodeAttest(fields: AttestFields): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(fields.banks.length);
  const banks = fields.banks.map(({ alg, pcrs }) => {
    const select = Buffer.from([alg >> 8, alg & 255, 3, 0, 0, 0]);
    for (const pcr of pcrs) select[3 + (pcr >> 3)] = (select[3 + (pcr >> 3)] ?? 0) | (1 << (pcr & 7));
    return select;
  });
  return Buffer.concat([encodeHead(fields), count, ...banks, sized(fields.pcrDigest)]);
}

/** TPMT_SIGNATURE with scheme ECDSA and the hash `alg`. */
export function signAttest(attest: Uint8Array, key: KeyObject = akPrivate, alg = 0x000b, digest = 'sha256'): Buffer {
  const rs = sign(digest, attest, { key, dsaEncoding: 'ieee-p1363' });
  const half = rs.length / 2;
  return Buffer.concat([
    Buffer.from([0x00, 0x18, alg >> 8, alg & 255]),
    sized(rs.subarray(0, half)),
    sized(rs.subarray(half)),
  ]);
}
