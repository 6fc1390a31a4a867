// Checks of the version floors: a device whose profile has them in its TPM says what they are, and they never go down.
import type { Check, Expected } from '../contexts.ts';
import type { LogState } from '../types.ts';

export type KnownFloors = NonNullable<LogState['floors']>;

/** The highest floor of each slot that was ever seen: what went down stays remembered, so that somebody looks. */
export function highestFloors({ input, claims }: Expected): KnownFloors {
  const highest = new Map(input.row.log?.floors?.map(({ slot, floor }) => [slot, floor]));
  for (const { slot, floor } of claims.floors ?? []) {
    const before = highest.get(slot);
    if (floor !== null && (before === undefined || floor > before)) highest.set(slot, floor);
  }
  return [...highest].map(([slot, floor]) => ({ slot, floor }));
}

export const floorChecks: readonly Check<Expected>[] = [
  {
    // Deleted by the TPM's owner, or never given: the device then loads nothing, and somebody should know why.
    name: 'floor-missing',
    run: ({ input, claims }, findings) => {
      for (const { name, floor } of input.reference.profile.slots) {
        if (floor === undefined) continue;
        const said = claims.floors?.find(({ slot }) => slot === name)?.floor ?? null;
        if (said !== null) continue;
        findings.add(
          'floor-missing',
          'contraindicated',
          name,
          `a version floor in the TPM, number ${floor}`,
          'none',
          'profile',
        );
      }
    },
  },
  {
    name: 'floor-decreased',
    run: ({ input, claims }, findings) => {
      for (const { slot, floor: before } of input.row.log?.floors ?? []) {
        const now = claims.floors?.find((one) => one.slot === slot)?.floor ?? null;
        if (now === null || now >= before) continue;
        findings.add(
          'floor-decreased',
          'contraindicated',
          slot,
          `${before} or higher, as seen before`,
          String(now),
          'endorsement',
        );
      }
    },
  },
];
