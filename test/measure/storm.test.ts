// Hundreds of random lives of a device: kills, resets, lost answers and strangers at any step, in any order.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRecord, replay, ZERO_PCR } from '../../src/cel/record.ts';
import type { EventRecorder } from '../../src/measure/recorder.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { bootEvent, Cut, eventsOf, numbersIn, openRecorder, PCR, pcrOf, slotEvent } from './device.ts';

const KINDS = ['kill', 'power cut', 'reboot', 'resume', 'hibernate', 'reset alive', 'stranger'] as const;
const LOSSES = ['executed', 'not-executed', 'late'] as const;
type Blow = (typeof KINDS)[number] | (typeof LOSSES)[number];

/** Something that happens `after` so many calls since the one before, before or after the call has its effect. */
interface Stroke {
  readonly after: number;
  readonly blow: Blow;
  readonly late: boolean;
}

class Violation extends Error {}

function demand(holds: boolean, otherwise: string): void {
  if (!holds) throw new Violation(otherwise);
}

class Life {
  readonly #tpm = new FakeTpm();
  readonly #journal = new MemoryJournal();
  readonly #strokes: Stroke[];
  #calls = 0;
  #process = 0;
  #next = 1;
  #zeros = 0;
  /** Since the PCR was last zero. */
  #stranger = false;
  #strangerEver = false;
  /** Numbers whose append was acknowledged since then. */
  #owed: number[] = [];
  quotes = 0;

  constructor(strokes: readonly Stroke[]) {
    this.#strokes = [...strokes];
  }

  #strike(late: boolean): void {
    const stroke = this.#strokes[0];
    if (stroke === undefined || stroke.late !== late || this.#calls < stroke.after) return;
    this.#strokes.shift();
    this.#calls = 0;
    this.#blow(stroke.blow);
  }

  #zero(): void {
    this.#zeros++;
    this.#stranger = false;
    this.#owed = [];
  }

  #blow(blow: Blow): void {
    if (blow === 'kill' || blow === 'power cut' || blow === 'reboot') this.#process++;
    if (blow === 'power cut' || blow === 'reset alive') this.#tpm.reset();
    if (blow === 'reboot') this.#tpm.reset({ clean: true });
    if (blow === 'resume') this.#tpm.suspendResume();
    if (blow === 'hibernate') this.#tpm.hibernate();
    if (['power cut', 'reset alive', 'reboot', 'hibernate'].includes(blow)) this.#zero();
    if (blow === 'stranger') {
      this.#tpm.foreignExtend(PCR);
      this.#stranger = true;
      this.#strangerEver = true;
    }
    if (blow === 'executed' || blow === 'not-executed' || blow === 'late') {
      this.#tpm.onCommand = (name) => {
        if (name !== 'extendPcr') return;
        this.#tpm.onCommand = () => {};
        this.#tpm.loseNextAnswer(blow);
      };
    }
  }

  /** As a process sees it: after its end none of its calls has an effect. */
  #seen<T extends object>(target: T): T {
    const process = this.#process;
    return new Proxy(target, {
      get: (from, name) => {
        const value: unknown = Reflect.get(from, name, from);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          this.#calls++;
          this.#strike(false);
          if (process !== this.#process) throw new Cut();
          const result: unknown = await Reflect.apply(value as (...given: unknown[]) => unknown, from, args);
          this.#strike(true);
          if (process !== this.#process) throw new Cut();
          return result;
        };
      },
    });
  }

  async #run(recorder: EventRecorder): Promise<void> {
    for (let i = 0; i < 3; i++) {
      const n = this.#next++;
      const zeros = this.#zeros;
      await recorder.append(slotEvent(n));
      // Not owed where the PCR was zeroed meanwhile: then the log is already another.
      if (zeros === this.#zeros) this.#owed.push(n);
      await recorder.snapshot(async (head) => this.#quote(head.seq, head.pcr));
      await this.#candidate?.();
    }
  }

  #candidate: (() => Promise<void>) | null = null;

  async #quote(seq: number, pcr: Buffer): Promise<void> {
    const records = (await this.#journal.records(1, seq)).map((record) => decodeRecord(record));
    const found = await pcrOf(this.#tpm);
    const [stranger, owed] = [this.#stranger, [...this.#owed]];
    this.#candidate = async () => {
      this.quotes++;
      demand(replay(ZERO_PCR, records).equals(found), 'the log does not replay to the PCR');
      demand(pcr.equals(found), 'the head is not the PCR');
      const types = (await eventsOf(this.#journal)).map(({ type }) => type);
      demand(types.filter((type) => type === 'boot').length === 1, `not one boot event: ${types.join(', ')}`);
      const accused = types.includes('foreign-extension');
      demand(accused || !stranger, 'a stranger was not named');
      // The record that names one may itself meet a reset on its way, and then is in the PCR of a log in which it means nothing.
      demand(!accused || this.#strangerEver, 'a stranger was named and there was none');
      const numbers = await numbersIn(this.#journal);
      const lost = owed.filter((n) => !numbers.includes(n));
      demand(lost.length === 0, `events were lost: ${lost.join(', ')}`);
      demand(stranger || new Set(numbers).size === numbers.length, `events were doubled: ${numbers.join(', ')}`);
    };
  }

  async live(): Promise<void> {
    for (let lives = 0; lives < 60; lives++) {
      try {
        const [tpm, journal] = [this.#seen(this.#tpm), this.#seen(this.#journal)];
        const { recorder, newLog, why } = await openRecorder({ tpm, journal });
        // Then everything is measured again.
        if (newLog) {
          this.#owed = [];
          await recorder.append(bootEvent(why));
        }
        await this.#run(recorder);
        if (this.#strokes.length === 0) return;
      } catch (error) {
        if (error instanceof Violation) throw error;
      }
    }
    throw new Error(`does not come to rest: ${this.#strokes.length} strokes left`);
  }
}

const strokes = fc.array(
  fc.record({
    after: fc.integer({ min: 1, max: 12 }),
    blow: fc.constantFrom<Blow>(...KINDS, ...LOSSES),
    late: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

describe('a device to which anything happens at any step', () => {
  test('quotes only what its log replays to, names every stranger and nobody else, loses and doubles nothing', async () => {
    let quotes = 0;
    const property = fc.asyncProperty(strokes, async (plan) => {
      const life = new Life(plan);
      await life.live();
      quotes += life.quotes;
    });
    await fc.assert(property, { seed: 20_260_401, numRuns: 600 });
    expect(quotes).toBeGreaterThan(1800);
  });
});
