// The records kept in memory are the journal's: whatever happens to intents, what is given is what the log holds, and little is kept.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/digest.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { RecentRecords } from '../../src/store/recent-records.ts';
import { SqliteJournal } from '../../src/store/sqlite-journal.ts';

const EPOCH = { resetCount: 1, restartCount: 0 };
const START = { epoch: EPOCH, clock: 1n, why: 'first' } as const;
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), bytes: fc.integer({ min: 1, max: 9000 }) }) },
  fc.record({ do: fc.constantFrom('drop' as const, 'aside' as const, 'new' as const), bytes: fc.constant(7) }),
);

const sameRecords = (a: readonly Buffer[], b: readonly Buffer[]): boolean =>
  a.length === b.length && a.every((record, at) => record.equals(b[at] ?? Buffer.alloc(0)));

describe('recent records', () => {
  test('are those of the log, after whatever became of intents', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
        const recent = new RecentRecords();
        let log: Buffer[] = [];
        for (const [at, { do: what, bytes }] of acts.entries()) {
          const record = Buffer.alloc(bytes, at);
          if (what === 'new') {
            log = [];
            recent.forget();
          } else {
            recent.opened(record);
            if (what === 'append') recent.closed(log.push(record));
            else recent.dropped();
          }
          const numbers = Array.from({ length: log.length + 2 }, (_, number) => number);
          const wrong = numbers.flatMap((from) =>
            numbers.filter((to) => {
              const given = recent.get(from, to);
              return given !== null && (from < 1 || to < from || !sameRecords(given, log.slice(from - 1, to)));
            }),
          );
          const newest = recent.get(log.length, log.length);
          expect(wrong).toEqual([]);
          expect(newest).toEqual(log.length === 0 ? null : log.slice(-1));
        }
      }),
    );
  });

  test('of a log that began before this start are only the new ones', () => {
    const recent = new RecentRecords();
    recent.opened(Buffer.from('eight'));
    recent.closed(8);
    expect(recent.get(8, 8)).toEqual([Buffer.from('eight')]);
    expect(recent.get(7, 8)).toBeNull();
    // An intent that an earlier start had opened is closed without having been opened here.
    recent.closed(9);
    expect([recent.get(8, 8), recent.get(9, 9), recent.get(8, 9)]).toEqual([null, null, null]);
  });

  test('are few, however long the log', () => {
    const recent = new RecentRecords();
    for (let seq = 1; seq <= 1000; seq++) {
      recent.opened(Buffer.alloc(500));
      recent.closed(seq);
    }
    const kept = Array.from({ length: 1000 }, (_, at) => recent.get(at + 1, at + 1)).filter((found) => found !== null);
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.length).toBeLessThan(40);
  });

  test('of a journal are what its file holds, and a closed journal gives none', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'recent-')), 'journal.sqlite');
    const journal = await openJournal({ path });
    await journal.newLog(START);
    for (let n = 1; n <= 40; n++) {
      const digest = sha256(Buffer.from(`${n}`));
      if (n % 5 === 0) await journal.dropIntent(await journal.openIntent(Buffer.from('dropped'), digest));
      await journal.closeIntent(await journal.openIntent(Buffer.alloc(997, n), digest), digest);
    }
    const given = [await journal.records(1, 40), await journal.records(35, 40)];
    await journal[Symbol.asyncDispose]();
    await expect(journal.records(40, 40)).rejects.toThrow('closed');
    const file = new SqliteJournal(path);
    expect(given).toEqual([file.records(1, 40), file.records(35, 40)]);
    file.close();
  });
});
