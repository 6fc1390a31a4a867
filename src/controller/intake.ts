// Takes evidence in: judged in batches, accepted in one transaction a batch, and only then answered.
import { toUtf8 } from '../bytes/text.ts';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { WireError } from '../errors.ts';
import { decodeEvidence } from '../protocol/codec.ts';
import type { LogPart } from '../protocol/messages.ts';
import type { Appraisal } from '../verifier/types.ts';
import { acceptance, afterAcceptance, judge } from './judging.ts';
import type { JudgingKeys, Yardstick } from './judging.ts';
import type { Log } from '../log.ts';
import type { Acceptance, Registry } from './registry.ts';
import type { Known, Roster } from './roster.ts';

/** Evidence judged before one transaction. */
const BATCH = 256;
/** Evidence waiting to be judged; more is dropped, and asked for again in its rhythm. */
const MAX_WAITING = 20_000;
/** Of one device: the newest is the one that can count. */
const MAX_WAITING_OF_ONE = 4;
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
  readonly accepted: (known: Known) => void;
  /** Authentic, and not accepted. */
  readonly unexplained: (known: Known, appraisal: Appraisal) => Promise<void>;
  /** It answers a challenge of ours that the registry has yet to come to. */
  readonly ahead: (known: Known) => Promise<void>;
  /** What can't be gone on with. */
  readonly failed: (error: unknown) => void;
}

/** Against a challenge that truly is ours: it came too late, or its row stands elsewhere. */
const OVERTAKEN: ReadonlySet<string> = new Set(['superseded', 'late']);

/** What became of the evidence since the start. */
export interface IntakeCounts {
  received: number;
  accepted: number;
  /** Not accepted, by the first rule that was broken. */
  readonly refused: Map<string, number>;
  dropped: number;
}

interface Waiting {
  readonly id: string;
  readonly bytes: Buffer;
  /** The log that came before the evidence, in parts; null when the evidence carries its log, or is no evidence. */
  readonly log: Buffer | null;
}

interface Judged {
  readonly known: Known;
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
  readonly #waiting: Waiting[] = [];
  readonly #waitingOf = new Map<string, number>();
  readonly #gathering = new Map<string, Promise<unknown>>();
  readonly counts: IntakeCounts = { received: 0, accepted: 0, refused: new Map(), dropped: 0 };
  #running: Promise<void> | null = null;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes one evidence message of device `id`; judged later, in a batch with others. */
  take(id: string, bytes: Buffer): void {
    this.counts.received += 1;
    const part = logPartOf(bytes);
    if (part === null) {
      this.#queue({ id, bytes, log: null });
      return;
    }
    if (this.#gathering.has(id) || this.#gathering.size >= MAX_GATHERING) {
      this.counts.dropped += 1;
      return;
    }
    const gathering = this.#gather(id, bytes, part)
      .catch((error: unknown) => {
        this.#parts.failed(error);
      })
      .finally(() => this.#gathering.delete(id));
    this.#gathering.set(id, gathering);
  }

  /** Beside the queue: who waits for his parts keeps nobody else waiting. */
  async #gather(id: string, bytes: Buffer, part: SentBefore): Promise<void> {
    const { registry, clock } = this.#parts;
    for (let tries = 0; tries < PART_TRIES; tries++) {
      if (tries > 0) await clock.sleep(PART_WAIT_MS);
      const log = await registry.takeLogParts(id, Buffer.from(part.digest), part.parts);
      if (log !== null) {
        this.#queue({ id, bytes, log });
        return;
      }
    }
    this.#refuse('log-parts');
  }

  #queue(waiting: Waiting): void {
    const ofThis = this.#waitingOf.get(waiting.id) ?? 0;
    if (this.#waiting.length >= MAX_WAITING || ofThis >= MAX_WAITING_OF_ONE) {
      this.counts.dropped += 1;
      return;
    }
    this.#waitingOf.set(waiting.id, ofThis + 1);
    this.#waiting.push(waiting);
    this.#running ??= this.#drain();
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#gathering.values());
    while (this.#running !== null) await this.#running;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        // What else has arrived comes along: a transaction costs the same for one and for many.
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        await this.#batch(this.#nextBatch());
      }
    } catch (error) {
      this.#parts.failed(error);
    } finally {
      this.#running = null;
    }
  }

  /** At most one of each device: its row is compared and set once. */
  #nextBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const later: Waiting[] = [];
    const seen = new Set<string>();
    for (const one of this.#waiting.splice(0, BATCH)) {
      if (seen.has(one.id)) later.push(one);
      else {
        seen.add(one.id);
        batch.push(one);
        const left = (this.#waitingOf.get(one.id) ?? 1) - 1;
        if (left === 0) this.#waitingOf.delete(one.id);
        else this.#waitingOf.set(one.id, left);
      }
    }
    this.#waiting.unshift(...later);
    return batch;
  }

  async #batch(batch: readonly Waiting[]): Promise<void> {
    const judged: Judged[] = [];
    for (const waiting of batch) {
      const one = await this.#judge(waiting);
      if (one !== null) judged.push(one);
    }
    if (judged.length === 0) return;
    const { registry, roster } = this.#parts;
    const won = await registry.accept(judged.map(({ taken }) => taken));
    for (const [i, { known, taken }] of judged.entries()) {
      if (won[i] === true) this.#answer(roster.update(known, afterAcceptance(taken)), taken);
      else {
        // Another controller was quicker, or an operator took the device out: no verdict.
        this.#refuse('superseded');
        await roster.refresh(known.id);
      }
    }
  }

  #refuse(rule: string): void {
    this.counts.refused.set(rule, (this.counts.refused.get(rule) ?? 0) + 1);
  }

  #answer(known: Known, taken: Acceptance): void {
    const { bus, log, accepted } = this.#parts;
    this.counts.accepted += 1;
    if (taken.change !== null) {
      const level = taken.verdict.status === 'affirming' ? 'info' : 'warning';
      log.write(level, 'verdict', `${known.id}: ${taken.change}`, { device: known.id, status: taken.verdict.status });
    }
    // A result that is lost is followed by the next one; the device's lease is long enough for that.
    bus.publish(downTopic(known.id, 'result'), toUtf8(taken.verdict.envelope)).catch(() => undefined);
    accepted(known);
  }

  async #judge({ id, bytes, log }: Waiting): Promise<Judged | null> {
    const { roster, yardstick, unexplained, clock, keys } = this.#parts;
    let known = roster.get(id);
    for (let tries = 0; known !== null; tries++) {
      const by = yardstick(known.profile);
      if (known.endorsement === null || by === null) return null;
      const now = clock.now();
      const appraisal = judge(known, by, bytes, log, now);
      if (appraisal.accepted) return { known, taken: acceptance(known, appraisal, by, bytes, keys, now) };
      const [first] = appraisal.findings;
      // Not the generation we remember: it may be the one that another controller left behind.
      if (tries === 0 && appraisal.findings.length === 1 && first?.rule === 'superseded') {
        known = await roster.refresh(id);
        continue;
      }
      this.#refuse(first?.rule ?? 'evidence-malformed');
      const ours = appraisal.challenge !== null && appraisal.findings.every(({ rule }) => OVERTAKEN.has(rule));
      if (ours && (appraisal.challenge?.generation ?? 0) > known.row.generation) await this.#parts.ahead(known);
      if (appraisal.authentic) await unexplained(known, appraisal);
      return null;
    }
    return null;
  }
}
