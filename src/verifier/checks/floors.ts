// Checks of the version floors: a device whose profile has them in its TPM says what they are, and they never go down.
import type { Check, Expected } from '../contexts.ts';
import type { Findings } from '../findings.ts';
import type { LogState } from '../types.ts';
import { CERTIFICATE_RULES, hasFloors } from './floor-certificate.ts';

type KnownFloors = Pick<LogState, 'floors' | 'floorsCertified' | 'floorGeneration'>;

/**
 * What the row remembers after accepting: the highest floor of each slot that was ever seen, so that what went down stays found until
 * somebody looks. Where the TPM has once certified them, what is only claimed adds nothing; nor does what it certified wrongly.
 */
export function knownFloors(context: Expected, findings: Findings): KnownFloors {
  const { input, claims, floors } = context;
  const { floors: seen = [], floorsCertified } = input.row.log ?? {};
  const certified = floors.state === 'read' && hasFloors(context) && !findings.hasAny(CERTIFICATE_RULES);
  const counts = certified || (floors.state === 'absent' && floorsCertified === undefined);
  const highest = new Map(seen.map(({ slot, floor }) => [slot, floor]));
  for (const { slot, floor } of counts ? (claims.floors ?? []) : []) {
    if (floor !== null && floor > (highest.get(slot) ?? -1)) highest.set(slot, floor);
  }
  return {
    ...(highest.size === 0 ? {} : { floors: [...highest].map(([slot, floor]) => ({ slot, floor })) }),
    ...(certified || floorsCertified === true ? { floorsCertified: true } : {}),
    ...(claims.floorGeneration === undefined ? {} : { floorGeneration: claims.floorGeneration }),
  };
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
