// What `last-good` does: the release before it takes the place of one that is there no more as it was signed.
import type { SlotRow } from '../store/journal.ts';
import { floorNow } from './floor.ts';
import type { GateParts } from './parts.ts';
import { settle, verifyStored } from './settle.ts';
import type { Settled } from './settle.ts';
import { withdrawalsOf } from './withdrawals.ts';

/**
 * Puts the release before the committed one back, if that one cannot be read as signed any more and the one before may still be
 * opened: as signed, not withdrawn, not below the floor. Null: nothing was put back. Without a floor in hardware the release that was
 * committed last is the floor, so only one of the same security version comes back. Errors: MeasureError, StoreError, TpmError.
 */
export async function putBackLastGood(parts: GateParts, row: SlotRow): Promise<Settled | null> {
  const { slot, active, previous, state } = row;
  if (state !== 'COMMITTED' || active === null || previous === null) return null;
  // Also a config or the link may be wrong: another release would mend neither.
  if ((await verifyStored(parts, slot, active)) !== null) return null;
  const before = await verifyStored(parts, slot, previous);
  if (before === null) return null;
  const { passport } = before.signed;
  const { value } = await floorNow(parts.floor, row);
  if (BigInt(passport.securityVersion) < value) return null;
  if ((await withdrawalsOf(passport.modelId, parts.stateDir, parts.trust)).has(previous)) return null;
  await parts.step('journal the last good');
  const back: SlotRow = { ...row, active: previous, previous: null };
  const detail = `release ${active.slice(0, 12)} is not as it was signed: release ${previous.slice(0, 12)}, the last good one, is back`;
  const { session } = parts;
  const report = {
    session,
    kind: 'rolled-back',
    rule: 'last-good',
    slot,
    subject: active,
    detail,
    at: parts.now(),
  } as const;
  await parts.journal.setSlot(back, report);
  return settle(parts, back);
}
