// Takes evidence in: judged as it comes, many at once, accepted in one transaction a batch, and only then answered.
import { toUtf8 } from '../bytes/text.ts';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { WireError } from '../errors.ts';
import { decodeEvidence } from '../protocol/codec.ts';
import type { LogPart } from '../protocol/messages.ts';
import type { Finding } from '../rules/finding.ts';
import { appraiseAsking } from '../verifier/appraise.ts';
import type { Appraisal, AppraisalInput } from '../verifier/types.ts';
import { acceptance, afterAcceptance, inputFor } from './judging.ts';
import type { JudgingKeys, Yardstick } from './judging.ts';
import type { Log } from '../log.ts';
import type { Acceptance, Registry } from './registry.ts';
import type { Known, Roster } from './roster.ts';

/** Evidence accepted in one transaction. */
const BATCH = 256;
/** Evidence judged at once, or waiting for its transaction: enough that judging goes on while a batch is made durable. */
const AT_ONCE = 2 * BATCH;
/** Evidence held; more is dropped, and asked for again in its rhythm. */
const MAX_HELD = 20_000;
/** Of one device: the newest is the one that can count. */
const MAX_HELD_OF_ONE = 4;
/** Parts of a log may arrive at another controller: how often, and how long, the evidence waits for them. */
const MAX_GATHERING = 64;
const PART_TRIES = 5;
const PART_WAIT_MS = 200;

export interface IntakeParts {
  readonly registry: Registry;
  readonly roster: Roster;
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Clock;
  readonly keys: JudgingKeys;
  readonly log: Log;
  /** Null for a profile that the controller does not have. */
  readonly yardstick: (profileId: string) => Yardstick | null;
  readonly accepted: (known: Known, judged: Judged) => void;
  /** Authentic, and not accepted. */
  readonly unexplained: (known: Known, appraisal: Appraisal) => Promise<void>;
  /** It answers a challenge of ours, too late or after another one. `isAhead`: one that the registry has yet to come to. */
  readonly overtaken: (known: Known, isAhead: boolean) => Promise<void> | void;
  /** What can't be gone on with. */
  readonly failed: (error: unknown) => void;
}

/** Against a challenge that truly is ours: it came too late, or its row stands elsewhere. */
const OVERTAKEN: ReadonlySet<string> = new Set(['superseded', 'late']);

/** No judgement: the registry did not answer. If it has taken the evidence nevertheless, the next one is newer than it. */
const UNAVAILABLE = 'registry-unavailable';

/** What became of the evidence since the start. */
export interface IntakeCounts {
  received: number;
  accepted: number;
  /** Not accepted, by the first rule that was broken. */
  readonly refused: Map<string, number>;
  dropped: number;
}

/** What became of one message. Not accepted: the rules that were broken, or `why` it was not even judged. */
export type Heard =
  | { readonly accepted: true; readonly taken: Acceptance }
  | { readonly accepted: false; readonly why: string; readonly findings: readonly Finding[] };

/** Hears what became of a message; who sends over the broker hears it by the result. */
type Hear = (heard: Heard) => void;

interface Held {
  readonly hear: Hear;
  readonly id: string;
  readonly bytes: Buffer;
  /** The log that came before the evidence, in parts; null when the evidence carries its log, or is no evidence. */
  readonly log: Buffer | null;
}

/** To be accepted, or not: then null. */
export interface Judged {
  readonly hear: Hear;
  /** As it was known when it was judged. */
  readonly known: Known;
  readonly input: AppraisalInput;
  readonly taken: Acceptance;
}

type SentBefore = Exclude<LogPart, Uint8Array>;

/** What an evidence says of the log that was sent before it; null when it carries its log, or is no evidence. */
function logPartOf(bytes: Buffer): SentBefore | null {
  try {
    const { log } = decodeEvidence(bytes);
    return log instanceof Uint8Array ? null : log;
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

export class Intake {
  readonly #parts: IntakeParts;
  /** What is held of each device, oldest first: the first one is judged, or waits for its turn; the others wait for it. */
  readonly #lines = new Map<string, Held[]>();
  #held = 0;
  /** Devices whose first evidence waits for its turn. */
  readonly #turns = new Set<string>();
  /** Devices whose first evidence is being judged, or is judged and not settled yet. */
  #underway = 0;
  #judged: Judged[] = [];
  #settling = false;
  readonly #gathering = new Map<string, Promise<unknown>>();
  #whenIdle: (() => void)[] = [];
  readonly counts: IntakeCounts = { received: 0, accepted: 0, refused: new Map(), dropped: 0 };

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes one evidence message of device `id`; settled later, in a batch with others. */
  take(id: string, bytes: Buffer, hear: Hear = () => undefined): void {
    this.counts.received += 1;
    const part = logPartOf(bytes);
    if (part === null) {
      this.#queue({ id, bytes, hear, log: null });
      return;
    }
    if (this.#gathering.has(id) || this.#gathering.size >= MAX_GATHERING) {
      this.#drop(hear);
      return;
    }
    const gathering = this.#gather({ id, bytes, hear }, part)
      .catch((error: unknown) => {
        this.#refuse(UNAVAILABLE, hear);
        this.#parts.failed(error);
      })
      .finally(() => this.#gathering.delete(id));
    this.#gathering.set(id, gathering);
  }

  /** Beside the queue: who waits for his parts keeps nobody else waiting. */
  async #gather(message: Omit<Held, 'log'>, part: SentBefore): Promise<void> {
    const { registry, clock } = this.#parts;
    for (let tries = 0; tries < PART_TRIES; tries++) {
      if (tries > 0) await clock.sleep(PART_WAIT_MS);
      const log = await registry.takeLogParts(message.id, Buffer.from(part.digest), part.parts);
      if (log !== null) {
        this.#queue({ ...message, log });
        return;
      }
    }
    this.#refuse('log-parts', message.hear);
  }

  #drop(hear: Hear): void {
    this.counts.dropped += 1;
    hear({ accepted: false, why: 'dropped', findings: [] });
  }

  #queue(held: Held): void {
    const line = this.#lines.get(held.id);
    if (this.#held >= MAX_HELD || (line?.length ?? 0) >= MAX_HELD_OF_ONE) {
      this.#drop(held.hear);
      return;
    }
    this.#held += 1;
    if (line === undefined) {
      this.#lines.set(held.id, [held]);
      this.#turns.add(held.id);
      this.#begin();
    } else line.push(held);
  }

  /** Resolves when nothing is held any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#gathering.values());
    if (this.#held > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Begins to judge whose turn it is. */
  #begin(): void {
    for (const id of this.#turns) {
      if (this.#underway >= AT_ONCE) return;
      const [held] = this.#lines.get(id) ?? [];
      if (held === undefined) throw new TypeError('whoever has a turn has evidence');
      this.#turns.delete(id);
      this.#underway += 1;
      this.#take(held).catch((error: unknown) => {
        this.#parts.failed(error);
      });
    }
  }

  async #take(held: Held): Promise<void> {
    let judged: Judged | null = null;
    try {
      judged = await this.#judge(held);
    } catch (error) {
      this.#refuse(UNAVAILABLE, held.hear);
      throw error;
    } finally {
      if (judged === null) this.#end(held.id);
      else this.#judged.push(judged);
      this.#settleSoon();
    }
  }

  /** The first evidence of this device is done with. */
  #end(id: string): void {
    const line = this.#lines.get(id) ?? [];
    line.shift();
    this.#held -= 1;
    this.#underway -= 1;
    if (line.length > 0) this.#turns.add(id);
    else this.#lines.delete(id);
    this.#begin();
    if (this.#held > 0) return;
    for (const wake of this.#whenIdle.splice(0)) wake();
  }

  /** True when a transaction is worth it: it costs nearly the same for one and for many, so it waits for those underway. */
  #isBatch(): boolean {
    return this.#judged.length >= BATCH || (this.#judged.length > 0 && this.#judged.length === this.#underway);
  }

  #settleSoon(): void {
    if (this.#settling || !this.#isBatch()) return;
    this.#settling = true;
    // What else has arrived comes along.
    setImmediate(() => {
      this.#settling = false;
      if (!this.#isBatch()) return;
      this.#settle(this.#judged.splice(0, BATCH)).catch((error: unknown) => {
        this.#parts.failed(error);
      });
    });
  }

  /** Durable first, answered then. */
  async #settle(batch: readonly Judged[]): Promise<void> {
    const { roster, overtaken } = this.#parts;
    try {
      const won = await this.#accept(batch);
      for (const [i, judged] of batch.entries()) {
        const { known, taken, hear } = judged;
        // Another controller was quicker, or an operator took the device out or set it aside: no verdict.
        if (won[i] === true) {
          this.#answer(roster.update(roster.get(known.id) ?? known, afterAcceptance(taken)), judged);
          hear({ accepted: true, taken });
        } else this.#refuse('superseded', hear);
      }
      for (const [i, { known }] of batch.entries()) {
        if (won[i] === true) continue;
        await roster.refresh(known.id);
        await overtaken(known, false);
      }
    } finally {
      for (const { known } of batch) this.#end(known.id);
      this.#settleSoon();
    }
  }

  async #accept(batch: readonly Judged[]): Promise<boolean[]> {
    try {
      return await this.#parts.registry.accept(batch.map(({ taken }) => taken));
    } catch (error) {
      for (const { hear } of batch) this.#refuse(UNAVAILABLE, hear);
      throw error;
    }
  }

  #refuse(rule: string, hear: Hear, findings: readonly Finding[] = []): void {
    this.counts.refused.set(rule, (this.counts.refused.get(rule) ?? 0) + 1);
    hear({ accepted: false, why: rule, findings });
  }

  #answer(known: Known, judged: Judged): void {
    const { taken } = judged;
    const { bus, log, accepted } = this.#parts;
    this.counts.accepted += 1;
    if (taken.change !== null) {
      const level = taken.verdict.status === 'affirming' ? 'info' : 'warning';
      log.write(level, 'verdict', `${known.id}: ${taken.change}`, { device: known.id, status: taken.verdict.status });
    }
    // A result that is lost is followed by the next one; the device's lease is long enough for that, and a device that comes back
    // asks anew. That the broker took it would tell nobody anything.
    const envelope = toUtf8(taken.verdict.envelope);
    bus.publish(downTopic(known.id, 'result'), envelope, { atMostOnce: true }).catch(() => undefined);
    accepted(known, judged);
  }

  async #judge({ id, bytes, log, hear }: Held): Promise<Judged | null> {
    const { roster, yardstick, clock, keys } = this.#parts;
    let known = roster.get(id);
    for (let tries = 0; known !== null; tries++) {
      const by = yardstick(known.profile);
      if (known.endorsement === null || by === null) break;
      const input = inputFor(known, by, bytes, log, clock.now());
      const appraisal = await appraiseAsking(keys.work.verify, input);
      if (appraisal.accepted) return { hear, known, input, taken: await acceptance(known, appraisal, input, keys) };
      const [first] = appraisal.findings;
      // Not the generation we remember: it may be the one that another controller left behind.
      if (tries === 0 && appraisal.findings.length === 1 && first?.rule === 'superseded') {
        known = await roster.refresh(id);
        continue;
      }
      this.#refuse(first?.rule ?? 'evidence-malformed', hear, appraisal.findings);
      await this.#follow(known, appraisal).catch((error: unknown) => {
        this.#parts.failed(error);
      });
      return null;
    }
    // Not one that is judged: never let in, or its profile is not known here.
    hear({ accepted: false, why: 'unknown', findings: [] });
    return null;
  }

  /** What is done about evidence that was not accepted. */
  async #follow(known: Known, appraisal: Appraisal): Promise<void> {
    const { challenge, findings, authentic } = appraisal;
    const { overtaken, unexplained } = this.#parts;
    if (challenge !== null && findings.every(({ rule }) => OVERTAKEN.has(rule)))
      await overtaken(known, challenge.generation > known.row.generation);
    if (authentic) await unexplained(known, appraisal);
  }
}
