// A journal that lost its end, or all of it, while the TPM lived on: the log never goes on as if nothing had been in between.
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../src/store/open-journal.ts';
import { FakeTpm } from '../fakes/fake-tpm.ts';
import { eventsOf, expectExplained, numbersIn, openRecorder, runOnce, slotEvent } from '../measure/device.ts';

const root = mkdtempSync(join(tmpdir(), 'loss-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const EVENTS = 24;
const CUTS = 20;

describe('a journal cut off behind a living TPM', () => {
  test('is explained: every event is there, or the gap is named', async () => {
    const tpm = new FakeTpm();
    const path = join(root, 'journal.sqlite');
    const copy = join(root, 'copy.sqlite');
    {
      await using journal = await openJournal({ path });
      const { recorder } = await runOnce({ tpm, journal }, 1, () => {});
      for (let n = 4; n <= EVENTS; n++) await recorder.append(slotEvent(n));
      // As a kill leaves it: the write-ahead log not yet folded in.
      for (const part of ['', '-wal']) copyFileSync(`${path}${part}`, `${copy}${part}`);
    }
    const outcomes = { whole: 0, named: 0, 'started over': 0 };
    const cuts = Array.from({ length: CUTS + 1 }, (_, i) => i / CUTS);
    for (const [from, part] of [
      [copy, '-wal'],
      [path, ''],
    ] as const) {
      const size = statSync(`${from}${part}`).size;
      for (const cut of cuts) {
        const at = join(root, `${part}${cut}.sqlite`);
        for (const each of ['', '-wal']) {
          if (existsSync(`${from}${each}`)) copyFileSync(`${from}${each}`, `${at}${each}`);
        }
        truncateSync(`${at}${part}`, Math.round(size * cut));
        await using journal = await openJournal({
          path: at,
          onCorrupt: 'start-over',
          session: Buffer.alloc(16),
          now: 1,
        });
        await openRecorder({ tpm: still(tpm), journal }).catch(() => {});
        const numbers = await numbersIn(journal);
        const named = (await journal.head())?.intent !== null || (await eventsOf(journal)).some(isForeign);
        const whole = numbers.length === EVENTS;
        expect([part, cut, whole || named]).toEqual([part, cut, true]);
        outcomes[whole ? 'whole' : journal.startedOver === null ? 'named' : 'started over']++;
        expect(existsSync(`${at}.corrupt-1`)).toBe(journal.startedOver !== null);
      }
    }
    expect(Object.values(outcomes).every((times) => times > 0)).toBe(true);
  });

  test('goes on after the gap as any log does', async () => {
    const tpm = new FakeTpm();
    const path = join(root, 'gone.sqlite');
    {
      await using journal = await openJournal({ path });
      await runOnce({ tpm, journal }, 1, () => {});
    }
    for (const part of ['', '-wal']) rmSync(`${path}${part}`, { force: true });
    await using journal = await openJournal({ path });
    await runOnce({ tpm, journal }, 1, () => {});
    await expectExplained(tpm, journal);
    expect((await eventsOf(journal)).map(({ type }) => type)).toEqual([
      'foreign-extension',
      'boot',
      'slot',
      'slot',
      'slot',
    ]);
  });
});

const isForeign = ({ type }: { readonly type: string }): boolean => type === 'foreign-extension';

/** The TPM as it was: what a start would extend is not, so that the next journal finds the same. */
function still(tpm: FakeTpm): Pick<FakeTpm, 'readClock' | 'readPcrs' | 'extendPcr'> {
  return {
    readClock: async () => tpm.readClock(),
    readPcrs: async (selection) => tpm.readPcrs(selection),
    extendPcr: async () => Promise.reject(new Error('the test ends here')),
  };
}
