// The version floors as the gate needs them: what may still be activated, and the one step that makes it more.
import type { SlotRow } from '../store/journal.ts';

/** Above every security version: the floor of a slot whose hardware floor was deleted or replaced. Nothing passes. */
export const FLOOR_LOST: bigint = 2n ** 64n;

/** Errors of both: TpmError of a TPM that is not reached. */
export interface Floor {
  /** The slot's floor in hardware; null where the profile names none. FLOOR_LOST when it should be there and cannot be read. */
  read(slot: string): Promise<bigint | null>;
  /**
   * Asks for exactly this floor. `token`: bytes of the floor token that came with the release, null when none did. A refusal is no
   * error: only `read` tells what became of it.
   */
  raise(slot: string, securityVersion: number, token: Uint8Array | null): Promise<void>;
  /** Why it would not raise now; empty: it would. Nothing is written. Absent: it is not known before. */
  refusals?(slot: string, securityVersion: number, token: Uint8Array | null): Promise<readonly string[]>;
}

/** A device without floors in hardware: its journal is all there is, and its verdict says so. */
export const NO_HARDWARE_FLOOR: Floor = {
  read: async () => null,
  raise: async () => undefined,
};

/** The floor of a slot, and whether hardware holds it. */
export interface FloorNow {
  readonly value: bigint;
  readonly hardware: boolean;
}

/** Without hardware the release that was committed last is the floor. */
export async function floorNow(floor: Floor, row: SlotRow): Promise<FloorNow> {
  const value = await floor.read(row.slot);
  return value === null ? { value: BigInt(row.securityVersion), hardware: false } : { value, hardware: true };
}

/** Security version that a release must have at least: the floor may be above what runs, and never lets it go below. */
export function lowestVersion({ value }: FloorNow, row: SlotRow): number {
  const floor = value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
  return Math.max(floor, row.securityVersion);
}
