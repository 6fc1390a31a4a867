// A device in parts for tests of measuring: a TPM, a journal, what a verifier would conclude, and cuts at every step.
import { expect } from 'vitest';
import type { BootEvent, EpochChange, LogEvent, SlotEvent } from '../../src/cel/events.ts';
import { decodeEvent, decodeRecord, replay, ZERO_PCR } from '../../src/cel/record.ts';
import { EventRecorder } from '../../src/measure/recorder.ts';
import type { EventRecorderOptions, OpenedRecorder } from '../../src/measure/recorder.ts';
import type { Journal } from '../../src/store/journal.ts';
import type { Tpm } from '../../src/tpm/port.ts';

export const PCR = 14;

/** Events that differ by their number. */
export function slotEvent(n: number): SlotEvent {
  const release = Buffer.alloc(32);
  release.writeUInt32BE(n);
  return {
    v: 1,
    type: 'slot',
    slot: 'main',
    cause: 'measured',
    release,
    statement: null,
    manifest: Buffer.alloc(32, 1),
    configs: null,
    differing: [],
    more: 0,
  };
}

export function bootEvent(why: EpochChange): BootEvent {
  const digest = Buffer.alloc(32, 2);
  const components = { agent: digest, node: digest, profile: digest, trust: digest, runtime: null };
  return { v: 1, type: 'boot', deviceId: 'device', why, components: { ...components, gateMode: 'none' } };
}

/** The number of a slotEvent. */
export function numberOf(event: LogEvent): number {
  return event.type === 'slot' && event.release !== null ? Buffer.from(event.release).readUInt32BE() : -1;
}

/** Everything the journal's log says. */
export async function eventsOf(journal: Pick<Journal, 'head' | 'records'>): Promise<LogEvent[]> {
  const head = await journal.head();
  const records = await journal.records(1, head?.seq ?? 0);
  return records.map((record) => decodeEvent(decodeRecord(record).content));
}

/** Numbers of the slot events in the log, in its order. */
export async function numbersIn(journal: Pick<Journal, 'head' | 'records'>): Promise<number[]> {
  return (await eventsOf(journal)).filter((event) => event.type === 'slot').map(numberOf);
}

export async function pcrOf(tpm: Pick<Tpm, 'readPcrs'>): Promise<Buffer> {
  const [value] = await tpm.readPcrs({ bank: 'sha256', pcrs: [PCR] });
  return value ?? Buffer.alloc(0);
}

/** The log replays to what the PCR really holds, and its records are numbered 1, 2, 3, … */
export async function expectExplained(tpm: Pick<Tpm, 'readPcrs'>, journal: Journal): Promise<void> {
  const head = await journal.head();
  expect(head?.intent).toBeNull();
  expect(head?.aside).toBeNull();
  const records = (await journal.records(1, head?.seq ?? 0)).map((record) => decodeRecord(record));
  expect(records.map(({ recnum }) => recnum)).toEqual(records.map((_, i) => i + 1));
  expect(records.every(({ pcr }) => pcr === PCR)).toBe(true);
  const pcr = await pcrOf(tpm);
  expect(replay(ZERO_PCR, records).toString('hex')).toBe(pcr.toString('hex'));
  expect(head?.pcr.toString('hex')).toBe(pcr.toString('hex'));
}

export function openRecorder(options: Omit<EventRecorderOptions, 'pcr'>): Promise<OpenedRecorder> {
  return EventRecorder.open({ ...options, pcr: PCR });
}

/** The process is gone: nothing it still does has any effect. */
export class Cut extends Error {}

/** Counts the calls on everything that it wraps, and cuts at one of them: before it is made, or after it had its effect. */
export class Knife {
  calls = 0;
  names: string[] = [];
  readonly #at: number;
  readonly #when: 'before' | 'after';
  #dead = false;

  constructor(at: number = Infinity, when: 'before' | 'after' = 'before') {
    this.#at = at;
    this.#when = when;
  }

  wrap<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (from, name) => {
        const value: unknown = Reflect.get(from, name, from);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          if (this.#dead) throw new Cut();
          const here = ++this.calls === this.#at;
          this.names.push(String(name));
          if (here) this.#dead = true;
          if (here && this.#when === 'before') throw new Cut();
          const result: unknown = await Reflect.apply(value as (...given: unknown[]) => unknown, from, args);
          if (this.#dead) throw new Cut();
          return result;
        };
      },
    });
  }
}

/** A run of an agent: the boot where it is new, three events and a quote. Events that `append` acknowledged are told at once. */
export async function runOnce(
  parts: Omit<EventRecorderOptions, 'pcr'>,
  first: number,
  acknowledged: (n: number) => void,
): Promise<OpenedRecorder> {
  const opened = await openRecorder(parts);
  if (opened.newLog) await opened.recorder.append(bootEvent(opened.why));
  for (let n = first; n < first + 3; n++) {
    await opened.recorder.append(slotEvent(n));
    acknowledged(n);
  }
  await opened.recorder.snapshot(async () => pcrOf(parts.tpm));
  return opened;
}
