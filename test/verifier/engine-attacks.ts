// Attacks on what a device compiles for itself: another engine, of another model, by another compiler, or one that nobody asked for.
import type { AgentStartEvent, BootEvent, Components, EngineEvent, LogEvent } from '../../src/cel/events.ts';
import { appraise } from '../../src/verifier/appraise.ts';
import type { AppraisalInput, EngineMade, RowState } from '../../src/verifier/types.ts';
import type { Attack } from './attack.ts';
import { agentStart, boot, build, components, digestOf, freshRow, reference, slotEvent } from './evidence-builder.ts';
import type { Bend } from './evidence-builder.ts';

const runtime = digestOf('runtime');
const withRuntime: Components = { ...components, runtime };

/** A device that compiles engines: its first events. */
export const engineStart: readonly LogEvent[] = [
  { ...boot, components: withRuntime } as BootEvent,
  { ...agentStart, components: withRuntime } as AgentStartEvent,
  slotEvent,
];

export const compiled: EngineEvent = {
  v: 1,
  type: 'engine',
  slot: 'main',
  cause: 'compiled',
  statement: digestOf('statement'),
  compiler: runtime,
  engine: digestOf('engine'),
};
export const measured: EngineEvent = { ...compiled, cause: 'measured' };

const slots = reference.profile.slots.map((slot) => ({ ...slot, engine: true as const }));

/** The controller's side of such a device. */
export const engineReference = (input: AppraisalInput): AppraisalInput => ({
  ...input,
  reference: { ...input.reference, profile: { ...reference.profile, slots }, components: [withRuntime] },
});

/** A boot whose log tells these things after the slot was measured. */
export const telling = (events: readonly LogEvent[], bend: Bend = {}): Bend => ({
  events: [...engineStart, ...events],
  input: engineReference,
  ...bend,
});

/** The device's row, and its TPM's reset count, as they are after the boot before, in which it compiled. */
export function rowOfCompiled(made: readonly LogEvent[] = [compiled]): RowState {
  const { next } = appraise(build(telling(made)));
  if (next === null || next.log === null) throw new TypeError('it was not accepted');
  return { ...next, log: { ...next.log, epoch: { resetCount: 3, restartCount: 0 }, session: Buffer.alloc(16) } };
}

/** A later boot of a device that was seen to compile: the log begins anew. */
export const laterBoot = (events: readonly LogEvent[], row: RowState = rowOfCompiled()): Bend =>
  telling(events, { row, challenge: (challenge) => ({ ...challenge, epoch: null, afterSeq: 0 }) });

const other = digestOf('other');

export const engineAttacks: readonly Attack[] = [
  {
    attack: 'an engine that was swapped while the device was off',
    check: 'engine-bytes',
    rule: 'engine-bytes',
    bend: () => laterBoot([{ ...measured, engine: other }]),
  },
  {
    attack: 'an engine that was swapped while the device ran',
    check: 'engine-bytes',
    rule: 'engine-bytes',
    bend: () => telling([compiled, { ...measured, engine: other }]),
  },
  {
    attack: 'an engine that is said to be the work of another compiler than it was',
    check: 'engine-bytes',
    rule: 'engine-bytes',
    bend: () =>
      laterBoot(
        [measured],
        ((row) => {
          const enginesMade: EngineMade[] = [{ ...compiled, engine: digestOf('engine'), compiler: other }];
          return { ...row, log: row.log === null ? null : { ...row.log, enginesMade } };
        })(rowOfCompiled()),
      ),
  },
  {
    attack: 'an engine of another release',
    check: 'engine-source',
    rule: 'engine-source',
    bend: () => telling([{ ...compiled, statement: digestOf('statement of another release') }]),
  },
  {
    attack: 'an engine that comes without the event of its release',
    check: 'engine-source',
    rule: 'engine-source',
    bend: () => ({ ...telling([]), events: [...engineStart.slice(0, 2), compiled, slotEvent] }),
  },
  {
    attack: 'an engine of a compiler that the owner never rolled out',
    check: 'engine-compiler',
    rule: 'engine-compiler',
    bend: () => telling([{ ...compiled, compiler: other }]),
  },
  {
    attack: 'an engine that nobody saw compiled',
    check: 'engine-unseen',
    rule: 'engine-unseen',
    bend: () => ({ ...laterBoot([measured], freshRow) }),
  },
  {
    attack: 'an engine in a slot whose profile names none',
    check: 'engine-unasked',
    rule: 'engine-unasked',
    bend: () => ({
      ...telling([compiled]),
      input: (input) => ({ ...input, reference: { ...input.reference, components: [withRuntime] } }),
    }),
  },
];
