// Each sentence of the measuring protocol is needed: what goes wrong without it, and does not with it.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ALL_RULES, JOURNAL_RULES } from '../../src/measure/journal-rules.ts';
import type { Followed, JournalRule } from '../../src/measure/journal-rules.ts';
import type { EventRecorder } from '../../src/measure/recorder.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';
import { eventsOf, Knife, numbersIn, openRecorder, PCR, pcrOf, runOnce, slotEvent } from './device.ts';

interface Device {
  readonly tpm: FakeTpm;
  readonly journal: MemoryJournal;
  readonly rules: Followed;
  readonly recorder: EventRecorder;
}

/** Does something at the next command of this name. */
function onNext(tpm: FakeTpm, command: string, happen: () => void): void {
  tpm.onCommand = (name) => {
    if (name !== command) return;
    tpm.onCommand = () => {};
    happen();
  };
}

/** True: after this, the device's own log accuses a stranger, though there was none. */
function accusesStranger(happen: (device: Device) => Promise<void> | void): (device: Device) => Promise<boolean> {
  return async (device) => {
    await happen(device);
    await openRecorder(device);
    return (await eventsOf(device.journal)).some((event) => event.type === 'foreign-extension');
  };
}

async function resetBeforeExtend({ tpm, recorder }: Device): Promise<void> {
  onNext(tpm, 'extendPcr', () => {
    tpm.reset();
  });
  await recorder.append(slotEvent(9)).catch(() => {});
}

/** What goes wrong without each sentence. BARRIER is held by order instead: see below. */
const WRONG: Readonly<Record<Exclude<JournalRule, 'BARRIER'>, (device: Device) => Promise<boolean>>> = {
  SYNC_INTENT: accusesStranger(async ({ tpm, recorder }) => {
    onNext(tpm, 'extendPcr', () => {
      tpm.loseNextAnswer('executed');
    });
    await recorder.append(slotEvent(9)).catch(() => {});
  }),
  EPOCH_AROUND: async ({ tpm, journal, rules }) => {
    onNext(tpm, 'readPcrs', () => {
      tpm.reset();
    });
    const knife = new Knife();
    await openRecorder({ tpm, journal: knife.wrap(journal), rules });
    // An old epoch with the PCR of a new one looks like a stranger's work, and is written down.
    return knife.names.includes('openIntent');
  },
  EPOCH_DONE: accusesStranger(resetBeforeExtend),
  CROSS: accusesStranger(resetBeforeExtend),
  RESUME: accusesStranger(({ tpm }) => {
    tpm.suspendResume();
  }),
  QUOTE_LOCK: async ({ tpm, recorder }) => {
    let appended: Promise<unknown> = Promise.resolve();
    const quoted = recorder.snapshot(async (head) => {
      appended = recorder.append(slotEvent(9)).catch(() => {});
      await turn();
      return (await pcrOf(tpm)).equals(head.pcr);
    });
    const right = await quoted.catch(() => false);
    await appended;
    return !right;
  },
  REPEAT: async (device) => {
    const { tpm, journal, recorder } = device;
    onNext(tpm, 'extendPcr', () => {
      tpm.loseNextAnswer('not-executed');
    });
    await recorder.append(slotEvent(9)).catch(() => {});
    tpm.foreignExtend(PCR);
    await openRecorder(device);
    return !(await numbersIn(journal)).includes(9);
  },
};

async function goesWrong(rule: Exclude<JournalRule, 'BARRIER'>, rules: Followed): Promise<boolean> {
  const parts = { tpm: new FakeTpm(), journal: new MemoryJournal(), rules };
  const { recorder } = await runOnce(parts, 1, () => {});
  return WRONG[rule]({ ...parts, recorder });
}

describe('a sentence of the measuring protocol', () => {
  test('is tested here, every one', () => {
    expect([...Object.keys(WRONG), 'BARRIER'].toSorted()).toEqual(Object.keys(JOURNAL_RULES).toSorted());
    expect(Object.keys(ALL_RULES)).toEqual(Object.keys(JOURNAL_RULES));
    expect(Object.values(ALL_RULES).every(Boolean)).toBe(true);
  });

  for (const rule of Object.keys(WRONG) as (keyof typeof WRONG)[]) {
    test(`${rule}: ${JOURNAL_RULES[rule]}; without it this goes wrong, with it not`, async () => {
      expect(await goesWrong(rule, ALL_RULES)).toBe(false);
      expect(await goesWrong(rule, { ...ALL_RULES, [rule]: false })).toBe(true);
    });
  }

  test(`BARRIER: ${JOURNAL_RULES.BARRIER}`, async () => {
    const commands = async (rules: Followed): Promise<string[]> => {
      const knife = new Knife();
      await openRecorder({ tpm: knife.wrap(new FakeTpm()), journal: new MemoryJournal(), rules });
      return knife.names.slice(0, 3);
    };
    expect(await commands(ALL_RULES)).toEqual(['readClock', 'readClock', 'readPcrs']);
    expect(await commands({ ...ALL_RULES, BARRIER: false })).toEqual(['readClock', 'readPcrs', 'readClock']);
  });
});
