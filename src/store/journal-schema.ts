// The tables of the device's journal, as forward steps: what is released is never edited, only followed by a next step.
import type { Migration } from './sqlite.ts';

/** 'tsjl' */
export const JOURNAL_APPLICATION_ID = 0x74736a6c;

/** Every row that is not chained carries `seal` = SHA-256 over table name and columns: SQLite keeps no checksum of its own. */
export const JOURNAL_MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  reset INTEGER NOT NULL, restart INTEGER NOT NULL,
  clock TEXT NOT NULL, why TEXT NOT NULL,
  seq INTEGER NOT NULL, pcr BLOB NOT NULL CHECK (length(pcr) = 32),
  intent INTEGER NOT NULL CHECK (intent IN (0, 1)),
  aside BLOB,
  seal BLOB NOT NULL
) STRICT;
-- seq = log.seq + 1 is the open intent; chain = SHA-256(tag ‖ chain of seq − 1 ‖ seq ‖ digest ‖ record).
CREATE TABLE record (
  seq INTEGER PRIMARY KEY,
  record BLOB NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE TABLE slot (
  slot TEXT PRIMARY KEY,
  active TEXT, previous TEXT, "order" INTEGER NOT NULL, staged TEXT, security_version INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE report (
  id INTEGER PRIMARY KEY,
  session BLOB NOT NULL, n INTEGER NOT NULL,
  kind TEXT NOT NULL, rule TEXT NOT NULL, slot TEXT, subject TEXT, detail TEXT NOT NULL, at INTEGER NOT NULL,
  seal BLOB NOT NULL,
  UNIQUE (session, n)
) STRICT;
-- The highest n given out in a session: a name is never used again, also after its report was acknowledged.
CREATE TABLE report_session (id INTEGER PRIMARY KEY, session BLOB NOT NULL UNIQUE, last INTEGER NOT NULL) STRICT;
CREATE TABLE started (id INTEGER PRIMARY KEY CHECK (id = 1), command TEXT NOT NULL, slot TEXT, seal BLOB NOT NULL) STRICT;
CREATE TABLE sent (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  clock TEXT NOT NULL, reset INTEGER NOT NULL, restart INTEGER NOT NULL, session BLOB NOT NULL, "order" INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE lease (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  digest BLOB NOT NULL,
  clock TEXT NOT NULL, reset INTEGER NOT NULL, restart INTEGER NOT NULL, session BLOB NOT NULL, "order" INTEGER NOT NULL,
  lease_for INTEGER NOT NULL, status TEXT NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE TABLE fact (key TEXT PRIMARY KEY, value BLOB NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID;
`,
  `
-- How far each slot's candidate is. A slot without a row here is of the time before trials.
CREATE TABLE trial (
  slot TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('NONE', 'STAGED', 'TRIAL', 'COMMITTING', 'COMMITTED')),
  tries INTEGER NOT NULL, ran INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- Which record of the log an evidence reached to; what was sent before cannot be known and is asked for again.
DROP TABLE sent;
CREATE TABLE sent (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  clock TEXT NOT NULL, reset INTEGER NOT NULL, restart INTEGER NOT NULL, session BLOB NOT NULL, "order" INTEGER NOT NULL,
  log_to INTEGER NOT NULL,
  seal BLOB NOT NULL
) STRICT;
`,
];
