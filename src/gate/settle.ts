// What a slot's link leads to while nothing is on trial: what was committed last, if it is not below the floor; otherwise to nothing.
import type { SlotProfile } from '../profile/profile.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { SlotRow } from '../store/journal.ts';
import { floorNow } from './floor.ts';
import type { GateParts } from './parts.ts';
import { judgeBytes } from './judge.ts';
import { releaseFolder } from './places.ts';
import { clearSlot, readSlotLink, switchSlot } from './slot-links.ts';
import { openStored } from './stored.ts';

/** A slot after a step. `loaded` false is NOLOAD: no loadable model, a release of security version `needs` or higher is needed. */
export interface Settled {
  readonly row: SlotRow;
  readonly loaded: boolean;
  readonly needs: bigint;
  /** Why a trial was rolled back in this step. */
  readonly back?: Reason;
}

/** Why a release is not what the slot holds any more. */
export interface Reason {
  /** The rule that was broken, or what happened. */
  readonly rule: string;
  readonly detail: string;
}

export function profileSlot(parts: Pick<GateParts, 'profile'>, name: string): SlotProfile {
  const slot = parts.profile.slots.find((one) => one.name === name);
  if (slot === undefined) throw new RangeError(`the profile has no slot ${name}`);
  return slot;
}

/** What ran goes on, whatever its dates say by now: its signatures and bytes are asked, nothing else. */
export async function verifyStored(parts: GateParts, slot: string, id: string): Promise<VerifiedRelease | null> {
  const signed = await openStored(parts.stateDir, id, parts.trust);
  if (signed === null) return null;
  const read = await judgeBytes(parts, releaseFolder(parts.stateDir, id), signed, profileSlot(parts, slot));
  return read.admitted ? read.verified : null;
}

/** RUN or NOLOAD. An undisturbed link is left to the measurement, which reads every byte behind it anyway. */
export async function settle(parts: GateParts, row: SlotRow): Promise<Settled> {
  const { stateDir } = parts;
  const { slot, active } = row;
  const link = await readSlotLink(stateDir, slot);
  const { value, hardware } = await floorNow(parts.floor, row);
  if (active === null) {
    if (link !== 'none') {
      await parts.step('put the link back');
      await clearSlot(stateDir, slot);
    }
    return { row, loaded: false, needs: value };
  }
  const signed = await openStored(stateDir, active, parts.trust);
  // With a floor in hardware, what cannot be read as signed is not known to be at it.
  const may = signed === null ? !hardware : BigInt(signed.passport.securityVersion) >= value;
  if (may && typeof link !== 'string' && link.release === active) return { row, loaded: true, needs: value };
  const verified = may ? await verifyStored(parts, slot, active) : null;
  if (verified === null && link === 'none') return { row, loaded: false, needs: value };
  await parts.step('put the link back');
  if (verified === null) await clearSlot(stateDir, slot);
  else await switchSlot(stateDir, slot, verified);
  return { row, loaded: verified !== null, needs: value };
}
