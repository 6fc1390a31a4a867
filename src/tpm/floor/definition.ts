// The version floors as NV indices: where they are, who may write them, and the Names that follow from that. No device is in it.
import type { KeyObject } from 'node:crypto';
import { TPM_ALG, TPMA_NV } from '../wire/constants.ts';
import { nvName, objectName } from '../wire/names.ts';
import type { TpmsNvPublic } from '../wire/nv.ts';
import { PolicyDigest } from '../wire/policy-digest.ts';
import type { TpmtPublic } from '../wire/public.ts';
import { signingKeyPublic } from '../wire/signing-key.ts';

/** Slots that have a floor, each a UINT64 at offset 8 × slot. */
export const FLOOR_SLOTS = 8;
const FLOOR_BYTES = 8;

/** In the range that the TCG registry leaves to the owner. */
const FLOOR_INDEX = 0x01820a54;
const GENERATION_INDEX = 0x01820a55;

/** floor: raises by at most maxStep a token. root: writes the floors of one device anew, and raises without that limit. */
export type AuthorityRole = 'floor' | 'root';

/** What a signature by an authority is for: no other signature of the same key approves a policy of the floors. */
const POLICY_REFS: Readonly<Record<AuthorityRole, Buffer>> = {
  floor: Buffer.from('touchstone/floor/1', 'latin1'),
  root: Buffer.from('touchstone/floor-recovery/1', 'latin1'),
};

export interface FloorAuthority {
  readonly role: AuthorityRole;
  readonly key: KeyObject;
  readonly publicArea: TpmtPublic;
  readonly name: Buffer;
  readonly policyRef: Buffer;
  /** PolicyAuthorize of this key: one branch of the index's policy. */
  readonly branch: PolicyDigest;
}

/** An index in both states: being written is part of its Name. */
export interface IndexNames {
  readonly handle: number;
  /** As it is defined. */
  readonly publicArea: TpmsNvPublic;
  readonly unwritten: Buffer;
  readonly written: Buffer;
}

export interface FloorDefinition {
  /** The floor's authority first. */
  readonly authorities: readonly FloorAuthority[];
  /** Ordinary index of 64 bytes that only a policy writes. */
  readonly floors: IndexNames;
  /** Counter that makes the token of a first write good once. */
  readonly generation: IndexNames;
}

function indexNames(publicArea: TpmsNvPublic): IndexNames {
  const written = { ...publicArea, attributes: (publicArea.attributes | TPMA_NV.written) >>> 0 };
  return { handle: publicArea.nvIndex, publicArea, unwritten: nvName(publicArea), written: nvName(written) };
}

function authority(role: AuthorityRole, key: KeyObject): FloorAuthority {
  const publicArea = signingKeyPublic(key);
  const name = objectName(publicArea);
  const policyRef = POLICY_REFS[role];
  return { role, key, publicArea, name, policyRef, branch: PolicyDigest.authorized(name, policyRef) };
}

/**
 * The floors of a fleet whose floor key and, if it has one for floors, root key are these public keys (P-256). The same on each of its
 * devices, so that a token to raise is signed once for all. Errors: RangeError for other keys, or one key in both roles.
 */
export function defineFloors(keys: { readonly floor: KeyObject; readonly root: KeyObject | null }): FloorDefinition {
  const floor = authority('floor', keys.floor);
  const root = keys.root === null ? null : authority('root', keys.root);
  if (root?.name.equals(floor.name) === true) throw new RangeError('the root and the floor must be different keys');
  const policy = root === null ? floor.branch : PolicyDigest.anyOf([floor.branch, root.branch]);
  const readable = TPMA_NV.ownerRead | TPMA_NV.authRead | TPMA_NV.noDA;
  return {
    authorities: root === null ? [floor] : [floor, root],
    floors: indexNames({
      nvIndex: FLOOR_INDEX,
      nameAlg: TPM_ALG.SHA256,
      attributes: readable | TPMA_NV.policyWrite,
      authPolicy: policy.bytes,
      dataSize: FLOOR_SLOTS * FLOOR_BYTES,
    }),
    generation: indexNames({
      nvIndex: GENERATION_INDEX,
      nameAlg: TPM_ALG.SHA256,
      attributes: readable | TPMA_NV.ownerWrite | TPMA_NV.counter,
      authPolicy: Buffer.alloc(0),
      dataSize: FLOOR_BYTES,
    }),
  };
}

/** Offset of a slot's floor. Errors: RangeError. */
export function floorOffset(slot: number): number {
  if (!Number.isInteger(slot) || slot < 0 || slot >= FLOOR_SLOTS) throw new RangeError(`slot ${slot} has no floor`);
  return slot * FLOOR_BYTES;
}

/** A floor as the TPM keeps and compares it. Errors: RangeError outside UINT64. */
export function floorBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(FLOOR_BYTES);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** All floors of a device. Errors: RangeError unless there are eight. */
export function allFloorBytes(values: readonly bigint[]): Buffer {
  if (values.length !== FLOOR_SLOTS) throw new RangeError(`${values.length} floors, must be ${FLOOR_SLOTS}`);
  return Buffer.concat(values.map((value) => floorBytes(value)));
}

/** Errors: RangeError for another length. */
export function readFloorBytes(bytes: Buffer): bigint[] {
  if (bytes.length !== FLOOR_SLOTS * FLOOR_BYTES) throw new RangeError(`${bytes.length} bytes of floors`);
  return Array.from({ length: FLOOR_SLOTS }, (_, slot) => bytes.readBigUInt64BE(slot * FLOOR_BYTES));
}
