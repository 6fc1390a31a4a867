// The registry in PostgreSQL: shared by controllers of many machines; each method is one statement, hence one transaction.
import { Postgres, storable } from '../store/postgres.ts';
import { encodeLogState } from '../verifier/log-state-codec.ts';
import type { RowState } from '../verifier/types.ts';
import { POSTGRES_MIGRATIONS, REGISTRY_LOCK, REGISTRY_SCHEMA } from './postgres-schema.ts';
import { supersededBy, toCommand, toDevice, toEnrolment, toStanding } from './registry-rows.ts';
import type { CommandSqlRow, DeviceSqlRow, EnrolmentSqlRow, StandingSqlRow } from './registry-statements.ts';
import { REGISTRY_LIMITS } from './registry.ts';
import type {
  Acceptance,
  CommandRow,
  Credential,
  DeviceRow,
  DeviceState,
  Endorsed,
  HistoryEntry,
  IssuedCertificate,
  PendingEnrolment,
  Registry,
  TokenRow,
  Trouble,
} from './registry.ts';

interface Kept {
  readonly at: number;
  readonly bytes: Buffer;
}

/** A device without its evidence. */
const DEVICE = `SELECT id, state, label, profile, tier, endorsement, generation, log, clock, max_reset, verdict, envelope, last_seen, online,
  session, last_seq, slots, trouble, at FROM touchstone.device`;

const ACCEPT = `SELECT n, touchstone.accept(id, state, generation, next, clock, max_reset, session, last_seq, at, log, slots, verdict, envelope,
    evidence, change, escrow, reports, $18) AS won
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[],
    $10::bytea[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[], $16::bytea[], $17::text[]) WITH ORDINALITY
  AS batch (id, state, generation, next, clock, max_reset, session, last_seq, at, log, slots, verdict, envelope, evidence, change, escrow,
    reports, n)`;

/** A request, when what is called `added` has a row. */
const KEEP_ENROLMENT = `INSERT INTO touchstone.enrolment (id, request, proven, findings) SELECT id, $2, $3, $4 FROM added
  ON CONFLICT (id) DO UPDATE SET request = excluded.request, proven = excluded.proven, findings = excluded.findings RETURNING id`;

/** JSON that the database itself looks into: it reads no half of a character pair, and none that is zero. */
function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? storable(inner) : inner));
}

function enrolmentValues({ id, request, secretProven, findings }: PendingEnrolment): unknown[] {
  return [id, request, secretProven ? 1 : 0, JSON.stringify(findings)];
}

/** Arguments of ACCEPT for one. */
function acceptanceValues(one: Acceptance): unknown[] {
  const { envelope, ...verdict } = one.verdict;
  const { generation, clock, maxResetCount, log } = one.next;
  return [
    one.id,
    one.state,
    one.generation,
    generation,
    clock.toString(),
    maxResetCount,
    one.session,
    one.lastSeq,
    verdict.at,
    log === null ? null : encodeLogState(log),
    JSON.stringify(one.slots),
    JSON.stringify(verdict),
    envelope,
    one.evidence,
    one.change,
    one.escrow ?? null,
    one.reports.length === 0 ? null : storableJson(one.reports),
  ];
}

class PostgresRegistry implements Registry {
  readonly #db: Postgres;

  constructor(db: Postgres) {
    this.#db = db;
  }

  async #did(text: string, values: readonly unknown[]): Promise<boolean> {
    return (await this.#db.rows(text, values)).length > 0;
  }

  async device(id: string): Promise<DeviceRow | null> {
    const row = await this.#db.row<DeviceSqlRow>(`${DEVICE} WHERE id = $1`, [id]);
    return row === null ? null : toDevice(row);
  }

  async devices(): Promise<DeviceRow[]> {
    return (await this.#db.rows<DeviceSqlRow>(`${DEVICE} ORDER BY coalesce(label, id) COLLATE "C"`)).map(toDevice);
  }

  async addDevice(
    { label, profile, tier }: Pick<DeviceRow, 'id' | 'label' | 'profile' | 'tier'>,
    enrolment: PendingEnrolment,
  ): Promise<boolean> {
    return this.#did(
      `WITH added AS (INSERT INTO touchstone.device (id, state, label, profile, tier) VALUES ($1, 'pending', $5, $6, $7)
         ON CONFLICT (id) DO NOTHING RETURNING id) ${KEEP_ENROLMENT}`,
      [...enrolmentValues(enrolment), label, profile, tier],
    );
  }

  async enrolAgain(
    { profile, tier }: Pick<DeviceRow, 'id' | 'profile' | 'tier'>,
    enrolment: PendingEnrolment,
  ): Promise<boolean> {
    return this.#did(
      `WITH added AS (UPDATE touchstone.device SET state = 'pending', profile = $5, tier = $6, endorsement = NULL, trouble = NULL,
           generation = generation + 1, clock = '0', max_reset = 0, session = NULL, last_seq = 0, at = NULL, log = NULL, slots = '[]',
           verdict = NULL, envelope = NULL, evidence = NULL
         WHERE id = $1 AND state = 'retired' RETURNING id) ${KEEP_ENROLMENT}`,
      [...enrolmentValues(enrolment), profile, tier],
    );
  }

  async renewEnrolment({ id, request, findings }: PendingEnrolment): Promise<void> {
    await this.#db.rows(
      `UPDATE touchstone.enrolment SET request = $2, findings = $3
       WHERE id = $1 AND (SELECT state FROM touchstone.device WHERE id = $1) = 'pending'`,
      [id, request, JSON.stringify(findings)],
    );
  }

  async enrolment(id: string): Promise<PendingEnrolment | null> {
    const row = await this.#db.row<EnrolmentSqlRow>('SELECT * FROM touchstone.enrolment WHERE id = $1', [id]);
    return row === null ? null : toEnrolment(row);
  }

  async countPending(): Promise<number> {
    const text = `SELECT count(*) AS n FROM touchstone.device WHERE state = 'pending'`;
    return (await this.#db.row<{ n: number }>(text))?.n ?? 0;
  }

  async putCredential({ request, bytes, secret, at }: Credential, expired: number): Promise<void> {
    await this.#db.rows(
      `INSERT INTO touchstone.credential (request, bytes, secret, at) VALUES ($1, $2, $3, $4)
       ON CONFLICT (request) DO UPDATE SET bytes = excluded.bytes, secret = excluded.secret, at = excluded.at`,
      [request, bytes, secret, at],
    );
    await this.#db.rows(
      `DELETE FROM touchstone.credential WHERE at < greatest($1::bigint,
         (SELECT at FROM touchstone.credential ORDER BY at DESC LIMIT 1 OFFSET $2))`,
      [expired, REGISTRY_LIMITS.credentials - 1],
    );
  }

  async credential(request: Buffer): Promise<Credential | null> {
    const text = 'SELECT request, bytes, secret, at FROM touchstone.credential WHERE request = $1';
    return this.#db.row<Credential>(text, [request]);
  }

  async dropCredential(request: Buffer): Promise<void> {
    await this.#db.rows('DELETE FROM touchstone.credential WHERE request = $1', [request]);
  }

  async setState(id: string, from: readonly DeviceState[], to: DeviceState, endorsed?: Endorsed): Promise<boolean> {
    const text = 'SELECT touchstone.set_state($1, $2::text[], $3, $4, $5) AS done';
    const { envelope = null, tier = null } = endorsed ?? {};
    return (await this.#db.row<{ done: boolean }>(text, [id, from, to, envelope, tier]))?.done ?? false;
  }

  async endorseAgain(id: string, before: string, next: string): Promise<boolean> {
    const text = 'UPDATE touchstone.device SET endorsement = $3 WHERE id = $1 AND endorsement = $2 RETURNING id';
    return this.#did(text, [id, before, next]);
  }

  async putRow(id: string, generation: number, next: RowState): Promise<boolean> {
    const text = `UPDATE touchstone.device SET generation = $3, clock = $4, max_reset = $5, log = $6
      WHERE id = $1 AND generation = $2 RETURNING id`;
    const log = next.log === null ? null : encodeLogState(next.log);
    return this.#did(text, [id, generation, next.generation, next.clock.toString(), next.maxResetCount, log]);
  }

  async setLabel(id: string, label: string | null): Promise<void> {
    await this.#db.rows('UPDATE touchstone.device SET label = $2 WHERE id = $1', [id, label]);
  }

  async seen(id: string, at: number, online: boolean): Promise<void> {
    const text = 'UPDATE touchstone.device SET last_seen = $2, online = $3 WHERE id = $1';
    await this.#db.rows(text, [id, at, online ? 1 : 0]);
  }

  async accept(batch: readonly Acceptance[]): Promise<boolean[]> {
    // Rows are taken in one order by all controllers: then none waits for another that waits for him.
    const order = batch
      .map((_, i) => i)
      .toSorted((a, b) => ((batch[a]?.id ?? '') < (batch[b]?.id ?? '') ? -1 : 1) || a - b);
    const rows = order.map((i) => acceptanceValues(batch[i] as Acceptance));
    const columns = Array.from({ length: 17 }, (_, column) => rows.map((values) => values[column]));
    const answers = await this.#db.rows<{ n: number; won: boolean }>(ACCEPT, [...columns, REGISTRY_LIMITS.history]);
    const won = batch.map(() => false);
    for (const { n, won: one } of answers) won[order[n - 1] ?? -1] = one;
    return won;
  }

  async setTrouble(id: string, trouble: Trouble): Promise<void> {
    const text = 'UPDATE touchstone.device SET trouble = $2, last_seen = $3 WHERE id = $1';
    await this.#db.rows(text, [id, JSON.stringify(trouble), trouble.at]);
  }

  async evidence(device: string): Promise<Kept | null> {
    const text = 'SELECT at, evidence AS bytes FROM touchstone.device WHERE id = $1 AND evidence IS NOT NULL';
    return this.#db.row<Kept>(text, [device]);
  }

  async escrow(device: string): Promise<Kept | null> {
    return this.#db.row<Kept>('SELECT at, bytes FROM touchstone.escrow WHERE device = $1', [device]);
  }

  async addCommand(
    { id, device, body, createdAt }: Pick<CommandRow, 'id' | 'device' | 'body' | 'createdAt'>,
    slot: string | null,
  ): Promise<void> {
    await this.#db.rows(
      `WITH ended AS (UPDATE touchstone.command SET outcome = $5
         WHERE device = $2 AND id <> $1 AND outcome IS NULL AND body::json ->> 'slot' = $6)
       INSERT INTO touchstone.command (id, device, body, created_at) VALUES ($1, $2, $3, $4)`,
      [id, device, storableJson(JSON.parse(body)), createdAt, slot === null ? null : supersededBy(id, slot), slot],
    );
  }

  async commands(device: string): Promise<CommandRow[]> {
    const text = 'SELECT * FROM touchstone.command WHERE device = $1 ORDER BY created_at, id';
    return (await this.#db.rows<CommandSqlRow>(text, [device])).map(toCommand);
  }

  async devicesWithCommands(): Promise<string[]> {
    const text = 'SELECT DISTINCT device FROM touchstone.command WHERE outcome IS NULL';
    return (await this.#db.rows<{ device: string }>(text)).map(({ device }) => device);
  }

  async takeSeq(id: string, session: string, lastSeq: number): Promise<number | null> {
    const text = 'SELECT touchstone.take_seq($1, $2, $3) AS seq';
    return (await this.#db.row<{ seq: number | null }>(text, [id, session, lastSeq]))?.seq ?? null;
  }

  async finishCommand(id: string, outcome: string): Promise<void> {
    await this.#db.rows('UPDATE touchstone.command SET outcome = $2 WHERE id = $1 AND outcome IS NULL', [id, outcome]);
  }

  async nextOrder(device: string, slot: string): Promise<number> {
    const text = `INSERT INTO touchstone.slot_order AS held (device, slot, last)
        VALUES ($1, $2, (SELECT orders_from FROM touchstone.life) + 1)
      ON CONFLICT (device, slot) DO UPDATE SET last = greatest(held.last, (SELECT orders_from FROM touchstone.life)) + 1 RETURNING last`;
    return (await this.#db.row<{ last: number }>(text, [device, slot]))?.last ?? 1;
  }

  async standing(): ReturnType<Registry['standing']> {
    const text = `SELECT name AS life, (SELECT coalesce(sum(generation), 0)::bigint FROM touchstone.device) AS accepted,
        (SELECT max(at) FROM touchstone.history) AS history, (SELECT max(at) FROM touchstone.device) AS evidence
      FROM touchstone.life`;
    return toStanding((await this.#db.row<StandingSqlRow>(text)) ?? undefined);
  }

  async beginLife(life: Buffer | null, next: Buffer, at: number, text: string): Promise<boolean> {
    // Milliseconds since 1970: commands are given more slowly, so this is above all orders of a life before.
    return this.#did(
      `WITH begun AS (UPDATE touchstone.life SET name = $2, orders_from = $3 WHERE name IS NOT DISTINCT FROM $1 RETURNING id),
         noted AS (INSERT INTO touchstone.history (device, at, kind, text)
           SELECT device.id, $3, 'restored', $4 FROM touchstone.device, begun),
         voided AS (DELETE FROM touchstone.token USING begun)
       SELECT id FROM begun`,
      [life, next, Math.floor(at), text],
    );
  }

  async certificates(device: string, now: number): Promise<IssuedCertificate[]> {
    return this.#db.rows<IssuedCertificate>(
      `SELECT serial, device, key, not_after AS "notAfter", pem FROM touchstone.certificate
       WHERE device = $1 AND revoked = 0 AND not_after > $2 ORDER BY not_after`,
      [device, now],
    );
  }

  async addCertificate({ serial, device, key, notAfter, pem }: IssuedCertificate, now: number): Promise<boolean> {
    const end = now - REGISTRY_LIMITS.certificateAfterEnd;
    await this.#db.rows('DELETE FROM touchstone.certificate WHERE not_after < $1', [end]);
    // The device's row is held until it is in: who retires the device waits, and takes it back.
    return this.#did(
      `INSERT INTO touchstone.certificate (serial, device, key, not_after, pem) SELECT $1, id, $3, $4, $5
         FROM (SELECT id FROM touchstone.device WHERE id = $2 AND state IN ('approved', 'quarantined') FOR NO KEY UPDATE) AS held
       RETURNING serial`,
      [serial, device, key, notAfter, pem],
    );
  }

  async revokeCertificate(serial: string, notAfter: number): Promise<string | null> {
    const text = `INSERT INTO touchstone.certificate (serial, device, key, not_after, pem, revoked) VALUES ($1, '', '', $2, '', 1)
      ON CONFLICT (serial) DO UPDATE SET revoked = 1 RETURNING device`;
    const device = (await this.#db.row<{ device: string }>(text, [serial, notAfter]))?.device ?? '';
    return device === '' ? null : device;
  }

  async revokedCertificates(now: number): Promise<string[]> {
    const text = 'SELECT serial FROM touchstone.certificate WHERE revoked = 1 AND not_after > $1 ORDER BY serial';
    const rows = await this.#db.rows<{ serial: string }>(text, [now - REGISTRY_LIMITS.certificateAfterEnd]);
    return rows.map(({ serial }) => serial);
  }

  async addToken({ digest, name, until }: TokenRow): Promise<void> {
    const text = 'INSERT INTO touchstone.token (digest, name, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING';
    await this.#db.rows(text, [digest, name, until]);
  }

  async takeToken(digest: string, now: number): Promise<string | null> {
    const text = 'DELETE FROM touchstone.token WHERE digest = $1 AND until >= $2 RETURNING name';
    return (await this.#db.row<{ name: string }>(text, [digest, now]))?.name ?? null;
  }

  async addHistory({ device, at, kind, text }: HistoryEntry): Promise<void> {
    await this.#db.rows('SELECT touchstone.note($1, $2, $3, $4, $5)', [
      device,
      at,
      kind,
      text,
      REGISTRY_LIMITS.history,
    ]);
  }

  async history(device: string, limit: number): Promise<HistoryEntry[]> {
    const text = 'SELECT device, at, kind, text FROM touchstone.history WHERE device = $1 ORDER BY n DESC LIMIT $2';
    return this.#db.rows<HistoryEntry>(text, [device, limit]);
  }

  async putLogPart(device: string, digest: Buffer, index: number, bytes: Buffer): Promise<boolean> {
    const text = 'SELECT touchstone.put_part($1, $2, $3, $4, $5) AS done';
    const values = [device, digest, index, bytes, REGISTRY_LIMITS.waitingParts];
    return (await this.#db.row<{ done: boolean }>(text, values))?.done ?? false;
  }

  async takeLogParts(device: string, digest: Buffer, parts: number): Promise<Buffer | null> {
    const text = 'SELECT part, bytes FROM touchstone.log_part WHERE device = $1 AND digest = $2 ORDER BY part';
    const rows = await this.#db.rows<{ part: number; bytes: Buffer }>(text, [device, digest]);
    if (rows.length !== parts || rows.some((row, i) => row.part !== i)) return null;
    // Of two who ask at once one gets it.
    const dropped = 'DELETE FROM touchstone.log_part WHERE device = $1 RETURNING part';
    return (await this.#did(dropped, [device])) ? Buffer.concat(rows.map((row) => row.bytes)) : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#db[Symbol.asyncDispose]();
  }
}

/** Opens or makes the registry at this address. Errors: ConfigError; StoreError. */
export async function openPostgresRegistry(url: string): Promise<Registry> {
  const schema = { schema: REGISTRY_SCHEMA, migrations: POSTGRES_MIGRATIONS, lock: REGISTRY_LOCK };
  return new PostgresRegistry(await Postgres.open({ url, ...schema }));
}
