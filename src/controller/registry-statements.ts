// All SQL of the registry, each statement with a name and prepared once.
import type { Connection, Database } from '../store/sqlite.ts';

export interface DeviceSqlRow {
  readonly id: string;
  readonly state: string;
  readonly label: string | null;
  readonly profile: string;
  readonly tier: string;
  readonly endorsement: string | null;
  readonly generation: number;
  readonly log: Buffer | null;
  readonly clock: string;
  readonly max_reset: number;
  readonly verdict: string | null;
  readonly envelope: string | null;
  readonly last_seen: number | null;
  readonly online: number;
  readonly session: string | null;
  readonly last_seq: number;
  readonly slots: string;
  readonly trouble: string | null;
  /** When its newest accepted evidence was judged. */
  readonly at: number | null;
}

export interface EnrolmentSqlRow {
  readonly id: string;
  readonly request: Buffer;
  readonly proven: number;
  readonly findings: string;
}

export interface CommandSqlRow {
  readonly id: string;
  readonly device: string;
  readonly body: string;
  readonly created_at: number;
  readonly session: string | null;
  readonly seq: number;
  readonly outcome: string | null;
}

export interface StandingSqlRow {
  readonly life: Buffer | null;
  readonly accepted: number;
  readonly history: number | null;
  readonly evidence: number | null;
}

interface HistorySqlRow {
  readonly device: string;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

type Query<P extends unknown[], R> = Database.Statement<P, R>;

export interface Statements {
  readonly device: Query<[string], DeviceSqlRow>;
  readonly devices: Query<[], DeviceSqlRow>;
  readonly addDevice: Query<[string, string | null, string, string], unknown>;
  readonly addJudged: Query<[string], unknown>;
  readonly addEnrolment: Query<[string, Buffer, number, string], unknown>;
  readonly renewEnrolment: Query<[object], unknown>;
  readonly enrolment: Query<[string], EnrolmentSqlRow>;
  readonly setState: Query<[object], unknown>;
  readonly endorseAgain: Query<[object], unknown>;
  readonly enrolAgain: Query<[object], unknown>;
  readonly judgeAnew: Query<[string], unknown>;
  readonly countPending: Query<[], { n: number }>;
  readonly putRow: Query<[object], unknown>;
  readonly setLabel: Query<[string | null, string], unknown>;
  readonly setTrouble: Query<[string, number, string], unknown>;
  readonly evidence: Query<[string], { at: number; bytes: Buffer }>;
  readonly seen: Query<[number, number, string], unknown>;
  readonly accept: Query<[object], unknown>;
  readonly heard: Query<[number, string], unknown>;
  readonly addReport: Query<[string, string, number, string, string], unknown>;
  readonly escrow: Query<[string], { at: number; bytes: Buffer }>;
  readonly putEscrow: Query<[string, number, Buffer], unknown>;
  readonly addCommand: Query<[string, string, string, number], unknown>;
  readonly commands: Query<[string], CommandSqlRow>;
  readonly command: Query<[string], CommandSqlRow>;
  readonly supersede: Query<[object], unknown>;
  readonly devicesWithCommands: Query<[], { device: string }>;
  readonly highestSeq: Query<[string, string], { seq: number | null }>;
  readonly signedCommand: Query<[string, number, string], unknown>;
  readonly reportedCommand: Query<[string, string, string], unknown>;
  readonly rolledBackCommand: Query<[object], unknown>;
  readonly finishCommand: Query<[string, string], unknown>;
  readonly nextOrder: Query<[string, string], { last: number }>;
  readonly standing: Query<[], StandingSqlRow>;
  readonly beginLife: Query<[{ life: Buffer | null; next: Buffer; from: number }], unknown>;
  readonly noteAll: Query<[number, string], unknown>;
  readonly addHistory: Query<[string, number, string, string], unknown>;
  readonly history: Query<[string, number], HistorySqlRow>;
  readonly pruneHistory: Query<[string, string, number], unknown>;
  readonly putPart: Query<[string, Buffer, number, Buffer], unknown>;
  readonly countParts: Query<[string], { n: number }>;
  readonly parts: Query<[string, Buffer], { part: number; bytes: Buffer }>;
  readonly dropParts: Query<[string], unknown>;
  readonly dropOtherParts: Query<[string, Buffer], unknown>;
}

/** A device's two rows as one, without its evidence. */
const DEVICE = `SELECT device.*, generation, log, clock, max_reset, verdict, envelope, session, last_seq, slots, at
  FROM device JOIN judged ON judged.device = device.id`;

export function prepareStatements(db: Connection): Statements {
  return {
    device: db.prepare(`${DEVICE} WHERE id = ?`),
    devices: db.prepare(`${DEVICE} ORDER BY coalesce(label, id)`),
    addDevice: db.prepare(
      `INSERT INTO device (id, state, label, profile, tier) VALUES (?, 'pending', ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    ),
    addJudged: db.prepare('INSERT INTO judged (device) VALUES (?)'),
    addEnrolment: db.prepare('INSERT OR REPLACE INTO enrolment (id, request, proven, findings) VALUES (?, ?, ?, ?)'),
    renewEnrolment: db.prepare(
      `UPDATE enrolment SET request = @request, findings = @findings
       WHERE id = @id AND (SELECT state FROM device WHERE device.id = enrolment.id) = 'pending'`,
    ),
    enrolment: db.prepare('SELECT * FROM enrolment WHERE id = ?'),
    setState: db.prepare(
      `UPDATE device SET state = @to, endorsement = coalesce(endorsement, @endorsement),
         tier = CASE WHEN endorsement IS NULL THEN coalesce(@tier, tier) ELSE tier END
       WHERE id = @id AND state IN (SELECT value FROM json_each(@states))`,
    ),
    endorseAgain: db.prepare('UPDATE device SET endorsement = @next WHERE id = @id AND endorsement = @before'),
    enrolAgain: db.prepare(
      `UPDATE device SET state = 'pending', profile = @profile, tier = @tier, endorsement = NULL, trouble = NULL
       WHERE id = @id AND state = 'retired'`,
    ),
    judgeAnew: db.prepare(
      `UPDATE judged SET generation = generation + 1, clock = '0', max_reset = 0, session = NULL, last_seq = 0, at = NULL,
         log = NULL, slots = '[]', verdict = NULL, envelope = NULL, evidence = NULL
       WHERE device = ?`,
    ),
    countPending: db.prepare(`SELECT count(*) AS n FROM device WHERE state = 'pending'`),
    putRow: db.prepare(
      `UPDATE judged SET generation = @next, clock = @clock, max_reset = @maxReset, log = @log
       WHERE device = @id AND generation = @generation`,
    ),
    setLabel: db.prepare('UPDATE device SET label = ? WHERE id = ?'),
    seen: db.prepare('UPDATE device SET last_seen = ?, online = ? WHERE id = ?'),
    // The compare-and-set that makes each challenge count once, however many controllers there are; and a verdict that was made
    // before an operator set the device aside, or let it in again, does not count after.
    accept: db.prepare(
      `UPDATE judged SET generation = @next, clock = @clock, max_reset = @maxReset, session = @session, last_seq = @lastSeq,
         at = @at, log = @log, slots = @slots, verdict = @verdict, envelope = @envelope, evidence = @evidence
       WHERE device = @id AND generation = @generation AND @state IN ('approved', 'quarantined')
         AND @state = (SELECT state FROM device WHERE id = @id)`,
    ),
    // Mostly there is nothing to be changed, and so nothing is written.
    heard: db.prepare(
      `UPDATE device SET last_seen = ?, online = 1, trouble = NULL WHERE id = ? AND (online = 0 OR trouble IS NOT NULL)`,
    ),
    addReport: db.prepare(
      'INSERT INTO report (device, session, n, kind, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    escrow: db.prepare('SELECT at, bytes FROM escrow WHERE device = ?'),
    putEscrow: db.prepare('INSERT OR REPLACE INTO escrow (device, at, bytes) VALUES (?, ?, ?)'),
    setTrouble: db.prepare('UPDATE device SET trouble = ?, last_seen = ? WHERE id = ?'),
    evidence: db.prepare('SELECT at, evidence AS bytes FROM judged WHERE device = ? AND evidence IS NOT NULL'),
    addCommand: db.prepare('INSERT INTO command (id, device, body, created_at) VALUES (?, ?, ?, ?)'),
    commands: db.prepare('SELECT * FROM command WHERE device = ? ORDER BY created_at, id'),
    command: db.prepare('SELECT * FROM command WHERE id = ?'),
    supersede: db.prepare(
      `UPDATE command SET outcome = @outcome
       WHERE device = @device AND id <> @id AND outcome IS NULL AND json_extract(body, '$.slot') = @slot`,
    ),
    devicesWithCommands: db.prepare('SELECT DISTINCT device FROM command WHERE outcome IS NULL'),
    highestSeq: db.prepare('SELECT max(seq) AS seq FROM command WHERE device = ? AND session = ?'),
    signedCommand: db.prepare('UPDATE command SET session = ?, seq = ? WHERE id = ?'),
    finishCommand: db.prepare('UPDATE command SET outcome = ? WHERE id = ? AND outcome IS NULL'),
    // Only its own device ends a command, and the first outcome stays.
    reportedCommand: db.prepare('UPDATE command SET outcome = ? WHERE id = ? AND device = ? AND outcome IS NULL'),
    // What was activated may be rolled back later: that is then how it ended.
    rolledBackCommand: db.prepare(
      `UPDATE command SET outcome = @outcome WHERE device = @device AND
         (id = @subject OR (json_extract(body, '$.release') = @subject AND json_extract(body, '$.slot') = @slot))`,
    ),
    nextOrder: db.prepare(
      `INSERT INTO slot_order (device, slot, last) VALUES (?, ?, (SELECT orders_from FROM life) + 1)
       ON CONFLICT (device, slot) DO UPDATE SET last = max(last, (SELECT orders_from FROM life)) + 1 RETURNING last`,
    ),
    standing: db.prepare(
      `SELECT name AS life, (SELECT coalesce(sum(generation), 0) FROM judged) AS accepted,
         (SELECT max(at) FROM history) AS history, (SELECT max(at) FROM judged) AS evidence FROM life`,
    ),
    beginLife: db.prepare('UPDATE life SET name = @next, orders_from = @from WHERE name IS @life'),
    noteAll: db.prepare("INSERT INTO history (device, at, kind, text) SELECT id, ?, 'restored', ? FROM device"),
    addHistory: db.prepare('INSERT INTO history (device, at, kind, text) VALUES (?, ?, ?, ?)'),
    history: db.prepare('SELECT device, at, kind, text FROM history WHERE device = ? ORDER BY n DESC LIMIT ?'),
    pruneHistory: db.prepare(
      'DELETE FROM history WHERE device = ? AND n <= (SELECT n FROM history WHERE device = ? ORDER BY n DESC LIMIT 1 OFFSET ?)',
    ),
    putPart: db.prepare('INSERT OR REPLACE INTO log_part (device, digest, part, bytes) VALUES (?, ?, ?, ?)'),
    countParts: db.prepare('SELECT count(*) AS n FROM log_part WHERE device = ?'),
    parts: db.prepare('SELECT part, bytes FROM log_part WHERE device = ? AND digest = ? ORDER BY part'),
    dropParts: db.prepare('DELETE FROM log_part WHERE device = ?'),
    dropOtherParts: db.prepare('DELETE FROM log_part WHERE device = ? AND digest <> ?'),
  };
}
