// What the gate works with: one state directory, its journal, the floors, and who is trusted to sign.
import type { Journal } from '../store/journal.ts';
import type { Floor } from './floor.ts';
import type { JudgeParts } from './judge.ts';
import type { StepHook } from './places.ts';

export interface GateParts extends JudgeParts {
  readonly journal: Pick<Journal, 'slots' | 'setSlot'>;
  readonly floor: Floor;
  /** 16 bytes: this agent start, which names its reports. */
  readonly session: Buffer;
  readonly step: StepHook;
}
