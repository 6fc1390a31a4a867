// Floor tokens: what an authority signs, without a TPM, to let a TPM write its version floors. The policies are facts, not opinions.
import { sign, verify, type KeyObject } from 'node:crypto';
import { TPM_EO } from '../wire/constants.ts';
import { approvalMessage, nvWriteCpHash, PolicyDigest } from '../wire/policy-digest.ts';
import {
  allFloorBytes,
  floorBytes,
  floorOffset,
  type AuthorityRole,
  type FloorAuthority,
  type FloorDefinition,
} from './definition.ts';

/** Lets any device of the fleet raise the floor of `slot` to `to`, from at most `maxStep` below. */
export interface RaiseOrder {
  readonly kind: 'raise';
  readonly slot: number;
  /** UINT64. */
  readonly to: bigint;
  /** UINT64, at least 1. */
  readonly maxStep: bigint;
}

/** Lets one device write all its floors once: at provisioning, or at what they were when its index was lost. */
export interface FirstWriteOrder {
  readonly kind: 'first-write';
  readonly values: readonly bigint[];
  /** Value of the device's generation counter; writing once moves it on for ever. */
  readonly generation: bigint;
  /** Name of the device's AK, which only its TPM can answer for: counters of two devices may be equal. */
  readonly akName: Buffer;
}

export type FloorOrder = RaiseOrder | FirstWriteOrder;

export type FloorToken<Order extends FloorOrder = FloorOrder> = Order & {
  readonly by: AuthorityRole;
  /** ECDSA with SHA-256 over approvedPolicy ‖ policyRef: r ‖ s, 64 bytes. */
  readonly signature: Buffer;
};

/** One write of the floors index, which the token allows. */
export interface FloorWrite {
  readonly data: Buffer;
  readonly offset: number;
}

/** A condition on one of the two indices; `operation` is a TPM_EO. */
export interface FloorCondition {
  readonly index: 'floors' | 'generation';
  readonly operand: Buffer;
  readonly operation: number;
  readonly offset: number;
}

/** Lowest floor from which a raise may start: below zero there is nothing. */
export function lowestBefore({ to, maxStep }: Pick<RaiseOrder, 'to' | 'maxStep'>): bigint {
  if (maxStep < 1n) throw new RangeError('a step is at least 1');
  return to > maxStep ? to - maxStep : 0n;
}

/** What the index must say at the moment of a raise. The attack that each stops: a lower version; a jump out of reach. */
export function raiseConditions(order: RaiseOrder): FloorCondition[] {
  const offset = floorOffset(order.slot);
  const index = 'floors' as const;
  return [
    { index, offset, operand: floorBytes(order.to), operation: TPM_EO.UNSIGNED_LT },
    { index, offset, operand: floorBytes(lowestBefore(order)), operation: TPM_EO.UNSIGNED_GE },
  ];
}

/** A first write is good while the counter has not moved: every replay after it, also on indices made anew, meets a higher one. */
export function firstWriteConditions(order: FirstWriteOrder): FloorCondition[] {
  const operand = floorBytes(order.generation);
  return [{ index: 'generation', offset: 0, operand, operation: TPM_EO.EQ }];
}

export function floorWrite(order: FloorOrder): FloorWrite {
  return order.kind === 'raise'
    ? { data: floorBytes(order.to), offset: floorOffset(order.slot) }
    : { data: allFloorBytes(order.values), offset: 0 };
}

/** cpHash of the one NV_Write: the index authorises itself, and its Name says whether it was written before. */
export function floorWriteCpHash(definition: FloorDefinition, order: FloorOrder): Buffer {
  const index = order.kind === 'raise' ? definition.floors.written : definition.floors.unwritten;
  return nvWriteCpHash(floorWrite(order), { auth: index, index });
}

/** The policy that the authority approves: exactly the commands that `writeFloors` sends, in their order. */
export function approvedPolicy(definition: FloorDefinition, order: FloorOrder): Buffer {
  let policy = new PolicyDigest();
  if (order.kind === 'first-write') policy = policy.nvWritten(false);
  const conditions = order.kind === 'raise' ? raiseConditions(order) : firstWriteConditions(order);
  for (const { index, ...condition } of conditions) {
    policy = policy.nv({ indexName: definition[index].written, ...condition });
  }
  if (order.kind === 'first-write') policy = policy.secret(order.akName);
  return policy.cpHash(floorWriteCpHash(definition, order)).bytes;
}

/** The authority of a role. Errors: RangeError when the fleet has none. */
export function authorityOf(definition: FloorDefinition, role: AuthorityRole): FloorAuthority {
  const found = definition.authorities.find((authority) => authority.role === role);
  if (found === undefined) throw new RangeError(`these floors have no authority ${role}`);
  return found;
}

/** Signs a token; needs no TPM. `privateKey` must be the authority's. Errors: RangeError for values that are no floors. */
export function floorToken<Order extends FloorOrder>(
  definition: FloorDefinition,
  order: Order,
  signer: { readonly by: AuthorityRole; readonly privateKey: KeyObject },
): FloorToken<Order> {
  const { policyRef } = authorityOf(definition, signer.by);
  const message = approvalMessage(approvedPolicy(definition, order), policyRef);
  const signature = sign('sha256', message, { key: signer.privateKey, dsaEncoding: 'ieee-p1363' });
  return { ...order, by: signer.by, signature };
}

/** Whether the authority it names signed this token for these floors: what the TPM will ask too, known before it is asked. */
export function isSigned(definition: FloorDefinition, token: FloorToken): boolean {
  const authority = definition.authorities.find(({ role }) => role === token.by);
  if (authority === undefined || token.signature.length !== 64) return false;
  const message = approvalMessage(approvedPolicy(definition, token), authority.policyRef);
  return verify('sha256', message, { key: authority.key, dsaEncoding: 'ieee-p1363' }, token.signature);
}
