// What a log says of engines: whether this device was seen to compile them, from the model that their slot holds, and by what.
import type { EngineEvent } from '../cel/events.ts';
import { sameBytes } from './same-bytes.ts';
import type { EngineLogState, EngineMade, LogState, ReferenceValues, SlotLogState } from './types.ts';

/** Engines remembered of one slot: those of a release and of the one before, each also as it was before it was made again. */
const REMEMBERED = 4;

type Slots = ReadonlyMap<string, Pick<SlotLogState, 'statement'>>;

function originOf(event: EngineEvent, slots: Slots, made: readonly EngineMade[]): EngineLogState['origin'] {
  const held = slots.get(event.slot);
  if (held === undefined || !sameBytes(held.statement, event.statement)) return 'strange';
  if (event.cause === 'compiled' || event.engine === null) return 'made';
  const known = made.filter(({ slot, statement }) => slot === event.slot && sameBytes(statement, event.statement));
  if (known.length === 0) return 'unseen';
  const isIt = ({ compiler, engine }: EngineMade): boolean =>
    sameBytes(engine, event.engine) && sameBytes(compiler, event.compiler);
  return known.some(isIt) ? 'made' : 'altered';
}

/** The runtime that made it is none of the owner's; where the owner names none, nobody can say. */
export function isCompilerUnknown({ compiler }: EngineLogState, { components }: ReferenceValues): boolean {
  return components !== null && components.every(({ runtime }) => !sameBytes(runtime, compiler));
}

export function isEngineWrong(state: EngineLogState | undefined, reference: ReferenceValues): boolean {
  if (state === undefined) return false;
  if (state.origin === 'strange' || state.origin === 'altered') return true;
  return state.engine !== null && isCompilerUnknown(state, reference);
}

/** Folds events about engines; a log without any leaves nothing behind. */
export class EngineFold {
  readonly #states: Map<string, EngineLogState>;
  #made: readonly EngineMade[];

  /** `base`: what the events follow; `before`: the row's log, of whatever epoch. */
  constructor(base: LogState | null, before: LogState | null) {
    this.#states = new Map(base?.engines?.map((state) => [state.slot, state]));
    this.#made = before?.enginesMade ?? [];
  }

  /** The slot holds another model now: what was made of the one before went with it. */
  slotHolds(slot: string, statement: Uint8Array | null): void {
    const state = this.#states.get(slot);
    if (state !== undefined && !sameBytes(state.statement, statement)) this.#states.delete(slot);
  }

  take(event: EngineEvent, slots: Slots): EngineLogState {
    const { slot, statement, compiler, engine } = event;
    const state = { slot, statement, compiler, engine, origin: originOf(event, slots, this.#made) };
    this.#states.set(slot, state);
    if (event.cause === 'compiled' && engine !== null && state.origin === 'made') {
      const others = this.#made.filter((one) => one.slot !== slot);
      const same = this.#made.filter((one) => one.slot === slot && !sameBytes(one.engine, engine));
      this.#made = [{ slot, statement, compiler, engine }, ...same.slice(0, REMEMBERED - 1), ...others];
    }
    return state;
  }

  result(): Pick<LogState, 'engines' | 'enginesMade'> {
    return {
      ...(this.#states.size === 0 ? {} : { engines: [...this.#states.values()] }),
      ...(this.#made.length === 0 ? {} : { enginesMade: this.#made }),
    };
  }
}
