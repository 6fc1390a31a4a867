// Opens a SQLite database the one way this product uses it: durable, checked, migrated forward, of one process.
import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { StoreError } from '../errors.ts';

export type { Database };
export type Connection = Database.Database;

/** One step of a schema. Step i (from 1) takes `user_version` i − 1 to i; a released step is never edited. */
export type Migration = string;

export interface SqliteOptions {
  readonly path: string;
  /** Written to `application_id`: another program's database is refused. */
  readonly applicationId: number;
  readonly migrations: readonly Migration[];
  /** True where several processes share the file (a fleet's registry); otherwise it is locked for this one. */
  readonly shared?: boolean;
  /** KiB of page cache. */
  readonly cacheKiB?: number;
  /** Pages of 4 KiB that the write-ahead log holds before they are copied into the file: more is faster, and takes that room. */
  readonly walPages?: number;
}

const PAGE_BYTES = 4096;
/** SHORT_READ: the file ends before one of its pages, as no disk that merely fails makes it. */
const CORRUPT = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_IOERR_SHORT_READ']);

/** The StoreError for whatever SQLite threw; bugs (TypeError, RangeError) pass unchanged. */
export function storeError(path: string, cause: unknown): Error {
  if (cause instanceof StoreError || !(cause instanceof Error)) return cause as Error;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  if (CORRUPT.has(code) || code.startsWith('SQLITE_CORRUPT_')) {
    return new StoreError('STORE_CORRUPT', `${path}: ${cause.message}`, { cause });
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new StoreError('STORE_FAILED', `${path} is open in another process`, { cause });
  }
  if (code.startsWith('SQLITE_') || 'syscall' in cause) {
    return new StoreError('STORE_FAILED', `${path}: ${cause.message}`, { cause });
  }
  return cause;
}

function pragma(db: Connection, name: string): unknown {
  return db.pragma(name, { simple: true });
}

function migrate(db: Connection, options: SqliteOptions): void {
  const version = Number(pragma(db, 'user_version'));
  if (version > options.migrations.length) {
    throw new StoreError(
      'STORE_NEWER',
      `${options.path} has schema ${version}, this version knows ${options.migrations.length}`,
    );
  }
  for (let step = version; step < options.migrations.length; step++) {
    db.transaction(() => {
      db.exec(options.migrations[step] ?? '');
      db.pragma(`application_id = ${options.applicationId}`);
      db.pragma(`user_version = ${step + 1}`);
    }).immediate();
  }
}

function check(db: Connection, options: SqliteOptions): void {
  const tables = Number(db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  const id = Number(pragma(db, 'application_id'));
  if (tables > 0 && id !== options.applicationId) {
    throw new StoreError('STORE_CORRUPT', `${options.path} is another program's database`);
  }
  const verdict = pragma(db, 'quick_check(1)');
  if (verdict !== 'ok') throw new StoreError('STORE_CORRUPT', `${options.path}: ${String(verdict)}`);
}

const SCHEMA = 'SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name';

/** The tables are those of the migrations, to the letter: SQLite itself would go on with a damaged definition. */
function checkSchema(db: Connection, options: SqliteOptions): void {
  const model = new Database(':memory:');
  try {
    for (const step of options.migrations) model.exec(step);
    const [expected, found] = [model, db].map((one) => JSON.stringify(one.prepare(SCHEMA).all()));
    if (expected !== found)
      throw new StoreError('STORE_CORRUPT', `${options.path}: its tables are not as they were made`);
  } finally {
    model.close();
  }
}

/**
 * Opens, checks and migrates. The file is made 0600. Locked for this process until closed or dead.
 * Errors: StoreError STORE_CORRUPT, STORE_NEWER, STORE_FAILED (also when another process has it open).
 */
export function openSqlite(options: SqliteOptions): Connection {
  let db: Connection | undefined;
  try {
    closeSync(openSync(options.path, 'a', 0o600));
    db = new Database(options.path, { timeout: 2000 });
    // Before the journal mode: the index of the write-ahead log then lives in memory, and a second process is locked out.
    if (options.shared !== true) db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    db.pragma(`cache_size = -${options.cacheKiB ?? 512}`);
    const { walPages = 128 } = options;
    db.pragma(`wal_autocheckpoint = ${walPages}`);
    db.pragma(`journal_size_limit = ${2 * walPages * PAGE_BYTES}`);
    check(db, options);
    migrate(db, options);
    checkSchema(db, options);
    return db;
  } catch (cause) {
    db?.close();
    throw storeError(options.path, cause);
  }
}
