// A release above the floor must bring what raises the floor to it: one that passed its trial without could be neither kept nor left.
import { toFinding } from '../release/judgement.ts';
import type { SignedRelease } from '../release/open.ts';
import type { SlotRow } from '../store/journal.ts';
import { readFloorToken } from './floor-token.ts';
import { floorNow } from './floor.ts';
import type { Refuse } from './judge.ts';
import type { GateParts } from './parts.ts';

/** The refusal of a release in the folder `from` whose floor token would not do; null where none is needed, or it would. */
export async function judgeFloorToken(
  parts: GateParts,
  row: SlotRow,
  { passport, signedBy }: SignedRelease,
  from: string,
): Promise<Refuse | null> {
  const { value, hardware } = await floorNow(parts.floor, row);
  const wanted = BigInt(passport.securityVersion);
  if (!hardware || wanted <= value || parts.floor.refusals === undefined) return null;
  const why = await parts.floor.refusals(row.slot, passport.securityVersion, await readFloorToken(from));
  if (why.length === 0) return null;
  const expected = `a floor token for slot ${row.slot} from ${value} to ${wanted}`;
  const fault = { rule: 'release-floor-token', expected, found: why.join(', ') } as const;
  return { admitted: false, findings: [toFinding(fault, row.slot, signedBy)] };
}
