// What the journal on disk adds to its contract: damage is found, a second process is kept out, a slow disk stops nobody.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import { emptySlot } from '../../src/store/journal.ts';
import { openJournal } from '../../src/store/open-journal.ts';
import { SqliteJournal } from '../../src/store/sqlite-journal.ts';

const root = mkdtempSync(join(tmpdir(), 'journal-disk-'));
const good = join(root, 'good.sqlite');
const session = Buffer.alloc(16, 7);
let count = 0;
const fresh = (): string => join(root, `${++count}.sqlite`);
const digest = (n: number): Buffer => Buffer.alloc(32, n);

beforeAll(() => {
  const journal = new SqliteJournal(good);
  journal.newLog({ epoch: { resetCount: 1, restartCount: 0 }, clock: 1n, why: 'first' });
  for (let n = 1; n <= 40; n++) {
    journal.closeIntent(journal.openIntent(Buffer.alloc(300, n), digest(n)), digest(n));
  }
  journal.setSlot({
    slot: 'main',
    active: 'a',
    previous: null,
    order: 3,
    staged: null,
    securityVersion: 2,
    state: 'COMMITTED',
    tries: 0,
    ranMs: 0,
  });
  journal.put('endorsement', Buffer.alloc(500, 9));
  journal.close();
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Opens, reads everything and closes: what was written, or refused, or (never) something else. */
function verdict(path: string): 'whole' | 'refused' | 'fewer' {
  try {
    const journal = new SqliteJournal(path);
    try {
      return journal.head()?.seq === 40 && journal.get('endorsement')?.length === 500 && journal.slots().length === 1
        ? 'whole'
        : 'fewer';
    } finally {
      journal.close();
    }
  } catch (error) {
    if (error instanceof StoreError && ['STORE_CORRUPT', 'STORE_NEWER'].includes(error.code)) return 'refused';
    throw error;
  }
}

describe('the journal on disk', () => {
  test('is readable by its owner only', () => {
    expect(statSync(good).mode & 0o777).toBe(0o600);
  });

  test('finds every changed byte that matters: whole or refused, never something else', () => {
    const bytes = readFileSync(good);
    const path = fresh();
    const seen = { whole: 0, refused: 0, fewer: 0 };
    for (let at = 0; at < bytes.length; at += 61) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      writeFileSync(path, changed);
      seen[verdict(path)]++;
      for (const part of ['-wal', '-shm']) rmSync(`${path}${part}`, { force: true });
    }
    expect(seen.fewer).toBe(0);
    expect(seen.refused).toBeGreaterThan(50);
  });

  test('cut off at any length is refused, or empty when nothing is left of it', () => {
    const size = statSync(good).size;
    for (let i = 0; i < 100; i++) {
      const path = fresh();
      copyFileSync(good, path);
      const length = Math.floor((size * i) / 100);
      truncateSync(path, length);
      expect([length, verdict(path)]).toEqual([length, length === 0 ? 'fewer' : 'refused']);
    }
  });

  test('cut off behind what was written since is refused too, and not taken for a disk that fails', () => {
    const path = fresh();
    copyFileSync(good, path);
    const journal = new SqliteJournal(path);
    // Longer than a page: its end lies in pages of its own, which nothing but itself leads to.
    journal.put('endorsement', Buffer.alloc(20_000, 1));
    journal.close();
    const again = new SqliteJournal(path);
    again.put('profile', Buffer.from('x'));
    const size = statSync(path).size;
    const seen = { whole: 0, refused: 0, fewer: 0 };
    for (let length = 0; length < size; length += 1021) {
      const cut = fresh();
      for (const part of ['', '-wal']) copyFileSync(`${path}${part}`, `${cut}${part}`);
      truncateSync(cut, length);
      seen[verdict(cut)]++;
    }
    again.close();
    expect(seen.refused).toBeGreaterThan(50);
  });

  test('that is damaged is an error, or kept aside and begun anew with a report that says so', async () => {
    const path = fresh();
    for (let time = 1; time <= 5; time++) {
      writeFileSync(path, `no database ${time}`);
      await expect(openJournal({ path })).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
      await using journal = await openJournal({ path, onCorrupt: 'start-over', session, now: 5 });
      expect(journal.startedOver).toBe(`${path}.corrupt-1`);
      expect(await journal.head()).toBeNull();
      expect(await journal.reports()).toMatchObject([
        { kind: 'journal', rule: 'journal-started-over', session, n: 1, at: 5 },
      ]);
      await journal[Symbol.asyncDispose]();
      expect(readFileSync(`${path}.corrupt-1`, 'utf8')).toBe(`no database ${time}`);
    }
    const kept = readdirSync(root).filter((name) => name.includes('.corrupt-'));
    expect(kept.length).toBe(3);
  });

  test('is of one process: another that opens it is told so', async () => {
    const path = fresh();
    await using journal = await openJournal({ path });
    await journal.put('profile', Buffer.from('x'));
    const script = fileURLToPath(new URL('second-process.ts', import.meta.url));
    const child = spawn(process.execPath, [script, path]);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(child, 'close');
    expect(said).toBe(`STORE_FAILED: ${path} is open in another process`);
  });

  test('of a newer version is refused, not touched', async () => {
    const path = fresh();
    copyFileSync(good, path);
    const bytes = readFileSync(path);
    // user_version, database header at byte 60.
    bytes.writeUInt32BE(1000, 60);
    writeFileSync(path, bytes);
    await expect(openJournal({ path, onCorrupt: 'start-over', session, now: 1 })).rejects.toMatchObject({
      code: 'STORE_NEWER',
    });
    expect(readFileSync(path)).toEqual(bytes);
  });

  test('blocks nobody while an fsync takes three seconds: the event loop turns, calls wait in order', async () => {
    const thread = new URL('slow-worker.ts', import.meta.url);
    await using journal = await openJournal({ path: join(root, 'slow-3000.sqlite'), thread });
    let turns = 0;
    const wait = { over: false };
    const written = journal.put('last-time', Buffer.from([1])).finally(() => {
      wait.over = true;
    });
    const read = journal.get('last-time');
    let longest = 0;
    for (let last = performance.now(); !wait.over; last = performance.now()) {
      await turn();
      turns++;
      longest = Math.max(longest, performance.now() - last);
    }
    await written;
    expect(await read).toEqual(Buffer.from([1]));
    expect(turns).toBeGreaterThan(1000);
    expect(longest).toBeLessThan(1500);
  });

  test('says which reports there were when it was asked, whoever waits for whom', async () => {
    await using journal = await openJournal({ path: fresh() });
    const report = { session, kind: 'tpm', rule: 'r', slot: null, subject: null, detail: 'd', at: 1 } as const;
    const numbers = async (): Promise<number[]> => (await journal.reports()).map(({ n }) => n);
    const none = numbers();
    await journal.addReport(report);
    const added = journal.addReport(report);
    const two = numbers();
    const set = journal.setSlot(emptySlot('main'), report);
    const three = numbers();
    const gone = journal.acknowledge([{ session, n: 1 }]);
    const left = numbers();
    expect(await Promise.all([none, two, three, left])).toEqual([[], [1, 2], [1, 2, 3], [2, 3]]);
    await Promise.all([added, set, gone]);
    (await journal.reports()).pop();
    expect(await numbers()).toEqual([2, 3]);
  });

  test('whose thread ends fails every call that waits, and every later one', async () => {
    const thread = new URL('dying-worker.ts', import.meta.url);
    const journal = await openJournal({ path: fresh(), thread });
    const [first, second] = await Promise.allSettled([journal.put('profile', Buffer.from('x')), journal.head()]);
    for (const outcome of [first, second]) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } });
    }
    await expect(journal.head()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(journal.reports()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await journal[Symbol.asyncDispose]();
  });
});
