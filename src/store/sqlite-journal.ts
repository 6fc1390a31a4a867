// The device's journal in SQLite, blocking: for the journal's own thread.
import { StoreError } from '../errors.ts';
import type { Report } from '../evidence/claims.ts';
import type { FactKey, Lease, SentEvidence, SlotPhase, SlotRow } from './journal.ts';
import { JOURNAL_APPLICATION_ID, JOURNAL_MIGRATIONS } from './journal-schema.ts';
import { SENT_LIMIT, SESSION_LIMIT } from './journal-sync.ts';
import type { JournalSync } from './journal-sync.ts';
import { checkSeal, sealRow } from './row-seal.ts';
import type { Cell } from './row-seal.ts';
import { openSqlite, storeError } from './sqlite.ts';
import type { Connection } from './sqlite.ts';
import { SqliteLog } from './sqlite-log.ts';

type Sealed = Readonly<Record<string, Cell>> & { readonly seal: Buffer };

/** The columns of each sealed table, in the order of their seal. */
const COLUMNS = {
  slot: ['slot', 'active', 'previous', 'order', 'staged', 'security_version'],
  trial: ['slot', 'state', 'tries', 'ran'],
  report: ['session', 'n', 'kind', 'rule', 'slot', 'subject', 'detail', 'at'],
  started: ['id', 'command', 'slot'],
  sent: ['digest', 'clock', 'reset', 'restart', 'session', 'order', 'log_to'],
  lease: ['id', 'digest', 'clock', 'reset', 'restart', 'session', 'order', 'lease_for', 'status'],
  fact: ['key', 'value'],
} as const;
type Table = keyof typeof COLUMNS;

function insert(table: Table): string {
  const columns = [...COLUMNS[table], 'seal'];
  const names = columns.map((column) => `"${column}"`).join(', ');
  return `INSERT OR REPLACE INTO ${table} (${names}) VALUES (${columns.map(() => '?').join(', ')})`;
}

function statements(db: Connection) {
  return {
    slots: db.prepare('SELECT * FROM slot ORDER BY slot'),
    trial: db.prepare('SELECT * FROM trial WHERE slot = ?'),
    reports: db.prepare('SELECT * FROM report ORDER BY id'),
    acknowledge: db.prepare('DELETE FROM report WHERE session = ? AND n = ?'),
    lastReport: db.prepare('SELECT last FROM report_session WHERE session = ?').pluck(),
    setLastReport: db.prepare(
      'INSERT INTO report_session (session, last) VALUES (?, ?) ON CONFLICT (session) DO UPDATE SET last = excluded.last',
    ),
    forgetSessions: db.prepare(
      `DELETE FROM report_session WHERE id <= (SELECT max(id) FROM report_session) - ?
       AND session NOT IN (SELECT session FROM report)`,
    ),
    started: db.prepare('SELECT * FROM started'),
    clearStarted: db.prepare('DELETE FROM started'),
    sent: db.prepare('SELECT * FROM sent WHERE digest = ?'),
    forgetSent: db.prepare('DELETE FROM sent WHERE id <= (SELECT max(id) FROM sent) - ?'),
    lease: db.prepare('SELECT * FROM lease'),
    fact: db.prepare('SELECT * FROM fact WHERE key = ?'),
    dropFact: db.prepare('DELETE FROM fact WHERE key = ?'),
    put: {
      slot: db.prepare(insert('slot')),
      trial: db.prepare(insert('trial')),
      report: db.prepare(insert('report')),
      started: db.prepare(insert('started')),
      sent: db.prepare(insert('sent')),
      lease: db.prepare(insert('lease')),
      fact: db.prepare(insert('fact')),
    },
  } as const;
}

function quotedOf(row: Sealed): Lease['from'] {
  return {
    digest: row['digest'] as Buffer,
    clock: BigInt(row['clock'] as string),
    epoch: { resetCount: row['reset'] as number, restartCount: row['restart'] as number },
    session: row['session'] as Buffer,
    order: row['order'] as number,
  };
}

function quotedCells({ digest, clock, epoch, session, order }: Lease['from']): Cell[] {
  return [digest, clock.toString(), epoch.resetCount, epoch.restartCount, session, order];
}

/** Errors of every method: StoreError; RangeError for a call out of turn. */
export class SqliteJournal implements JournalSync {
  readonly #path: string;
  readonly #db: Connection;
  readonly #sql: ReturnType<typeof statements>;
  readonly #log: SqliteLog;

  /** Opens, migrates, and checks every chained record. Errors: StoreError. */
  constructor(path: string) {
    this.#path = path;
    this.#db = openSqlite({ path, applicationId: JOURNAL_APPLICATION_ID, migrations: JOURNAL_MIGRATIONS });
    try {
      this.#sql = statements(this.#db);
      this.#log = new SqliteLog(this.#db);
      this.#log.verify();
      this.#readAll();
    } catch (cause) {
      this.#db.close();
      throw storeError(path, cause);
    }
  }

  /** So that a damaged row is found at start, while something can still be done about it. */
  #readAll(): void {
    this.slots();
    this.reports();
    this.started();
    this.lease();
    for (const table of ['sent', 'fact'] as const) {
      for (const row of this.#db.prepare(`SELECT * FROM ${table}`).all()) this.#checked(table, row);
    }
  }

  #change<T>(work: () => T): T {
    try {
      return this.#db.transaction(work).immediate();
    } catch (cause) {
      throw storeError(this.#path, cause);
    }
  }

  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw storeError(this.#path, cause);
    }
  }

  #put(table: Table, cells: readonly Cell[]): void {
    this.#sql.put[table].run(...cells, sealRow(table, cells));
  }

  #checked(table: Table, row: unknown): Sealed | null {
    if (row === undefined) return null;
    const sealed = row as Sealed;
    const cells = COLUMNS[table].map((column) => sealed[column] ?? null);
    checkSeal(table, cells, sealed.seal);
    return sealed;
  }

  head: JournalSync['head'] = () => this.#read(() => this.#log.head());
  records: JournalSync['records'] = (from, to) => this.#read(() => this.#log.records(from, to));
  newLog: JournalSync['newLog'] = (start) => {
    this.#change(() => {
      this.#log.newLog(start);
    });
  };
  moveEpoch: JournalSync['moveEpoch'] = (epoch, clock) => {
    this.#change(() => {
      this.#log.moveEpoch(epoch, clock);
    });
  };
  openIntent: JournalSync['openIntent'] = (record, digest, from) =>
    this.#change(() => this.#log.openIntent(record, digest, from));
  closeIntent: JournalSync['closeIntent'] = (seq, pcr) => {
    // Not waited for: a done that is lost again leaves its intent open, and the PCR says what became of that.
    this.#db.pragma('synchronous = NORMAL');
    try {
      this.#change(() => {
        this.#log.closeIntent(seq, pcr);
      });
    } finally {
      this.#db.pragma('synchronous = FULL');
    }
  };
  dropIntent: JournalSync['dropIntent'] = (seq) => {
    this.#change(() => {
      this.#log.dropIntent(seq);
    });
  };
  setAside: JournalSync['setAside'] = (seq) => {
    this.#change(() => {
      this.#log.setAside(seq);
    });
  };

  slots(): SlotRow[] {
    return this.#read(() =>
      this.#sql.slots.all().map((row) => {
        const cells = this.#checked('slot', row);
        if (cells === null) throw new StoreError('STORE_CORRUPT', 'a slot without a row');
        const { slot, active, previous, order, staged } = cells as unknown as SlotRow;
        const securityVersion = cells['security_version'] as number;
        return { slot, active, previous, order, staged, securityVersion, ...this.#trial({ slot, active, staged }) };
      }),
    );
  }

  #trial({
    slot,
    active,
    staged,
  }: Pick<SlotRow, 'slot' | 'active' | 'staged'>): Pick<SlotRow, 'state' | 'tries' | 'ranMs'> {
    const cells = this.#checked('trial', this.#sql.trial.get(slot));
    if (cells !== null) {
      return { state: cells['state'] as SlotPhase, tries: cells['tries'] as number, ranMs: cells['ran'] as number };
    }
    const waiting = staged === null ? null : 'STAGED';
    return { state: waiting ?? (active === null ? 'NONE' : 'COMMITTED'), tries: 0, ranMs: 0 };
  }

  setSlot(row: SlotRow, report?: Omit<Report, 'n'>): void {
    const { slot, active, previous, order, staged, securityVersion, state, tries, ranMs } = row;
    this.#change(() => {
      this.#put('slot', [slot, active, previous, order, staged, securityVersion]);
      this.#put('trial', [slot, state, tries, ranMs]);
      if (report !== undefined) this.#addReport(report);
    });
  }

  #addReport(report: Omit<Report, 'n'>): void {
    const session = Buffer.from(report.session);
    const n = Number(this.#sql.lastReport.get(session) ?? 0) + 1;
    const { kind, rule, slot, subject, detail, at } = report;
    this.#sql.setLastReport.run(session, n);
    this.#put('report', [session, n, kind, rule, slot, subject, detail, at]);
    this.#sql.forgetSessions.run(SESSION_LIMIT);
  }

  addReport(report: Omit<Report, 'n'>): void {
    this.#change(() => {
      this.#addReport(report);
    });
  }

  reports(): Report[] {
    return this.#read(() =>
      this.#sql.reports.all().map((row) => {
        this.#checked('report', row);
        const { session, n, kind, rule, slot, subject, detail, at } = row as Report;
        return { session, n, kind, rule, slot, subject, detail, at };
      }),
    );
  }

  acknowledge(names: readonly { readonly session: Uint8Array; readonly n: number }[]): void {
    this.#change(() => {
      for (const { session, n } of names) this.#sql.acknowledge.run(Buffer.from(session), n);
    });
  }

  setStarted(command: { readonly id: string; readonly slot: string | null } | null): void {
    this.#change(() => {
      if (command === null) this.#sql.clearStarted.run();
      else this.#put('started', [1, command.id, command.slot]);
    });
  }

  started(): { readonly id: string; readonly slot: string | null } | null {
    const row = this.#read(() => this.#checked('started', this.#sql.started.get()));
    return row === null ? null : { id: row['command'] as string, slot: row['slot'] as string | null };
  }

  remember(sent: SentEvidence): void {
    this.#change(() => {
      this.#put('sent', [...quotedCells(sent), sent.logTo]);
      this.#sql.forgetSent.run(SENT_LIMIT);
    });
  }

  recall(digest: Uint8Array): SentEvidence | null {
    const row = this.#read(() => this.#checked('sent', this.#sql.sent.get(Buffer.from(digest))));
    return row === null ? null : { ...quotedOf(row), logTo: row['log_to'] as number };
  }

  setLease({ from, leaseForMs, status }: Lease): void {
    this.#change(() => {
      this.#put('lease', [1, ...quotedCells(from), leaseForMs, status]);
    });
  }

  lease(): Lease | null {
    const row = this.#read(() => this.#checked('lease', this.#sql.lease.get()));
    if (row === null) return null;
    return { from: quotedOf(row), leaseForMs: row['lease_for'] as number, status: row['status'] as string };
  }

  get(key: FactKey): Buffer | null {
    return (this.#read(() => this.#checked('fact', this.#sql.fact.get(key)))?.['value'] ?? null) as Buffer | null;
  }

  put(key: FactKey, value: Buffer | null): void {
    this.#change(() => {
      if (value === null) this.#sql.dropFact.run(key);
      else this.#put('fact', [key, Buffer.from(value)]);
    });
  }

  close(): void {
    this.#db.close();
  }
}
