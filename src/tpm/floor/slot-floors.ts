// The floors by the names of slots, for who knows neither indices nor tokens: reading fails closed, raising takes only the order meant.
import { WireError } from '../../errors.ts';
import type { VersionFloors } from './floors.ts';
import type { RaiseOutcome, RaiseToken } from './raise.ts';
import { decodeFloorToken } from './token-file.ts';
import type { FloorToken } from './token.ts';

/** Above every floor that there can be: what a slot's floor is when it was deleted, replaced, or not yet written. Nothing passes. */
export const ABOVE_EVERY_FLOOR: bigint = 2n ** 64n;

/** Why an order is none that may be given here. */
type NoOrder = 'no-token' | 'malformed' | 'other-order' | 'key-revoked';

/** What became of an order to raise. no-token: none came. malformed: it is no token. other-order: it is for another slot or version. */
export type SlotRaise = RaiseOutcome | { readonly raised: false; readonly why: readonly [NoOrder] };

export interface SlotFloorsOptions {
  readonly floors: VersionFloors;
  /** Number of each slot that has a floor, 0 to 7. */
  readonly slots: ReadonlyMap<string, number>;
  /** Whether the key of this role was revoked since: the TPM knows nothing of that. */
  readonly isRevoked?: (by: FloorToken['by']) => boolean;
  /** Told of each order: what was refused is to be reported. */
  readonly onRaise?: (slot: string, outcome: SlotRaise) => void;
}

function decoded(bytes: Uint8Array): ReturnType<typeof decodeFloorToken> | null {
  try {
    return decodeFloorToken(bytes);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** Errors of both methods: TpmError of a TPM that is not reached. */
export class SlotFloors {
  readonly #options: SlotFloorsOptions;

  constructor(options: SlotFloorsOptions) {
    this.#options = options;
  }

  /** The floor; null for a slot that has none; ABOVE_EVERY_FLOOR when it should be there and is not. */
  async read(slot: string): Promise<bigint | null> {
    const { floors, slots } = this.#options;
    const number = slots.get(slot);
    if (number === undefined) return null;
    const now = await floors.read();
    return (now.state === 'set' ? now.values[number] : undefined) ?? ABOVE_EVERY_FLOOR;
  }

  /** Asks for exactly this floor. A refusal is no error: `read` tells what became of it, `onRaise` why. */
  async raise(slot: string, securityVersion: number, token: Uint8Array | null): Promise<void> {
    const number = this.#options.slots.get(slot);
    if (number === undefined) return;
    const outcome = await this.#raise(number, BigInt(securityVersion), token);
    this.#options.onRaise?.(slot, outcome);
  }

  /** Why `raise` would be refused now; empty when it would not, or when the slot has no floor. */
  async refusals(slot: string, securityVersion: number, token: Uint8Array | null): Promise<readonly string[]> {
    const number = this.#options.slots.get(slot);
    if (number === undefined) return [];
    const order = this.#orderOf(number, BigInt(securityVersion), token);
    return typeof order === 'string' ? [order] : this.#options.floors.refusals(order);
  }

  #orderOf(number: number, to: bigint, bytes: Uint8Array | null): RaiseToken | NoOrder {
    if (bytes === null) return 'no-token';
    const token = decoded(bytes);
    if (token === null) return 'malformed';
    // A token to raise further, or another slot, is genuine and still not what this release may do here.
    if (token.kind !== 'raise' || token.slot !== number || token.to !== to) return 'other-order';
    return this.#options.isRevoked?.(token.by) === true ? 'key-revoked' : token;
  }

  async #raise(number: number, to: bigint, bytes: Uint8Array | null): Promise<SlotRaise> {
    const order = this.#orderOf(number, to, bytes);
    return typeof order === 'string' ? { raised: false, why: [order] } : this.#options.floors.raise(order);
  }
}
