// The tables of the fleet's registry, as forward steps: what is released is never edited, only followed by a next step.
import type { Migration } from '../store/sqlite.ts';

/** 'tsrg' */
export const REGISTRY_APPLICATION_ID = 0x74737267;

export const REGISTRY_MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE device (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'quarantined', 'retired')),
  label TEXT, profile TEXT NOT NULL, tier TEXT NOT NULL,
  endorsement TEXT,
  generation INTEGER NOT NULL DEFAULT 0,
  log BLOB, clock TEXT NOT NULL DEFAULT '0', max_reset INTEGER NOT NULL DEFAULT 0,
  verdict TEXT, envelope TEXT,
  last_seen INTEGER, online INTEGER NOT NULL DEFAULT 0,
  session TEXT, last_seq INTEGER NOT NULL DEFAULT 0, slots TEXT NOT NULL DEFAULT '[]'
) STRICT, WITHOUT ROWID;
CREATE TABLE enrolment (
  id TEXT PRIMARY KEY, request BLOB NOT NULL, proven INTEGER NOT NULL, findings TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE command (
  id TEXT PRIMARY KEY, device TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL,
  session TEXT, seq INTEGER NOT NULL DEFAULT 0, outcome TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX command_device ON command (device);
CREATE TABLE report (
  device TEXT NOT NULL, session TEXT NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (device, session, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE slot_order (
  device TEXT NOT NULL, slot TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (device, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
  n INTEGER PRIMARY KEY, device TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX history_device ON history (device, n);
-- The newest accepted evidence of each device: what an auditor re-appraises offline.
CREATE TABLE evidence (device TEXT PRIMARY KEY, at INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE log_part (
  device TEXT NOT NULL, digest BLOB NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (device, digest, part)
) STRICT, WITHOUT ROWID;
`,
  `
ALTER TABLE device ADD COLUMN trouble TEXT;
CREATE INDEX device_pending ON device (state) WHERE state = 'pending';
-- Credentials that no newcomer has opened yet: the answer may come to another controller, or after a restart.
CREATE TABLE credential (
  request BLOB PRIMARY KEY, bytes BLOB NOT NULL, secret BLOB NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_at ON credential (at);
CREATE INDEX command_open ON command (device) WHERE outcome IS NULL;
`,
  `
-- A registry that was put back from a copy begins another life: with another name, and orders above all that may have been given out.
CREATE TABLE life (id INTEGER PRIMARY KEY CHECK (id = 1), name BLOB, orders_from INTEGER NOT NULL) STRICT;
INSERT INTO life (id, name, orders_from) VALUES (1, NULL, 0);
`,
  `
-- What each accepted evidence changes, apart from what people decide and endorsements say: one row, which fits a page of its own,
-- so that a batch writes one page a device. The newest evidence of each device is what an auditor re-appraises offline.
CREATE TABLE judged (
  device TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL DEFAULT 0,
  clock TEXT NOT NULL DEFAULT '0', max_reset INTEGER NOT NULL DEFAULT 0,
  session TEXT, last_seq INTEGER NOT NULL DEFAULT 0, at INTEGER,
  log BLOB, slots TEXT NOT NULL DEFAULT '[]', verdict TEXT, envelope TEXT, evidence BLOB
) STRICT;
INSERT INTO judged (device, generation, clock, max_reset, session, last_seq, at, log, slots, verdict, envelope, evidence)
  SELECT id, generation, clock, max_reset, session, last_seq, evidence.at, log, slots, verdict, envelope, evidence.bytes
  FROM device LEFT JOIN evidence ON evidence.device = device.id;
DROP TABLE evidence;
ALTER TABLE device DROP COLUMN generation;
ALTER TABLE device DROP COLUMN log;
ALTER TABLE device DROP COLUMN clock;
ALTER TABLE device DROP COLUMN max_reset;
ALTER TABLE device DROP COLUMN verdict;
ALTER TABLE device DROP COLUMN envelope;
ALTER TABLE device DROP COLUMN session;
ALTER TABLE device DROP COLUMN last_seq;
ALTER TABLE device DROP COLUMN slots;
`,
  `
-- Auth values of the TPMs, sealed to a key that is not here.
CREATE TABLE escrow (device TEXT PRIMARY KEY, at INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
`,
  `
-- Broker certificates that are out, so that they can be taken back; those from before this table are not in it and end by themselves.
CREATE TABLE certificate (
  serial TEXT PRIMARY KEY, device TEXT NOT NULL, key TEXT NOT NULL, not_after INTEGER NOT NULL,
  pem TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_device ON certificate (device);
CREATE INDEX certificate_end ON certificate (not_after);
`,
  `
-- One-time tokens by their digests: who deletes the row has used the token.
CREATE TABLE token (digest TEXT PRIMARY KEY, name TEXT NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
];
