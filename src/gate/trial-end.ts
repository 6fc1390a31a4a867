// The two ends of a trial: it is committed, forwards only, or rolled back with its reason in the same step of the journal.
import type { SignedRelease } from '../release/open.ts';
import type { SlotRow } from '../store/journal.ts';
import { floorNow } from './floor.ts';
import { readFloorToken } from './floor-token.ts';
import type { GateParts } from './parts.ts';
import { releaseFolder } from './places.ts';
import { settle } from './settle.ts';
import type { Reason, Settled } from './settle.ts';

const CLOSED = { staged: null, tries: 0, ranMs: 0 } as const;

/** BACK: the fallback is what the slot holds again, if it may still be opened. */
export async function rollBack(parts: GateParts, row: SlotRow, reason: Reason): Promise<Settled> {
  const { slot, active, staged } = row;
  await parts.step('journal the roll-back');
  const closed: SlotRow = { ...row, ...CLOSED, state: active === null ? 'NONE' : 'COMMITTED' };
  await parts.journal.setSlot(closed, {
    session: parts.session,
    kind: 'rolled-back',
    rule: reason.rule,
    slot,
    subject: staged,
    detail: reportText(`release ${staged?.slice(0, 12) ?? '-'} was rolled back: ${reason.detail}`),
    at: parts.now(),
  });
  return { ...(await settle(parts, closed)), back: reason };
}

/** What a report has room for. */
const DETAIL_MAX = 2048;

function reportText(text: string): string {
  return text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, DETAIL_MAX)
    .toWellFormed();
}

/** COMMITTED: the candidate is what the slot holds. */
export async function closeCommitted(parts: GateParts, row: SlotRow, release: SignedRelease): Promise<Settled> {
  await parts.step('journal the end');
  const closed: SlotRow = {
    ...row,
    ...CLOSED,
    active: release.id,
    previous: row.active === release.id ? row.previous : row.active,
    securityVersion: release.passport.securityVersion,
    state: 'COMMITTED',
  };
  await parts.journal.setSlot(closed);
  return settle(parts, closed);
}

/**
 * FLOOR and FIN of a row that is COMMITTING: done when the floor read back is exactly the release's. Lower: the row stays COMMITTING,
 * to be tried again. Higher: this release is one of the past, however it came to pass its trial.
 */
export async function raiseAndClose(parts: GateParts, row: SlotRow, release: SignedRelease): Promise<Settled> {
  const { securityVersion } = release.passport;
  const wanted = BigInt(securityVersion);
  const before = await floorNow(parts.floor, row);
  if (!before.hardware) return closeCommitted(parts, row, release);
  if (before.value < wanted) {
    await parts.step('raise the floor');
    await parts.floor.raise(row.slot, securityVersion, await readFloorToken(releaseFolder(parts.stateDir, release.id)));
  }
  await parts.step('read the floor back');
  const { value } = await floorNow(parts.floor, row);
  if (value === wanted) return closeCommitted(parts, row, release);
  if (value < wanted) return { row, loaded: true, needs: value };
  const detail = `the version floor is ${value}, above its security version ${securityVersion}`;
  return rollBack(parts, row, { rule: 'release-below-floor', detail });
}

/** HEALTH: the trial has passed. From here on only forwards. */
export async function commit(parts: GateParts, row: SlotRow, release: SignedRelease): Promise<Settled> {
  if (row.state !== 'TRIAL' || row.staged !== release.id)
    throw new RangeError(`no trial of ${release.id} in ${row.slot}`);
  await parts.step('journal the commitment');
  const committing: SlotRow = { ...row, state: 'COMMITTING' };
  await parts.journal.setSlot(committing);
  return raiseAndClose(parts, committing, release);
}
