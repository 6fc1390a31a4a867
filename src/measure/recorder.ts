// The one who extends the event PCR: intent, extend, done, one event at a time, and never while a quote is taken.
import type { EpochChange, LogEvent } from '../cel/events.ts';
import { advance, encodeRecord, makeRecord } from '../cel/record.ts';
import type { LogHead } from '../store/journal.ts';
import { sameEpoch } from '../tpm/port.ts';
import { EpochMoved } from './epoch-moved.ts';
import { ALL_RULES } from './journal-rules.ts';
import type { Followed } from './journal-rules.ts';
import { readEventPcr, recover } from './recover.ts';
import type { MeasuringParts } from './recover.ts';

export interface EventRecorderOptions extends MeasuringParts {
  /** Tests take single sentences of the protocol away, to see what breaks. */
  readonly rules?: Followed;
}

export interface OpenedRecorder {
  readonly recorder: EventRecorder;
  /** How this start's epoch followed the journal's; with `newLog`, how the log's epoch followed the one before it. */
  readonly why: EpochChange;
  /** The log has no boot event yet: record it first. */
  readonly newLog: boolean;
}

/** What the log says about itself: no foreign extension among it, because only a start can see one. */
export type RecordedEvent = Exclude<LogEvent, { type: 'foreign-extension' }>;

/**
 * One per process, over the one journal of this device. After an error of `append`, or EpochMoved, it takes nothing more: whether the extend ran
 * is for the next `open` to see.
 */
export class EventRecorder {
  readonly #parts: MeasuringParts;
  readonly #rules: Followed;
  #head: LogHead;
  #tail: Promise<unknown> = Promise.resolve();
  #broken: { readonly error: unknown } | null = null;

  private constructor(parts: MeasuringParts, rules: Followed, head: LogHead) {
    this.#parts = parts;
    this.#rules = rules;
    this.#head = head;
  }

  /** Explains what the PCR holds before anything is added to it. Errors: TpmError; StoreError; EpochMoved. */
  static async open(options: EventRecorderOptions): Promise<OpenedRecorder> {
    const { rules = ALL_RULES, ...parts } = options;
    const { head, why, newLog } = await recover(parts, rules);
    return { recorder: new EventRecorder(parts, rules, head), why, newLog };
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      if (this.#broken !== null) throw this.#broken.error;
      return work();
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  #end(error: unknown): never {
    this.#broken = { error };
    throw error;
  }

  /** The event is in the journal and in the PCR when this returns its sequence number. Errors: TpmError; StoreError; EpochMoved. */
  append(event: RecordedEvent): Promise<number> {
    const work = async (): Promise<number> => this.#append(event);
    return this.#rules.QUOTE_LOCK ? this.#alone(work) : work();
  }

  async #append(event: RecordedEvent): Promise<number> {
    const { tpm, journal, pcr } = this.#parts;
    const head = this.#head;
    const record = makeRecord(head.seq + 1, pcr, event);
    const encoded = encodeRecord(record);
    try {
      if (!this.#rules.SYNC_INTENT) await tpm.extendPcr(pcr, record.digest);
      const seq = await journal.openIntent(encoded, record.digest);
      if (this.#rules.SYNC_INTENT) await tpm.extendPcr(pcr, record.digest);
      if (this.#rules.EPOCH_DONE && !sameEpoch(await tpm.readClock(), head.epoch)) throw new EpochMoved('epoch');
      const after = advance(head.pcr, record);
      await journal.closeIntent(seq, after);
      this.#head = { ...head, seq, pcr: after };
      return seq;
    } catch (error) {
      return this.#end(error);
    }
  }

  /**
   * Runs `fn` while no intent is open and nothing can be appended. `fn` must not append. What it made is given back only when it shows by
   * itself, as a quote can, that the PCR was what the log leads to, in the log's epoch; or else when the PCR is still so: it then was so
   * throughout. Errors: those of `fn`; TpmError; EpochMoved.
   */
  snapshot<T>(fn: (head: LogHead) => Promise<T>, showsHead: (made: T) => boolean = () => false): Promise<T> {
    return this.#alone(async () => {
      const head = this.#head;
      const made = await fn(head);
      if (showsHead(made)) return made;
      // In this order: a PCR read first and then the same epoch were true together, whatever came after.
      const found = await readEventPcr(this.#parts);
      if (!sameEpoch(await this.#parts.tpm.readClock(), head.epoch)) this.#end(new EpochMoved('epoch'));
      if (!found.equals(head.pcr)) this.#end(new EpochMoved('pcr'));
      return made;
    });
  }
}
