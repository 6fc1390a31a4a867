// What every Journal keeps: one suite for the real one and for the one that tests stand on.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/evidence/claims.ts';
import { emptySlot } from '../../src/store/journal.ts';
import type { Journal, Lease, LogStart, SentEvidence } from '../../src/store/journal.ts';
import { MAX_REPORTS } from '../../src/evidence/claims.ts';
import { SENT_LIMIT } from '../../src/store/journal-sync.ts';

/** `open` opens a fresh journal, or with `again` the same one once more, as after a restart. */
export interface JournalUnderTest {
  open(): Promise<Journal>;
  again(journal: Journal): Promise<Journal>;
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();
const EPOCH = { resetCount: 3, restartCount: 1 };
const START: LogStart = { epoch: EPOCH, clock: 12_345n, why: 'rebooted' };
const session = (n: number): Buffer => Buffer.alloc(16, n);
const report = (of: Buffer, detail = 'why'): Omit<Report, 'n'> => ({
  session: of,
  kind: 'refused',
  rule: 'unsigned',
  slot: 'main',
  subject: 'abc',
  detail,
  at: 1_700_000_000_123,
});
const sent = (n: number): SentEvidence => ({
  digest: digestOf(`evidence ${n}`),
  clock: 2n ** 62n + BigInt(n),
  epoch: { resetCount: 0xffffffff, restartCount: n },
  session: session(1),
  order: n,
  logTo: 7 * n,
});
/** An evidence as a lease knows it. */
const quoted = (n: number): Lease['from'] => {
  const { logTo: _, ...from } = sent(n);
  return from;
};
const trial = { state: 'TRIAL', tries: 2, ranMs: 12_345 } as const;

async function append(journal: Journal, name: string): Promise<number> {
  const seq = await journal.openIntent(Buffer.from(`record ${name}`), digestOf(name));
  await journal.closeIntent(seq, digestOf(`pcr ${name}`));
  return seq;
}

export function journalContract(name: string, under: JournalUnderTest): void {
  describe(`${name} is a journal: its log`, () => {
    test('is absent at first, and every call that needs one is a bug', async () => {
      await using journal = await under.open();
      expect(await journal.head()).toBeNull();
      expect(await journal.records(1, 0)).toEqual([]);
      await expect(journal.openIntent(Buffer.from('r'), digestOf('r'))).rejects.toThrow(RangeError);
      await expect(journal.moveEpoch(EPOCH, 1n)).rejects.toThrow(RangeError);
    });

    test('starts empty at 32 zero bytes, with its epoch, clock and why', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      expect(await journal.head()).toEqual({ ...START, seq: 0, pcr: Buffer.alloc(32), intent: null, aside: null });
    });

    test('may start with a record that is in the PCR already', async () => {
      await using journal = await under.open();
      await journal.newLog({
        ...START,
        first: { record: Buffer.from('r1'), digest: digestOf('r1'), pcr: digestOf('p1') },
      });
      expect(await journal.head()).toMatchObject({ seq: 1, pcr: digestOf('p1'), intent: null });
      expect(await journal.records(1, 1)).toEqual([Buffer.from('r1')]);
    });

    test('takes records one intent at a time, numbered from 1', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      expect(await journal.openIntent(Buffer.from('one'), digestOf('one'))).toBe(1);
      expect((await journal.head())?.intent).toEqual({ seq: 1, record: Buffer.from('one'), digest: digestOf('one') });
      expect((await journal.head())?.seq).toBe(0);
      await expect(journal.openIntent(Buffer.from('two'), digestOf('two'))).rejects.toThrow(RangeError);
      await expect(journal.records(1, 1)).rejects.toThrow(RangeError);
      await expect(journal.closeIntent(2, digestOf('p'))).rejects.toThrow(RangeError);
      await expect(journal.closeIntent(1, Buffer.alloc(20))).rejects.toThrow(RangeError);
      await journal.closeIntent(1, digestOf('p1'));
      await expect(journal.closeIntent(1, digestOf('p1'))).rejects.toThrow(RangeError);
      expect(await append(journal, 'two')).toBe(2);
      expect(await journal.head()).toMatchObject({ seq: 2, pcr: digestOf('pcr two'), intent: null });
      expect(await journal.records(1, 2)).toEqual([Buffer.from('one'), Buffer.from('record two')]);
      expect(await journal.records(2, 2)).toEqual([Buffer.from('record two')]);
      await expect(journal.records(0, 1)).rejects.toThrow(RangeError);
      await expect(journal.records(1, 3)).rejects.toThrow(RangeError);
    });

    test('forgets a dropped intent and gives its number again', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      await append(journal, 'one');
      const seq = await journal.openIntent(Buffer.from('x'), digestOf('x'));
      await journal.dropIntent(seq);
      await expect(journal.dropIntent(seq)).rejects.toThrow(RangeError);
      expect(await journal.head()).toMatchObject({ seq: 1, intent: null, aside: null });
      expect(await append(journal, 'two')).toBe(2);
    });

    test('keeps an intent that is set aside until it is opened again', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      await expect(journal.openIntent(Buffer.from('e'), digestOf('e'), 'aside')).rejects.toThrow(RangeError);
      await journal.setAside(await journal.openIntent(Buffer.from('e'), digestOf('e')));
      expect(await journal.head()).toMatchObject({ seq: 0, intent: null, aside: Buffer.from('e') });
      const foreign = await journal.openIntent(Buffer.from('f'), digestOf('f'));
      await expect(journal.setAside(foreign)).rejects.toThrow(RangeError);
      await journal.closeIntent(foreign, digestOf('pf'));
      expect((await journal.head())?.aside).toEqual(Buffer.from('e'));
      expect(await journal.openIntent(Buffer.from('e2'), digestOf('e'), 'aside')).toBe(2);
      expect(await journal.head()).toMatchObject({ aside: null, intent: { seq: 2, record: Buffer.from('e2') } });
    });

    test('goes on in a new epoch when moved, and is forgotten when a new one starts', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      await append(journal, 'one');
      await journal.openIntent(Buffer.from('x'), digestOf('x'));
      const next = { resetCount: 3, restartCount: 2 };
      await journal.moveEpoch(next, 99n);
      await expect(journal.moveEpoch(next, 99n)).rejects.toThrow(RangeError);
      expect(await journal.head()).toMatchObject({
        epoch: next,
        clock: 99n,
        why: 'rebooted',
        seq: 1,
        intent: { seq: 2 },
      });
      await journal.newLog({ epoch: { resetCount: 4, restartCount: 0 }, clock: 5n, why: 'power-cut' });
      expect(await journal.head()).toMatchObject({ seq: 0, pcr: Buffer.alloc(32), intent: null, why: 'power-cut' });
      await expect(journal.records(1, 1)).rejects.toThrow(RangeError);
    });

    test('hands out many records at once', async () => {
      await using journal = await under.open();
      await journal.newLog(START);
      for (let i = 1; i <= 50; i++) await append(journal, `${i}`);
      const records = await journal.records(1, 50);
      expect(records.map(String)).toEqual(Array.from({ length: 50 }, (_, i) => `record ${i + 1}`));
    });
  });

  describe(`${name} is a journal: what it remembers`, () => {
    test('slots, each as last set', async () => {
      await using journal = await under.open();
      const row = { slot: 'b', active: 'r1', previous: null, order: 7, staged: 'r2', securityVersion: 3, ...trial };
      await journal.setSlot(row);
      await journal.setSlot({ ...row, slot: 'a', active: null, staged: null });
      await journal.setSlot({ ...row, previous: 'r0', order: 2 ** 40 });
      expect(await journal.slots()).toEqual([
        { ...row, slot: 'a', active: null, staged: null },
        { ...row, previous: 'r0', order: 2 ** 40 },
      ]);
    });

    test('a slot and the report of what became of it, in one step', async () => {
      await using journal = await under.open();
      const row = { slot: 's', active: null, previous: null, order: 1, staged: null, securityVersion: 0 } as const;
      await journal.setSlot({ ...row, ...trial }, report(session(1)));
      expect(await journal.reports()).toEqual([{ ...report(session(1)), n: 1 }]);
      expect(await journal.slots()).toEqual([{ ...row, ...trial }]);
    });

    test('reports until acknowledged, never two with one name', async () => {
      await using journal = await under.open();
      for (const of of [session(1), session(1), session(2)]) await journal.addReport(report(of));
      expect((await journal.reports()).map((r) => [Buffer.from(r.session), r.n])).toEqual([
        [session(1), 1],
        [session(1), 2],
        [session(2), 1],
      ]);
      expect((await journal.reports())[0]).toEqual({ ...report(session(1)), n: 1 });
      await journal.acknowledge([
        { session: session(1), n: 2 },
        { session: session(9), n: 1 },
        { session: session(2), n: 1 },
      ]);
      await journal.addReport({ ...report(session(1)), slot: null, subject: null });
      const left = await journal.reports();
      expect(left.map((r) => [Buffer.from(r.session), r.n])).toEqual([
        [session(1), 1],
        [session(1), 3],
      ]);
      expect(left[1]).toMatchObject({ slot: null, subject: null });
    });

    test('every report, also more than one evidence carries, oldest first', async () => {
      await using journal = await under.open();
      for (let i = 0; i < MAX_REPORTS; i++) await journal.addReport(report(session(1), `${i}`));
      await journal.setSlot({ ...emptySlot('s'), state: 'COMMITTED' }, report(session(1), 'why a trial ended'));
      await journal.addReport(report(session(1), 'an outcome'));
      const reports = await journal.reports();
      expect(reports.map((r) => r.detail)).toEqual([
        ...Array.from({ length: MAX_REPORTS }, (_, i) => `${i}`),
        'why a trial ended',
        'an outcome',
      ]);
      await journal.acknowledge([{ session: session(1), n: 1 }]);
      await journal.addReport(report(session(1), 'the next'));
      expect((await journal.reports()).at(-1)?.n).toBe(MAX_REPORTS + 3);
    });

    test('the command that was started, until it is cleared', async () => {
      await using journal = await under.open();
      expect(await journal.started()).toBeNull();
      await journal.setStarted({ id: 'c1', slot: 'main' });
      await journal.setStarted({ id: 'c2', slot: null });
      expect(await journal.started()).toEqual({ id: 'c2', slot: null });
      await journal.setStarted(null);
      expect(await journal.started()).toBeNull();
    });

    test('evidence that was sent, the newest of it', async () => {
      await using journal = await under.open();
      for (let i = 0; i < SENT_LIMIT + 3; i++) await journal.remember(sent(i));
      await journal.remember(sent(SENT_LIMIT));
      expect(await journal.recall(sent(SENT_LIMIT + 2).digest)).toEqual(sent(SENT_LIMIT + 2));
      expect(await journal.recall(sent(SENT_LIMIT).digest)).toEqual(sent(SENT_LIMIT));
      expect(await journal.recall(sent(0).digest)).toBeNull();
      expect(await journal.recall(digestOf('never sent'))).toBeNull();
    });

    test('the lease, as last set', async () => {
      await using journal = await under.open();
      expect(await journal.lease()).toBeNull();
      await journal.setLease({ from: quoted(1), leaseForMs: 1000, status: 'affirming' });
      await journal.setLease({ from: quoted(2), leaseForMs: 2 ** 41, status: 'warning' });
      expect(await journal.lease()).toEqual({ from: quoted(2), leaseForMs: 2 ** 41, status: 'warning' });
    });

    test('facts, until they are cleared', async () => {
      await using journal = await under.open();
      expect(await journal.get('certificate')).toBeNull();
      await journal.put('certificate', Buffer.from('pem'));
      await journal.put('certificate', Buffer.alloc(0));
      await journal.put('last-time', Buffer.from([1]));
      expect(await journal.get('certificate')).toEqual(Buffer.alloc(0));
      await journal.put('certificate', null);
      expect([await journal.get('certificate'), await journal.get('last-time')]).toEqual([null, Buffer.from([1])]);
    });

    test('all of it after a restart', async () => {
      const before = await under.open();
      await before.newLog(START);
      await append(before, 'one');
      await before.setAside(await before.openIntent(Buffer.from('a'), digestOf('a')));
      await before.openIntent(Buffer.from('open'), digestOf('open'));
      await before.setSlot({
        slot: 's',
        active: 'x',
        previous: null,
        order: 1,
        staged: null,
        securityVersion: 1,
        ...trial,
      });
      await before.addReport(report(session(1)));
      await before.acknowledge([{ session: session(1), n: 1 }]);
      await before.setStarted({ id: 'c', slot: null });
      await before.remember(sent(1));
      await before.setLease({ from: quoted(1), leaseForMs: 5, status: 'warning' });
      await before.put('profile', Buffer.from('p'));
      await using after = await under.again(before);
      expect(await after.head()).toEqual({
        ...START,
        seq: 1,
        pcr: digestOf('pcr one'),
        intent: { seq: 2, record: Buffer.from('open'), digest: digestOf('open') },
        aside: Buffer.from('a'),
      });
      expect(await after.records(1, 1)).toEqual([Buffer.from('record one')]);
      expect((await after.slots()).map((s) => s.slot)).toEqual(['s']);
      expect(await after.started()).toEqual({ id: 'c', slot: null });
      expect(await after.recall(sent(1).digest)).toEqual(sent(1));
      expect(await after.lease()).toEqual({ from: quoted(1), leaseForMs: 5, status: 'warning' });
      expect(await after.get('profile')).toEqual(Buffer.from('p'));
      await after.addReport(report(session(1)));
      expect((await after.reports()).map((r) => r.n)).toEqual([2]);
    });
  });
}
