// What each slot holds, as last measured: measures, records what changed, and knows what may be loaded.
import { fromHex, toHex } from '../bytes/text.ts';
import type { SlotEvent } from '../cel/events.ts';
import { MAX_DIFFERING } from '../cel/events.ts';
import { encodeEvent } from '../cel/record.ts';
import { sha256 } from '../crypto/digest.ts';
import type { SlotClaim } from '../evidence/claims.ts';
import type { SlotMeasurement } from '../measure/slot-measurer.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import type { EngineKeeper } from './engine-keeper.ts';
import { claimState, slotState } from './slot-policy.ts';
import type { SlotFound, SlotStage, SlotState, Word } from './slot-policy.ts';

/** A slot as last measured. */
export interface KnownSlot {
  readonly slot: SlotProfile;
  readonly expected: SignedRelease | null;
  readonly found: SlotFound;
  readonly event: SlotEvent;
}

export interface SlotKeeperParts {
  readonly slots: readonly SlotProfile[];
  /** The signed release that the slot should hold; null when it holds none. */
  expected(slot: string): Promise<SignedRelease | null>;
  measure(slot: SlotProfile, expected: SignedRelease | null): Promise<SlotMeasurement>;
  /** Extends the event into the PCR. */
  record(event: SlotEvent): Promise<number>;
  /** The last event of each slot in the current log. */
  readonly lastEvents: ReadonlyMap<string, SlotEvent>;
  readonly engines?: Pick<EngineKeeper, 'look' | 'lack'>;
  /** How the gate has the slot; without it every slot is at rest. */
  stage?(slot: string): Omit<SlotStage, 'engine'>;
}

/** A slot as just measured. `record`: number of the last event that was recorded; null when there was nothing new to say. */
export interface Looked {
  readonly known: KnownSlot;
  readonly changed: boolean;
  readonly record: number | null;
}

function foundIn(expected: SignedRelease | null, seen: SlotMeasurement): SlotFound {
  // A folder where the slot's link belongs names no release, and can be opened all the same.
  if (expected === null) return seen.release === null && seen.faults.length === 0 ? 'empty' : 'altered';
  const asSigned =
    seen.release === expected.id &&
    seen.differing.length === 0 &&
    seen.more === 0 &&
    seen.faults.length === 0 &&
    toHex(sha256(seen.manifest)) === expected.passport.manifestDigest;
  return asSigned ? 'as-signed' : 'altered';
}

function eventOf(slot: SlotProfile, expected: SignedRelease | null, seen: SlotMeasurement): Omit<SlotEvent, 'cause'> {
  const release = expected?.id ?? seen.release;
  return {
    v: 1,
    type: 'slot',
    slot: slot.name,
    release: release === null ? null : fromHex(release),
    statement: expected?.statement.digest ?? null,
    manifest: sha256(seen.manifest),
    configs: seen.configs,
    differing: seen.differing.slice(0, MAX_DIFFERING),
    more: seen.more + Math.max(0, seen.differing.length - MAX_DIFFERING),
  };
}

/** Two events that say the same of a slot, whatever caused them. */
function sameContent(a: Omit<SlotEvent, 'cause'>, b: Omit<SlotEvent, 'cause'>): boolean {
  const bytes = (event: Omit<SlotEvent, 'cause'>): Buffer => encodeEvent({ ...event, cause: 'measured' });
  return bytes(a).equals(bytes(b));
}

function causeOf(before: KnownSlot | undefined, found: SlotFound): SlotEvent['cause'] {
  if (before === undefined) return 'measured';
  if (found === 'empty') return 'emptied';
  return found === 'as-signed' && before.found === 'altered' ? 'restored' : 'changed';
}

/** One per agent run. Not concurrent: the caller's mailbox sees to it. */
export class SlotKeeper {
  readonly #parts: SlotKeeperParts;
  readonly #known = new Map<string, KnownSlot>();
  readonly #last: Map<string, SlotEvent>;

  constructor(parts: SlotKeeperParts) {
    this.#parts = parts;
    this.#last = new Map(parts.lastEvents);
  }

  /**
   * Measures one slot and records an event if it says something new. `activated`: the gate has just switched it, which is always
   * recorded: a result must be able to show that it knew of this activation. `anew`: somebody asks for another engine.
   * Errors: MeasureError, TpmError, StoreError.
   */
  async look(name: string, activated = false, anew = false): Promise<Looked> {
    const slot = this.#parts.slots.find((one) => one.name === name);
    if (slot === undefined) throw new RangeError(`the profile has no slot ${name}`);
    const expected = await this.#parts.expected(name);
    const seen = await this.#parts.measure(slot, expected);
    const found = foundIn(expected, seen);
    const before = this.#known.get(name);
    const content = eventOf(slot, expected, seen);
    const last = this.#last.get(name);
    const changed = activated || last === undefined || !sameContent(last, content);
    const event: SlotEvent = { ...content, cause: activated ? 'activated' : causeOf(before, found) };
    const known: KnownSlot = { slot, expected, found, event };
    // Recorded before it is believed: a quote that follows must carry what the agent already acts on.
    const record = changed ? await this.#parts.record(event) : null;
    if (changed) this.#last.set(name, event);
    this.#known.set(name, known);
    // After the slot's own event: an engine is one of what the slot holds.
    const model = found === 'as-signed' ? expected : null;
    const engine = (await this.#parts.engines?.look(slot, model, anew)) ?? null;
    return { known, changed: changed || engine !== null, record: engine ?? record };
  }

  /** Every slot that was measured, in the profile's order. */
  known(): KnownSlot[] {
    return this.#parts.slots.flatMap((slot) => this.#known.get(slot.name) ?? []);
  }

  #stage(slot: SlotProfile): SlotStage {
    const parts = this.#parts;
    return { ...(parts.stage?.(slot.name) ?? { trial: null, needs: null }), engine: parts.engines?.lack(slot) ?? null };
  }

  /** What may be done with the slot while lease and glasses stand so. */
  stateOf({ slot, found }: KnownSlot, word: Word): SlotState {
    return slotState(slot, found, word, this.#stage(slot));
  }

  /** What may be done with each slot while lease and glasses stand so. */
  states(word: Word): { readonly known: KnownSlot; readonly state: SlotState }[] {
    return this.known().map((known) => ({ known, state: this.stateOf(known, word) }));
  }

  claims(word: Word): SlotClaim[] {
    return this.states(word).map(({ known, state }) => {
      const { trial } = this.#stage(known.slot);
      return {
        slot: known.slot.name,
        state: claimState(state),
        release: known.event.release,
        version: known.expected?.passport.version ?? null,
        securityVersion: known.expected?.passport.securityVersion ?? null,
        ...(trial === null ? {} : { trial }),
      };
    });
  }
}
