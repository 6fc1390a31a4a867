// Attacks on what a profile promises of break-glass and of planned changes.
import { withClaims, withProfile } from './attack.ts';
import type { Attack } from './attack.ts';
import { reference } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

const withGlass = withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, breakGlassSeconds: 60 })) });
const withPlan = (plannedChanges: readonly string[]): NonNullable<Bend['input']> =>
  withProfile({ slots: reference.profile.slots.map((slot) => ({ ...slot, plannedChanges })) });
const glass = { slot: 'main', leftMs: 60_000, reason: 'theatre 2' };

export const promiseAttacks: readonly Attack[] = [
  {
    attack: 'a release of a change that nobody planned',
    check: 'release-change',
    rule: 'release-change',
    bend: () => ({ input: withPlan(['PCCP-1']) }),
  },
  {
    attack: 'break-glass where the profile allows it, which is no attack and is said all the same',
    check: 'break-glass',
    rule: 'break-glass',
    bend: () => ({ claims: withClaims({ breakGlass: [glass] }), input: withGlass }),
  },
  {
    attack: 'break-glass for longer than the profile allows',
    check: 'break-glass-profile',
    rule: 'break-glass-profile',
    bend: () => ({ claims: withClaims({ breakGlass: [{ ...glass, leftMs: 60_001 }] }), input: withGlass }),
  },
];
