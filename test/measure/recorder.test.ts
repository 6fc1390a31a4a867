// The recorder on a TPM of software keys: every cut, every reset and every stranger is explained.
import { describe, expect, test } from 'vitest';
import { decodeEvent, decodeRecord } from '../../src/cel/record.ts';
import { EpochMoved } from '../../src/measure/epoch-moved.ts';
import { TpmError } from '../../src/tpm/tpm-error.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import {
  Cut,
  eventsOf,
  expectExplained,
  Knife,
  numbersIn,
  openRecorder,
  PCR,
  pcrOf,
  runOnce,
  slotEvent,
} from './device.ts';

const types = async (journal: MemoryJournal): Promise<string[]> => (await eventsOf(journal)).map(({ type }) => type);

/** Types of the events whose intents are durable, done or not. */
async function intendedTypes(journal: MemoryJournal): Promise<string[]> {
  const open = (await journal.head())?.intent ?? null;
  return [...(await types(journal)), ...(open === null ? [] : [decodeEvent(decodeRecord(open.record).content).type])];
}

/** What happens to the machine after its agent was cut. `keeps`: the PCRs. */
const AFTERWARDS: readonly { name: string; keeps: boolean; why: string; happen: (tpm: FakeTpm) => void }[] = [
  { name: 'the agent alone was killed', keeps: true, why: 'continued', happen: () => {} },
  { name: 'suspend and resume', keeps: true, why: 'resumed', happen: (tpm) => tpm.suspendResume() },
  { name: 'hibernation', keeps: false, why: 'restarted', happen: (tpm) => tpm.hibernate() },
  { name: 'a power cut', keeps: false, why: 'power-cut', happen: (tpm) => tpm.reset() },
  { name: 'a reboot', keeps: false, why: 'rebooted', happen: (tpm) => tpm.reset({ clean: true }) },
];

describe('an event', () => {
  test('is durable as an intent, then in the PCR, then done, in this order', async () => {
    const knife = new Knife();
    const [tpm, journal] = [knife.wrap(new FakeTpm()), knife.wrap(new MemoryJournal())];
    const { recorder } = await openRecorder({ tpm, journal });
    knife.names = [];
    expect(await recorder.append(slotEvent(1))).toBe(1);
    expect(await recorder.append(slotEvent(2))).toBe(2);
    const once = ['openIntent', 'extendPcr', 'readClock', 'closeIntent'];
    expect(knife.names).toEqual([...once, ...once]);
    await expectExplained(tpm, journal);
  });

  test('BARRIER: a start reads no PCR before a first command was answered', async () => {
    const knife = new Knife();
    const tpm = knife.wrap(new FakeTpm());
    await openRecorder({ tpm, journal: new MemoryJournal() });
    expect(knife.names.slice(0, 4)).toEqual(['readClock', 'readClock', 'readPcrs', 'readClock']);
  });

  test('whose extend was executed late, after the agent was gone, is in the log once', async () => {
    const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
    await runOnce({ tpm, journal }, 1, () => {});
    for (const how of ['executed', 'not-executed', 'late'] as const) {
      const { recorder } = await openRecorder({ tpm, journal });
      const n = 1 + (await numbersIn(journal)).length;
      tpm.onCommand = (name) => {
        if (name === 'extendPcr') tpm.loseNextAnswer(how);
      };
      await expect(recorder.append(slotEvent(n))).rejects.toThrow('the answer was lost');
      tpm.onCommand = () => {};
      // Whether it ran is not this recorder's to guess.
      await expect(recorder.append(slotEvent(99))).rejects.toThrow('the answer was lost');
      await expect(recorder.snapshot(async () => 1)).rejects.toThrow('the answer was lost');
      expect((await openRecorder({ tpm, journal })).why).toBe('continued');
      await expectExplained(tpm, journal);
      expect(await numbersIn(journal)).toEqual(Array.from({ length: n }, (_, i) => i + 1));
    }
  });
});

describe('a cut before and after every single step', () => {
  for (const { name, keeps, why, happen } of AFTERWARDS) {
    test(`then ${name}: explained, nothing lost, nothing doubled, no stranger suspected`, async () => {
      const whole = new Knife();
      await runOnce({ tpm: whole.wrap(new FakeTpm()), journal: whole.wrap(new MemoryJournal()) }, 1, () => {});
      expect(whole.calls).toBeGreaterThan(15);
      for (let at = 1; at <= whole.calls; at++) {
        for (const when of ['before', 'after'] as const) {
          const [tpm, journal, knife] = [new FakeTpm(), new MemoryJournal(), new Knife(at, when)];
          const acknowledged: number[] = [];
          const parts = { tpm: knife.wrap(tpm), journal: knife.wrap(journal) };
          await expect(runOnce(parts, 1, (n) => acknowledged.push(n))).rejects.toThrow(Cut);
          const intended = await intendedTypes(journal);
          const before = await journal.head();
          happen(tpm);
          const opened = await openRecorder({ tpm, journal });
          await expectExplained(tpm, journal);
          // A TPM whose PCR is still zero can't be told from one that lost it: there is nothing to keep.
          const left = before !== null && keeps && (before.seq > 0 || opened.why !== 'restarted') ? intended : [];
          expect(await types(journal)).toEqual(left);
          expect((await numbersIn(journal)).length).toBeGreaterThanOrEqual(left.length === 0 ? 0 : acknowledged.length);
          expect(opened.newLog).toBe(!left.includes('boot'));
          const changes = before === null ? ['first'] : opened.newLog && keeps ? ['first', 'restarted'] : [why];
          expect(changes).toContain(opened.why);
          await opened.recorder.append(slotEvent(50));
          await expectExplained(tpm, journal);
        }
      }
    });
  }
});

describe('a TPM that moves under a living agent', () => {
  const MOVES: readonly [string, (tpm: FakeTpm) => void][] = [
    ['reset', (tpm) => tpm.reset()],
    ['suspend and resume', (tpm) => tpm.suspendResume()],
    ['hibernation', (tpm) => tpm.hibernate()],
  ];
  for (const [name, move] of MOVES) {
    test(`${name} at any command: no quote is given out for another log, and the next start explains it`, async () => {
      for (let at = 1; at <= 40; at++) {
        const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
        let commands = 0;
        tpm.onCommand = () => {
          if (++commands === at) move(tpm);
        };
        const end = await runOnce({ tpm, journal }, 1, () => {}).then(
          () => null,
          (error: unknown) => error,
        );
        tpm.onCommand = () => {};
        expect(end === null || end instanceof EpochMoved).toBe(true);
        await openRecorder({ tpm, journal });
        await expectExplained(tpm, journal);
        expect(await types(journal)).not.toContain('foreign-extension');
        const numbers = await numbersIn(journal);
        expect(new Set(numbers).size).toBe(numbers.length);
      }
    });
  }

  test('that never comes to rest ends the start', async () => {
    const tpm = new FakeTpm();
    tpm.onCommand = () => {
      tpm.suspendResume();
    };
    await expect(openRecorder({ tpm, journal: new MemoryJournal() })).rejects.toThrow(EpochMoved);
  });
});

describe('a value that nobody journalled', () => {
  test('is named in the log with what was expected and found, and the log goes on from it', async () => {
    const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
    await runOnce({ tpm, journal }, 1, () => {});
    const expected = await pcrOf(tpm);
    tpm.foreignExtend(PCR);
    const found = await pcrOf(tpm);
    const { why, newLog } = await openRecorder({ tpm, journal });
    expect({ why, newLog }).toEqual({ why: 'continued', newLog: false });
    const event = (await eventsOf(journal)).at(-1);
    if (event?.type !== 'foreign-extension') throw new Error('no foreign extension in the log');
    expect([Buffer.from(event.expected), Buffer.from(event.found)]).toEqual([expected, found]);
    await expectExplained(tpm, journal);
  });

  test('that came before the first journal is one too', async () => {
    const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
    tpm.foreignExtend(PCR);
    expect(await openRecorder({ tpm, journal })).toMatchObject({ why: 'first', newLog: true });
    expect(await types(journal)).toEqual(['foreign-extension']);
    await expectExplained(tpm, journal);
  });

  test('while an event was on its way: the event is recorded again after it', async () => {
    for (const how of ['executed', 'not-executed'] as const) {
      const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
      const { recorder } = await openRecorder({ tpm, journal });
      await recorder.append(slotEvent(1));
      tpm.onCommand = (name) => {
        if (name === 'extendPcr') tpm.loseNextAnswer(how);
      };
      await expect(recorder.append(slotEvent(2))).rejects.toThrow(TpmError);
      tpm.onCommand = () => {};
      tpm.foreignExtend(PCR);
      await openRecorder({ tpm, journal });
      await expectExplained(tpm, journal);
      expect(await types(journal)).toEqual(['slot', 'foreign-extension', 'slot']);
      expect(await numbersIn(journal)).toEqual([1, 2]);
    }
  });

  test('and again at every step of the start that explains it, cut or not', async () => {
    for (let at = 1; at <= 40; at++) {
      for (const when of ['before', 'after'] as const) {
        const [tpm, journal, knife] = [new FakeTpm(), new MemoryJournal(), new Knife(at, when)];
        const { recorder } = await openRecorder({ tpm, journal });
        await recorder.append(slotEvent(1));
        tpm.loseNextAnswer('not-executed');
        await expect(recorder.append(slotEvent(2))).rejects.toThrow(TpmError);
        tpm.foreignExtend(PCR);
        await openRecorder({ tpm: knife.wrap(tpm), journal: knife.wrap(journal) }).catch(() => {});
        tpm.foreignExtend(PCR);
        await openRecorder({ tpm, journal });
        await expectExplained(tpm, journal);
        expect(await types(journal)).toContain('foreign-extension');
        expect((await numbersIn(journal)).filter((n) => n === 2).length).toBeGreaterThanOrEqual(1);
      }
    }
  });

  test('is noticed by the next quote, which is not given out', async () => {
    const [tpm, journal] = [new FakeTpm(), new MemoryJournal()];
    const { recorder } = await runOnce({ tpm, journal }, 1, () => {});
    let quoted = 0;
    const quote = async (): Promise<number> => ++quoted;
    tpm.foreignExtend(PCR);
    await expect(recorder.snapshot(quote)).rejects.toMatchObject({ code: 'TPM_MOVED', moved: 'pcr' });
    await expect(recorder.append(slotEvent(9))).rejects.toThrow(EpochMoved);
    expect(quoted).toBe(1);
  });
});
