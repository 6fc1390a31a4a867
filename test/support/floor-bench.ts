// What tests of the version floors stand on: keys, a device with floors, and approvals of any policy, also of ones nobody should sign.
import { sign, type KeyObject } from 'node:crypto';
import { sha256 } from '../../src/crypto/digest.ts';
import { generateKey } from '../../src/crypto/ecdsa.ts';
import { nvReadPublic, nvUndefine, nvWrite } from '../../src/tpm/commands/nv.ts';
import { flushContext, loadExternal, type LoadedObject } from '../../src/tpm/commands/objects.ts';
import {
  policyAuthorize,
  policyCpHash,
  policyNv,
  policyNvWritten,
  policyOr,
  policySecret,
} from '../../src/tpm/commands/policy.ts';
import { verifySignature } from '../../src/tpm/commands/signing.ts';
import { openDeviceTpm, type DeviceTpm } from '../../src/tpm/device-tpm.ts';
import { defineFloors, type AuthorityRole, type FloorDefinition } from '../../src/tpm/floor/definition.ts';
import { VersionFloors } from '../../src/tpm/floor/floors.ts';
import type { FirstWriteToken } from '../../src/tpm/floor/provision.ts';
import type { RaiseToken } from '../../src/tpm/floor/raise.ts';
import type { FloorState } from '../../src/tpm/floor/state.ts';
import {
  authorityOf,
  floorToken,
  type FloorCondition,
  type FloorOrder,
  type FloorToken,
  type FloorWrite,
} from '../../src/tpm/floor/token.ts';
import { writeFloors } from '../../src/tpm/floor/write.ts';
import type { CommandQueue } from '../../src/tpm/queue.ts';
import { startSession } from '../../src/tpm/sessions/start.ts';
import { openSocketTransport } from '../../src/tpm/transport/socket.ts';
import type { TpmTransport } from '../../src/tpm/transport/transport.ts';
import { approvalMessage, nvWriteCpHash, PolicyDigest } from '../../src/tpm/wire/policy-digest.ts';
import { tpmSignature } from '../../src/tpm/wire/signing-key.ts';
import type { SoftwareTpm } from './software-tpm.ts';
import { tapped, type TappedTransport } from './tapped-transport.ts';
import { loadedHandles } from './tpm-bench.ts';

export const floorKey: ReturnType<typeof generateKey> = generateKey('p256');
export const rootKey: ReturnType<typeof generateKey> = generateKey('p256');
export const fleet: FloorDefinition = defineFloors({ floor: floorKey.publicKey, root: rootKey.publicKey });
export const ZEROS: readonly bigint[] = Array.from({ length: 8 }, () => 0n);

const PRIVATE: Readonly<Record<AuthorityRole, KeyObject>> = { floor: floorKey.privateKey, root: rootKey.privateKey };

export function signed<Order extends FloorOrder>(
  order: Order,
  by: AuthorityRole = 'floor',
): ReturnType<typeof floorToken<Order>> {
  return floorToken(fleet, order, { by, privateKey: PRIVATE[by] });
}

export function raiseTo(to: bigint, options: { slot?: number; maxStep?: bigint; by?: AuthorityRole } = {}): RaiseToken {
  const { slot = 0, maxStep = 16n, by } = options;
  return signed({ kind: 'raise', slot, to, maxStep }, by);
}

/** Forgets both indices, as the owner of the TPM can. */
export async function undefineFloors(tpm: CommandQueue, which: readonly ('floors' | 'generation')[]): Promise<void> {
  for (const of of which) {
    const index = await nvReadPublic(tpm, fleet[of].handle).catch(() => null);
    if (index !== null) await nvUndefine(tpm, index);
  }
}

/** Makes both indices anew and writes the floors; gives the token that was burnt by it. */
export async function provision(device: DeviceTpm, values: readonly bigint[] = ZEROS): Promise<FirstWriteToken> {
  await undefineFloors(device.queue, ['floors', 'generation']);
  const floors = new VersionFloors(device, fleet, 16n);
  const token = await firstWriteFor(device, await floors.define(), values);
  const outcome = await floors.writeFirst(token);
  if (!outcome.written) throw new Error(`not provisioned: ${outcome.why.join(', ')} ${outcome.tpm ?? ''}`);
  return token;
}

export async function firstWriteFor(
  device: DeviceTpm,
  { generation }: FloorState,
  values: readonly bigint[] = ZEROS,
): Promise<FirstWriteToken> {
  if (generation === null) throw new Error('the counter does not count');
  const { akName } = await device.identity();
  return signed({ kind: 'first-write', values, generation, akName }, 'root');
}

/** A policy that an authority was made to approve, and the write done under it. Without `cpHash` any write is allowed. */
export interface Approval {
  readonly by: AuthorityRole;
  readonly nvWritten?: boolean;
  readonly conditions: readonly FloorCondition[];
  readonly secret?: Buffer;
  readonly cpHash: boolean;
}

/** Has the policy signed, meets it, and writes. What the product never signs is signed here, to see what its conditions are for. */
export async function writeUnder(
  tpm: CommandQueue,
  approval: Approval,
  write: FloorWrite & { readonly unwritten?: boolean; readonly approved?: FloorWrite; readonly ak?: LoadedObject },
): Promise<void> {
  const authority = authorityOf(fleet, approval.by);
  const name = write.unwritten === true ? fleet.floors.unwritten : fleet.floors.written;
  const cpHash = nvWriteCpHash(write.approved ?? write, { auth: name, index: name });
  let policy = new PolicyDigest();
  if (approval.nvWritten !== undefined) policy = policy.nvWritten(approval.nvWritten);
  for (const { index, ...condition } of approval.conditions) {
    policy = policy.nv({ indexName: fleet[index].written, ...condition });
  }
  if (approval.secret !== undefined) policy = policy.secret(approval.secret);
  if (approval.cpHash) policy = policy.cpHash(cpHash);
  const message = approvalMessage(policy.bytes, authority.policyRef);
  const raw = sign('sha256', message, { key: PRIVATE[approval.by], dsaEncoding: 'ieee-p1363' });
  const key = await loadExternal(tpm, authority.publicArea);
  const ticket = await verifySignature(tpm, key, sha256(message), tpmSignature(raw));
  await flushContext(tpm, key);
  await using session = await startSession(tpm, { kind: 'policy' });
  if (approval.nvWritten !== undefined) await policyNvWritten(tpm, session.handle, approval.nvWritten);
  for (const { index: of, ...condition } of approval.conditions) {
    const index = { handle: fleet[of].handle, name: fleet[of].written };
    await policyNv(tpm, session.handle, { authHandle: index, index, ...condition });
  }
  if (write.ak !== undefined) await policySecret(tpm, session.handle, write.ak);
  if (approval.cpHash) await policyCpHash(tpm, session.handle, cpHash);
  const { name: keyName, policyRef } = authority;
  await policyAuthorize(tpm, session.handle, { approvedPolicy: policy.bytes, policyRef, keyName, ticket });
  const branches = fleet.authorities.map(({ branch }) => branch.bytes);
  await policyOr(tpm, session.handle, branches);
  const index = { handle: fleet.floors.handle, name };
  const { data, offset } = write;
  await nvWrite(tpm, index, data, { authHandle: index, auth: session.use(), offset });
}

/** A device with floors, and somebody on its bus. */
export class FloorRig implements AsyncDisposable {
  readonly inner: TpmTransport;
  readonly tap: TappedTransport;
  readonly device: DeviceTpm;
  readonly floors: VersionFloors;

  private constructor(inner: TpmTransport, tap: TappedTransport, device: DeviceTpm) {
    this.inner = inner;
    this.tap = tap;
    this.device = device;
    this.floors = new VersionFloors(device, fleet, 16n);
  }

  static async open(software: SoftwareTpm): Promise<FloorRig> {
    const inner = await openSocketTransport({ path: software.socketPath });
    const tap = tapped(inner);
    return new FloorRig(inner, tap, await openDeviceTpm({ transport: tap }));
  }

  /** The floors; an Error when there are none. */
  async values(): Promise<readonly bigint[]> {
    const state = await this.floors.read();
    if (state.state !== 'set') throw new Error(`floors are ${state.state}`);
    return state.values;
  }

  /** Asks the TPM itself, without the checks of this product before it. */
  async ask(token: FloorToken): Promise<void> {
    await this.device.withParts(async ({ queue, ak }) => writeFloors(queue, fleet, token, ak));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Where the connection was broken on purpose nothing can be asked.
    const leaked = await loadedHandles(this.device.queue).catch(() => []);
    await this.device[Symbol.asyncDispose]();
    if (leaked.length > 0) throw new Error('something was left in the TPM');
  }
}

/** Eight floors, all 0 but one. */
export function onlySlot(slot: number, value: bigint): bigint[] {
  return ZEROS.map((zero, at) => (at === slot ? value : zero));
}
