// A trial: each of its boots is counted in the journal before the candidate can be opened, and compared with the floor.
import { ReleaseError } from '../errors.ts';
import { diskError } from '../files/space.ts';
import type { VerifiedRelease } from '../release/verified.ts';
import type { SlotRow } from '../store/journal.ts';
import { floorNow } from './floor.ts';
import type { GateParts } from './parts.ts';
import type { Settled } from './settle.ts';
import { switchSlot } from './slot-links.ts';
import { rollBack } from './trial-end.ts';
import { keepWithdrawals } from './withdrawals.ts';

/** Boots of a trial, the first activation included. Who is cut in each of them has had his chances. */
export const TRIAL_BOOTS = 3;

/** STAGE: verified and on the disk; nothing leads to it yet. */
export async function markStaged(parts: GateParts, row: SlotRow, id: string): Promise<SlotRow> {
  if (isOpen(row)) throw new RangeError(`a trial is open in slot ${row.slot}`);
  await parts.step('journal the intent');
  const staged: SlotRow = { ...row, staged: id, state: 'STAGED', tries: 0, ranMs: 0 };
  await parts.journal.setSlot(staged);
  return staged;
}

/** While it is true, nothing may be staged: a trial's fallback is in the other place. */
export function isOpen(row: Pick<SlotRow, 'state'>): boolean {
  return row.state === 'TRIAL' || row.state === 'COMMITTING';
}

/** ACT: from STAGED or TRIAL. Counted first, then opened; a cut in between costs one of the boots. What the disk does not take is rolled back. */
export async function act(parts: GateParts, row: SlotRow, candidate: VerifiedRelease): Promise<Settled> {
  const { signed } = candidate;
  const { value } = await floorNow(parts.floor, row);
  const { securityVersion } = signed.passport;
  if (BigInt(securityVersion) < value) {
    const detail = `its security version ${securityVersion} is below the version floor ${value}`;
    return rollBack(parts, row, { rule: 'release-below-floor', detail });
  }
  let counted = row;
  try {
    await parts.step('keep what it withdraws');
    await keepWithdrawals(parts.stateDir, candidate);
    await parts.step('count the trial boot');
    counted = { ...row, state: 'TRIAL', tries: row.tries + 1 };
    await parts.journal.setSlot(counted);
    await parts.step('switch the link');
    await switchSlot(parts.stateDir, row.slot, candidate);
  } catch (error) {
    const failed = diskError(parts.stateDir, error);
    if (!(failed instanceof ReleaseError)) throw error;
    return rollBack(parts, counted, { rule: 'trial-disk', detail: failed.message });
  }
  return { row: counted, loaded: true, needs: value };
}
