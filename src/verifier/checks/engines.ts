// Checks of engines: is what a device compiled the work of a known compiler, from the model that its slot holds, and still the same?
import { toHex } from '../../bytes/text.ts';
import type { Check, Expected } from '../contexts.ts';
import { isCompilerUnknown } from '../engines.ts';
import type { Findings } from '../findings.ts';
import { sameBytes } from '../same-bytes.ts';
import type { EngineLogState } from '../types.ts';

const hexOrNone = (digest: Uint8Array | null = null): string => (digest === null ? 'none' : toHex(digest));

/** A check of each engine that the log speaks of. */
function ofEngines(
  name: string,
  judge: (engine: EngineLogState, findings: Findings, context: Expected) => void,
): Check<Expected> {
  return {
    name,
    run: (context, findings) => {
      for (const engine of context.state.engines ?? []) judge(engine, findings, context);
    },
  };
}

export const engineChecks: readonly Check<Expected>[] = [
  ofEngines('engine-unasked', ({ slot, engine }, findings, { input }) => {
    if (input.reference.profile.slots.find(({ name }) => name === slot)?.engine === true) return;
    const found = `engine ${hexOrNone(engine)}`;
    findings.add('engine-unasked', 'contraindicated', slot, 'no engine: the profile names none', found, 'profile');
  }),
  ofEngines('engine-source', ({ slot, origin, statement }, findings, { state }) => {
    if (origin !== 'strange') return;
    const held = state.slots.find((one) => one.slot === slot)?.statement;
    const texts = [`made from statement ${hexOrNone(held)}`, `made from ${toHex(statement)}`] as const;
    findings.add('engine-source', 'contraindicated', slot, ...texts, 'fleet');
  }),
  ofEngines('engine-bytes', ({ slot, origin, engine, statement }, findings, { state }) => {
    if (origin !== 'altered') return;
    const made = state.enginesMade?.find((one) => one.slot === slot && sameBytes(one.statement, statement))?.engine;
    const texts = [`engine ${hexOrNone(made)}, as it was compiled`, `engine ${hexOrNone(engine)}`] as const;
    findings.add('engine-bytes', 'contraindicated', slot, ...texts, 'endorsement');
  }),
  ofEngines('engine-compiler', (engine, findings, { input }) => {
    if (engine.engine === null || !isCompilerUnknown(engine, input.reference)) return;
    const expected = 'made by a runtime of the reference values';
    findings.add('engine-compiler', 'contraindicated', engine.slot, expected, toHex(engine.compiler), 'fleet');
  }),
  ofEngines('engine-unseen', ({ slot, origin, engine }, findings) => {
    if (origin !== 'unseen') return;
    const expected = 'an engine that this device was seen to compile';
    findings.add('engine-unseen', 'warning', slot, expected, `engine ${hexOrNone(engine)}`, 'endorsement');
  }),
];
