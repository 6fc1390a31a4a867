// The proof on itself: an agent that never syncs must be caught, or the cuts show nothing.
import { cutsOf, emptyTally } from './cuts.ts';
import type { Tally } from './cuts.ts';
import { loadable } from './judge.ts';
import type { Recording } from './record.ts';
import type { World } from './world.ts';

/** Cuts the recording as if no sync had ever been answered. A violation when no cut leaves anything wrong. */
export function judgeUnsynced(recording: Recording, world: World, tally: Tally): void {
  const steps = recording.steps.filter((step) => !('op' in step && step.op.kind === 'sync'));
  const seen = emptyTally();
  for (const { device } of cutsOf({ ...recording, steps }, seen, () => true)) {
    if (loadable(world, device).wrong !== null) seen.violations.push('a release that is not whole can be loaded');
  }
  tally.operations += steps.length;
  tally.points += seen.points;
  tally.variants += seen.variants;
  if (seen.violations.length === 0) tally.violations.push('an agent that never syncs was not caught');
}
