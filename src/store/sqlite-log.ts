// The event log in SQLite: head, records and the one open intent, chained by digest.
import { StoreError } from '../errors.ts';
import { sameEpoch } from '../tpm/port.ts';
import type { Epoch } from '../tpm/port.ts';
import type { EpochChange, LogHead, LogStart } from './journal.ts';
import { CHAIN_START, chainRecord, checkSeal, sealRow } from './row-seal.ts';
import type { Connection } from './sqlite.ts';

interface LogRow {
  readonly reset: number;
  readonly restart: number;
  readonly clock: string;
  readonly why: EpochChange;
  readonly seq: number;
  readonly pcr: Buffer;
  readonly intent: number;
  readonly aside: Buffer | null;
}

interface RecordRow {
  readonly seq: number;
  readonly record: Buffer;
  readonly digest: Buffer;
  readonly chain: Buffer;
}

/** Prepared once; a name for each statement. */
function statements(db: Connection) {
  return {
    log: db.prepare('SELECT * FROM log WHERE id = 1'),
    writeLog: db.prepare(
      `INSERT OR REPLACE INTO log (id, reset, restart, clock, why, seq, pcr, intent, aside, seal)
       VALUES (1, :reset, :restart, :clock, :why, :seq, :pcr, :intent, :aside, :seal)`,
    ),
    record: db.prepare('SELECT * FROM record WHERE seq = ?'),
    recordsOf: db.prepare('SELECT record FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq').pluck(),
    allRecords: db.prepare('SELECT * FROM record ORDER BY seq'),
    addRecord: db.prepare('INSERT INTO record (seq, record, digest, chain) VALUES (:seq, :record, :digest, :chain)'),
    dropRecord: db.prepare('DELETE FROM record WHERE seq = ?'),
    dropRecords: db.prepare('DELETE FROM record'),
  } as const;
}

/** Callers run each changing method in one transaction. Errors: StoreError STORE_CORRUPT; RangeError for a call out of turn. */
export class SqliteLog {
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: Connection) {
    this.#sql = statements(db);
  }

  /** Reads everything once: a log that lost or changed a record must not be found out only by the verifier. */
  verify(): void {
    let chain = CHAIN_START;
    let last = 0;
    for (const row of this.#sql.allRecords.iterate() as IterableIterator<RecordRow>) {
      chain = chainRecord(chain, row.seq, row.digest, row.record);
      if (row.seq !== ++last || !chain.equals(row.chain)) {
        throw new StoreError('STORE_CORRUPT', `log record ${row.seq} does not follow from the one before it`);
      }
    }
    const log = this.#log();
    const expected = log === null ? 0 : log.seq + log.intent;
    if (last !== expected)
      throw new StoreError('STORE_CORRUPT', `the log ends at record ${last}, should be ${expected}`);
  }

  #log(): LogRow | null {
    const row = this.#sql.log.get() as (LogRow & { readonly seal: Buffer }) | undefined;
    if (row === undefined) return null;
    checkSeal('log', [...this.#cells(row), this.#chainAt(row.seq)], row.seal);
    return row;
  }

  #cells(row: LogRow) {
    return [row.reset, row.restart, row.clock, row.why, row.seq, row.pcr, row.intent, row.aside] as const;
  }

  #chainAt(seq: number): Buffer {
    if (seq === 0) return CHAIN_START;
    const row = this.#sql.record.get(seq) as RecordRow | undefined;
    if (row === undefined) throw new StoreError('STORE_CORRUPT', `log record ${seq} is missing`);
    return row.chain;
  }

  #write(row: LogRow): void {
    const seal = sealRow('log', [...this.#cells(row), this.#chainAt(row.seq)]);
    const { reset, restart, clock, why, seq, pcr, intent, aside } = row;
    this.#sql.writeLog.run({ reset, restart, clock, why, seq, pcr, intent, aside, seal });
  }

  #started(): LogRow {
    const log = this.#log();
    if (log === null) throw new RangeError('there is no log yet');
    return log;
  }

  #withIntent(seq: number): LogRow {
    const log = this.#started();
    if (log.intent !== 1 || seq !== log.seq + 1) throw new RangeError(`record ${seq} is not the open intent`);
    return log;
  }

  head(): LogHead | null {
    const log = this.#log();
    if (log === null) return null;
    const epoch: Epoch = { resetCount: log.reset, restartCount: log.restart };
    const open = log.intent === 1 ? (this.#sql.record.get(log.seq + 1) as RecordRow | undefined) : undefined;
    if (log.intent === 1 && open === undefined) throw new StoreError('STORE_CORRUPT', 'the open intent is missing');
    const intent = open === undefined ? null : { seq: open.seq, record: open.record, digest: open.digest };
    const { why, seq, pcr, aside } = log;
    return { epoch, clock: BigInt(log.clock), why, seq, pcr, intent, aside };
  }

  newLog({ epoch, clock, why, first }: LogStart): void {
    this.#sql.dropRecords.run();
    if (first !== undefined) this.#addRecord(1, first.record, first.digest);
    this.#write({
      reset: epoch.resetCount,
      restart: epoch.restartCount,
      clock: clock.toString(),
      why,
      seq: first === undefined ? 0 : 1,
      pcr: first?.pcr ?? Buffer.alloc(32),
      intent: 0,
      aside: null,
    });
  }

  moveEpoch(epoch: Epoch, clock: bigint): void {
    const log = this.#started();
    if (sameEpoch(epoch, { resetCount: log.reset, restartCount: log.restart })) throw new RangeError('the same epoch');
    this.#write({ ...log, reset: epoch.resetCount, restart: epoch.restartCount, clock: clock.toString() });
  }

  #addRecord(seq: number, record: Uint8Array, digest: Uint8Array): void {
    const chain = chainRecord(this.#chainAt(seq - 1), seq, digest, record);
    this.#sql.addRecord.run({ seq, record, digest, chain });
  }

  openIntent(record: Uint8Array, digest: Uint8Array, from: 'new' | 'aside' = 'new'): number {
    const log = this.#started();
    if (log.intent === 1) throw new RangeError('an intent is open already');
    if (from === 'aside' && log.aside === null) throw new RangeError('nothing was set aside');
    this.#addRecord(log.seq + 1, record, digest);
    this.#write({ ...log, intent: 1, aside: from === 'aside' ? null : log.aside });
    return log.seq + 1;
  }

  closeIntent(seq: number, pcr: Uint8Array): void {
    if (pcr.length !== 32) throw new RangeError(`PCR value of ${pcr.length} bytes`);
    this.#write({ ...this.#withIntent(seq), seq, pcr: Buffer.from(pcr), intent: 0 });
  }

  dropIntent(seq: number): void {
    const log = this.#withIntent(seq);
    this.#sql.dropRecord.run(seq);
    this.#write({ ...log, intent: 0 });
  }

  setAside(seq: number): void {
    const log = this.#withIntent(seq);
    if (log.aside !== null) throw new RangeError('another record is set aside already');
    const { record } = this.#sql.record.get(seq) as RecordRow;
    this.#sql.dropRecord.run(seq);
    this.#write({ ...log, intent: 0, aside: record });
  }

  records(from: number, to: number): Buffer[] {
    const log = this.#log();
    if (from < 1 || to > (log?.seq ?? 0)) throw new RangeError(`records ${from} to ${to} of ${log?.seq ?? 0}`);
    return this.#sql.recordsOf.all(from, to) as Buffer[];
  }
}
