// The engines of the slots: made of the model that a slot holds, measured at every look, and made again when they are not what was made.
import { decodeCbor, encodeCbor } from '../bytes/cbor.ts';
import type { CborValue } from '../bytes/cbor.ts';
import { byteString, hexString, name, parseShape, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { toHex } from '../bytes/text.ts';
import type { EngineEvent } from '../cel/events.ts';
import { equalBytes } from '../crypto/digest.ts';
import { WireError } from '../errors.ts';
import type { Reason } from '../gate/settle.ts';
import type { Log } from '../log.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Journal } from '../store/journal.ts';
import type { CompiledEngine } from './engine-maker.ts';
import type { LoggedEngine } from './log-reader.ts';

/** What this device does with engines: files and programs. */
export interface EngineWork {
  /** Errors: the signal's reason. */
  compile(slot: SlotProfile, id: string, signal: AbortSignal): Promise<CompiledEngine | Reason>;
  measure(id: string, slot: string): Promise<Buffer | null>;
  place(id: string, slot: string, from: string): Promise<void>;
  remove(id: string, slot: string): Promise<void>;
  discard(folder: string): Promise<void>;
}

export interface EngineKeeperParts {
  readonly work: EngineWork;
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly log: Log;
  /** The runtime's digest as this start measured it. */
  readonly runtime: Uint8Array | null;
  /** The last event about each slot's engine in the current log. */
  readonly last: ReadonlyMap<string, LoggedEngine>;
  /** Extends the event into the PCR. */
  record(event: EngineEvent): Promise<number>;
  /** Has `work` done when nothing else is being done. */
  soon(work: () => Promise<void>): void;
  /** ms of the process's clock. */
  monotonic(): number;
  /** Record `record` says that the slot has its engine now; null: none could be made. */
  ended(slot: string, record: number | null): Promise<void>;
}

/** An engine that the controller has seen compiled: what may be believed of the disk after a boot. */
interface SeenEngine {
  readonly slot: string;
  readonly release: string;
  readonly compiler: Uint8Array;
  readonly engine: Uint8Array;
}

const seenShape: Shape<readonly SeenEngine[]> = v.array(
  v.strictObject({ slot: name, release: hexString(32), compiler: byteString(32), engine: byteString(32) }),
);
/** Of one slot: that of its release, and of the one before. */
const SEEN_OF_A_SLOT = 2;
const LIMITS = { maxBytes: 64 * 1024, maxDepth: 4, maxItems: 1000 };

/** After a failure an engine is not tried again for so long, unless its release is installed once more. */
const RETRY_MS = 3_600_000;

interface Making {
  readonly release: SignedRelease;
  /** Resolves in the mailbox: null, it is there. */
  readonly ended: PromiseWithResolvers<Reason | null>;
  readonly unwanted: AbortController;
}

const UNWANTED: Reason = { rule: 'engine-compile', detail: 'the slot held something else before its engine was made' };

/** How a slot's engine is. */
type Standing =
  | { readonly at: 'ready' }
  | { readonly at: 'making'; readonly altered: boolean }
  | { readonly at: 'failed'; readonly release: string; readonly reason: Reason; readonly when: number };

/** What is wrong with a slot whose model is as signed. */
export interface EngineLack {
  readonly why: string;
  /** It lies there, and is not what was made. */
  readonly altered: boolean;
}

const isOf = (one: SeenEngine, slot: string, release: SignedRelease): boolean =>
  one.slot === slot && one.release === release.id;

/** Not concurrent: the agent's mailbox sees to it. */
export class EngineKeeper {
  readonly #parts: EngineKeeperParts;
  readonly #last: Map<string, LoggedEngine>;
  readonly #standing = new Map<string, Standing>();
  readonly #making = new Map<string, Making>();
  /** What was compiled in this log, and no result has shown yet that the controller knows. */
  readonly #untold = new Map<string, SeenEngine & { readonly record: number }>();
  /** Records of engines that were untold once. */
  readonly #told = new Set<number>();
  #runtime: Uint8Array | null;

  constructor(parts: EngineKeeperParts) {
    this.#parts = parts;
    this.#runtime = parts.runtime;
    this.#last = new Map(parts.last);
  }

  /** Why the slot may not be used although its model is as signed; null: its engine is there, or it needs none. */
  lack({ name: slot, engine }: SlotProfile): EngineLack | null {
    const standing = this.#standing.get(slot);
    if (engine === undefined || standing?.at === 'ready') return null;
    if (standing?.at === 'failed') return { why: standing.reason.detail, altered: false };
    if (standing?.altered === true)
      return { why: 'its engine is not what was compiled: it is made again', altered: true };
    return { why: 'its engine is being compiled', altered: false };
  }

  /** When the engine that is wanted is there (null), or why it cannot be. */
  async ready(slot: string): Promise<Reason | null> {
    const standing = this.#standing.get(slot);
    return (await this.#making.get(slot)?.ended.promise) ?? (standing?.at === 'failed' ? standing.reason : null);
  }

  /**
   * The slot's model was measured and is as signed, `release`; null: it holds none, or another thing. Makes the engine if it is not there as it
   * was made, or if `anew`. Answers the number of the record that says something new. Errors: MeasureError, TpmError, StoreError.
   */
  async look(slot: SlotProfile, release: SignedRelease | null, anew: boolean): Promise<number | null> {
    if (slot.engine === undefined) return null;
    if (release !== null && this.#making.get(slot.name)?.release.id === release.id) return null;
    this.#making.get(slot.name)?.unwanted.abort();
    this.#making.delete(slot.name);
    if (release === null) {
      this.#standing.delete(slot.name);
      return null;
    }
    const found = await this.#parts.work.measure(release.id, slot.name);
    const known = await this.#known(slot.name, release);
    if (!anew && found !== null && known !== null && equalBytes(found, known.engine)) {
      this.#standing.set(slot.name, { at: 'ready' });
      return this.#say(slot.name, release, known.compiler, found);
    }
    const altered = found !== null && known !== null && !equalBytes(found, known.engine);
    let record: number | null = null;
    if (altered) {
      const text = `slot ${slot.name}: its engine is not what was compiled`;
      this.#parts.log.write('error', 'engine', text, { slot: slot.name });
      record = await this.#say(slot.name, release, known.compiler, found);
    }
    // What was altered stays until another is in its place, for the controller to see, unless somebody asked for another.
    const stays = altered && !anew;
    if (!stays) record = (await this.#throwAway(slot.name, release)) ?? record;
    this.#begin(slot, release, stays, anew);
    return record;
  }

  /** Answers the number of the record that says so, where the log spoke of an engine of this release. */
  async #throwAway(slot: string, release: SignedRelease): Promise<number | null> {
    await this.#parts.work.remove(release.id, slot);
    const last = this.#last.get(slot)?.event;
    const isOfIt = last !== undefined && last.engine !== null && equalBytes(last.statement, release.statement.digest);
    return isOfIt ? this.#say(slot, release, last.compiler, null) : null;
  }

  /** As compiled in this log, or as the controller was shown; null where nobody can vouch for it, or another runtime made it. */
  async #known(slot: string, release: SignedRelease): Promise<Pick<SeenEngine, 'compiler' | 'engine'> | null> {
    const known = this.#inLog(slot, release) ?? (await this.#seen()).find((one) => isOf(one, slot, release));
    return known !== undefined && this.#runtime !== null && equalBytes(known.compiler, this.#runtime) ? known : null;
  }

  /** Compiled in this log, by this start or by one before it. */
  #inLog(slot: string, release: SignedRelease): SeenEngine | undefined {
    const untold = this.#untold.get(slot);
    if (untold !== undefined && isOf(untold, slot, release)) return untold;
    const { event, record = 0 } = this.#last.get(slot) ?? {};
    if (event?.cause !== 'compiled' || event.engine === null) return undefined;
    if (!equalBytes(event.statement, release.statement.digest)) return undefined;
    const { compiler, engine } = event;
    const compiled = { slot, release: release.id, compiler, engine };
    // Whether the controller was shown it, that start did not live to keep.
    if (!this.#told.has(record)) this.#untold.set(slot, { ...compiled, record });
    return compiled;
  }

  async #seen(): Promise<readonly SeenEngine[]> {
    const bytes = await this.#parts.journal.get('engines');
    if (bytes === null) return [];
    try {
      return parseShape(seenShape, decodeCbor(bytes, LIMITS), 'engines');
    } catch (error) {
      // Made anew, they are all the same.
      if (error instanceof WireError) return [];
      throw error;
    }
  }

  /** Records how the engine was found, if that is new in this log. */
  async #say(
    slot: string,
    release: SignedRelease,
    compiler: Uint8Array,
    engine: Uint8Array | null,
  ): Promise<number | null> {
    const { digest: statement } = release.statement;
    const last = this.#last.get(slot)?.event;
    const same =
      last !== undefined &&
      equalBytes(last.statement, statement) &&
      equalBytes(last.compiler, compiler) &&
      (engine === null ? last.engine === null : last.engine !== null && equalBytes(last.engine, engine));
    return same ? null : this.#record({ v: 1, type: 'engine', slot, cause: 'measured', statement, compiler, engine });
  }

  async #record(event: EngineEvent): Promise<number> {
    const record = await this.#parts.record(event);
    this.#last.set(event.slot, { event, record });
    return record;
  }

  #begin(slot: SlotProfile, release: SignedRelease, altered: boolean, anew: boolean): void {
    const before = this.#standing.get(slot.name);
    const failed = before?.at === 'failed' && before.release === release.id && !anew;
    if (failed && this.#parts.monotonic() < before.when + RETRY_MS) return;
    this.#standing.set(slot.name, { at: 'making', altered });
    const making = { release, ended: Promise.withResolvers<Reason | null>(), unwanted: new AbortController() };
    this.#making.set(slot.name, making);
    void this.#make(slot, making);
  }

  /** Beside everything else: it may take minutes. */
  async #make(slot: SlotProfile, { release, ended, unwanted }: Making): Promise<void> {
    const parts = this.#parts;
    const { name: of } = slot;
    parts.log.write('info', 'engine', `slot ${of}: compiling an engine of release ${release.id.slice(0, 12)}`, {
      slot: of,
    });
    try {
      const made = await parts.work.compile(slot, release.id, unwanted.signal);
      parts.soon(async () => {
        ended.resolve(unwanted.signal.aborted ? await this.#drop(made) : await this.#made(of, release, made));
      });
    } catch (error) {
      parts.soon(async () => {
        if (!unwanted.signal.aborted) throw error;
        ended.resolve(UNWANTED);
      });
    }
  }

  async #drop(made: CompiledEngine | Reason): Promise<Reason> {
    if ('folder' in made) await this.#parts.work.discard(made.folder);
    return UNWANTED;
  }

  async #made(slot: string, release: SignedRelease, made: CompiledEngine | Reason): Promise<Reason | null> {
    const parts = this.#parts;
    this.#making.delete(slot);
    if ('rule' in made) {
      parts.log.write('error', 'engine', `slot ${slot}: ${made.detail}`, { slot, rule: made.rule });
      this.#standing.set(slot, { at: 'failed', release: release.id, reason: made, when: parts.monotonic() });
      await parts.ended(slot, null);
      return made;
    }
    const { compiler, engine } = made;
    await parts.work.place(release.id, slot, made.files);
    await parts.work.discard(made.folder);
    this.#runtime = compiler;
    const { digest: statement } = release.statement;
    const record = await this.#record({ v: 1, type: 'engine', slot, cause: 'compiled', statement, compiler, engine });
    this.#untold.set(slot, { slot, release: release.id, compiler, engine, record });
    this.#standing.set(slot, { at: 'ready' });
    parts.log.write('info', 'engine', `slot ${slot}: engine ${toHex(engine).slice(0, 12)} was compiled`, { slot });
    await parts.ended(slot, record);
    return null;
  }

  /** The controller has judged a log up to record `logTo`: what that showed it will know again after a boot. Errors: StoreError. */
  async heard(logTo: number): Promise<void> {
    for (const [slot, { record, ...seen }] of this.#untold) {
      if (record > logTo) continue;
      const all = await this.#seen();
      const others = all.filter((one) => one.slot !== slot);
      const before = all.filter((one) => one.slot === slot && one.release !== seen.release);
      const kept = [seen, ...before.slice(0, SEEN_OF_A_SLOT - 1), ...others];
      await this.#parts.journal.put('engines', encodeCbor(kept as unknown as CborValue));
      this.#untold.delete(slot);
      this.#told.add(record);
    }
  }
}
