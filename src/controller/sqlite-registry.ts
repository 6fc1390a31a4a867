// The registry in SQLite: durable, shared by the controllers of one machine, acceptance in one transaction a batch.
import { openSqlite, storeError } from '../store/sqlite.ts';
import type { Connection } from '../store/sqlite.ts';
import { encodeLogState } from '../verifier/log-state-codec.ts';
import type { RowState } from '../verifier/types.ts';
import { REGISTRY_APPLICATION_ID, REGISTRY_MIGRATIONS } from './registry-schema.ts';
import { CertificateTable } from './sqlite-certificates.ts';
import { NewcomerTables } from './sqlite-newcomers.ts';
import { prepareStatements } from './registry-statements.ts';
import { supersededBy, toCommand, toDevice, toEnrolment, toStanding } from './registry-rows.ts';
import { REGISTRY_LIMITS } from './registry.ts';
import type { EnrolmentSqlRow, Statements } from './registry-statements.ts';
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
  ReportRow,
  TokenRow,
  Trouble,
} from './registry.ts';

function rowCells({ generation, log, clock, maxResetCount }: RowState): object {
  const state = log === null ? null : encodeLogState(log);
  return { next: generation, log: state, clock: clock.toString(), maxReset: maxResetCount };
}

class SqliteRegistry implements Registry {
  readonly #db: Connection;
  readonly #path: string;
  readonly #sql: Statements;
  readonly #certificates: CertificateTable;
  readonly #newcomers: NewcomerTables;
  readonly #acceptAll: (batch: readonly Acceptance[]) => boolean[];
  readonly #takeSeq: (id: string, session: string, lastSeq: number) => number | null;

  constructor(db: Connection, path: string) {
    this.#db = db;
    this.#path = path;
    this.#sql = prepareStatements(db);
    this.#certificates = new CertificateTable(db);
    this.#newcomers = new NewcomerTables(db);
    const acceptAll = db.transaction((batch: readonly Acceptance[]) => batch.map((one) => this.#accept(one)));
    this.#acceptAll = (batch) => acceptAll.immediate(batch);
    const takeSeq = db.transaction((id: string, session: string, last: number) => this.#nextSeq(id, session, last));
    this.#takeSeq = (id, session, last) => takeSeq.immediate(id, session, last);
  }

  /** Runs SQL now; what it throws rejects as a StoreError. */
  #run<T>(work: () => T): Promise<T> {
    try {
      return Promise.resolve(work());
    } catch (cause) {
      return Promise.reject(storeError(this.#path, cause));
    }
  }

  device(id: string): Promise<DeviceRow | null> {
    return this.#run(() => {
      const row = this.#sql.device.get(id);
      return row === undefined ? null : toDevice(row);
    });
  }

  devices(): Promise<DeviceRow[]> {
    return this.#run(() => this.#sql.devices.all().map(toDevice));
  }

  addDevice(row: Pick<DeviceRow, 'id' | 'label' | 'profile' | 'tier'>, enrolment: PendingEnrolment): Promise<boolean> {
    return this.#run(() =>
      this.#db
        .transaction(() => {
          if (this.#sql.addDevice.run(row.id, row.label, row.profile, row.tier).changes === 0) return false;
          this.#sql.addJudged.run(row.id);
          this.#putEnrolment(enrolment);
          return true;
        })
        .immediate(),
    );
  }

  #putEnrolment({ id, request, secretProven, findings }: PendingEnrolment): void {
    this.#sql.addEnrolment.run(id, request, secretProven ? 1 : 0, JSON.stringify(findings));
  }

  enrolAgain(row: Pick<DeviceRow, 'id' | 'profile' | 'tier'>, enrolment: PendingEnrolment): Promise<boolean> {
    return this.#run(() =>
      this.#db
        .transaction(() => {
          if (this.#sql.enrolAgain.run(row).changes === 0) return false;
          this.#sql.judgeAnew.run(row.id);
          this.#putEnrolment(enrolment);
          return true;
        })
        .immediate(),
    );
  }

  countPending(): Promise<number> {
    return this.#run(() => this.#sql.countPending.get()?.n ?? 0);
  }

  renewEnrolment({ id, request, findings }: PendingEnrolment): Promise<void> {
    return this.#run(() => void this.#sql.renewEnrolment.run({ id, request, findings: JSON.stringify(findings) }));
  }

  enrolment(id: string): Promise<PendingEnrolment | null> {
    return this.#run(() => {
      const row: EnrolmentSqlRow | undefined = this.#sql.enrolment.get(id);
      return row === undefined ? null : toEnrolment(row);
    });
  }

  putCredential(credential: Credential, expired: number): Promise<void> {
    return this.#run(() => {
      this.#newcomers.putCredential(credential, expired);
    });
  }

  credential(request: Buffer): Promise<Credential | null> {
    return this.#run(() => this.#newcomers.credential(request));
  }

  dropCredential(request: Buffer): Promise<void> {
    return this.#run(() => {
      this.#newcomers.dropCredential(request);
    });
  }

  addToken(token: TokenRow): Promise<void> {
    return this.#run(() => {
      this.#newcomers.addToken(token);
    });
  }

  takeToken(digest: string, now: number): Promise<string | null> {
    return this.#run(() => this.#newcomers.takeToken(digest, now));
  }

  setState(id: string, from: readonly DeviceState[], to: DeviceState, endorsed?: Endorsed): Promise<boolean> {
    return this.#run(() => {
      const states = JSON.stringify(from);
      const { envelope = null, tier = null } = endorsed ?? {};
      const set = this.#db.transaction(() => {
        if (this.#sql.setState.run({ id, to, states, endorsement: envelope, tier }).changes === 0) return false;
        if (to === 'retired') this.#certificates.revoke(id);
        return true;
      });
      return set.immediate();
    });
  }

  endorseAgain(id: string, before: string, next: string): Promise<boolean> {
    return this.#run(() => this.#sql.endorseAgain.run({ id, before, next }).changes === 1);
  }

  putRow(id: string, generation: number, next: RowState): Promise<boolean> {
    return this.#run(() => this.#sql.putRow.run({ id, generation, ...rowCells(next) }).changes === 1);
  }

  setLabel(id: string, label: string | null): Promise<void> {
    return this.#run(() => void this.#sql.setLabel.run(label, id));
  }

  seen(id: string, at: number, online: boolean): Promise<void> {
    return this.#run(() => void this.#sql.seen.run(at, online ? 1 : 0, id));
  }

  accept(batch: readonly Acceptance[]): Promise<boolean[]> {
    return this.#run(() => this.#acceptAll(batch));
  }

  #accept(one: Acceptance): boolean {
    const { envelope, ...verdict } = one.verdict;
    const changed = this.#sql.accept.run({
      id: one.id,
      state: one.state,
      generation: one.generation,
      ...rowCells(one.next),
      verdict: JSON.stringify(verdict),
      envelope,
      at: verdict.at,
      session: one.session,
      lastSeq: one.lastSeq,
      slots: JSON.stringify(one.slots),
      evidence: one.evidence,
    });
    if (changed.changes === 0) return false;
    this.#sql.heard.run(verdict.at, one.id);
    for (const report of one.reports) this.#takeReport(one.id, verdict.at, report);
    if (one.change !== null) this.#note(one.id, verdict.at, 'verdict', one.change);
    if (one.escrow !== undefined) this.#sql.putEscrow.run(one.id, verdict.at, one.escrow);
    return true;
  }

  #takeReport(device: string, at: number, { session, n, kind, slot, subject, body, text }: ReportRow): void {
    if (this.#sql.addReport.run(device, session, n, kind, body).changes === 0) return;
    this.#note(device, at, kind, text);
    if (subject === null) return;
    if (kind === 'rolled-back') this.#sql.rolledBackCommand.run({ outcome: body, device, subject, slot });
    else this.#sql.reportedCommand.run(body, subject, device);
  }

  setTrouble(id: string, trouble: Trouble): Promise<void> {
    return this.#run(() => void this.#sql.setTrouble.run(JSON.stringify(trouble), trouble.at, id));
  }

  evidence(device: string): Promise<{ readonly at: number; readonly bytes: Buffer } | null> {
    return this.#run(() => this.#sql.evidence.get(device) ?? null);
  }

  escrow(device: string): Promise<{ readonly at: number; readonly bytes: Buffer } | null> {
    return this.#run(() => this.#sql.escrow.get(device) ?? null);
  }

  addCommand(command: Pick<CommandRow, 'id' | 'device' | 'body' | 'createdAt'>, slot: string | null): Promise<void> {
    const { id, device, body, createdAt } = command;
    return this.#run(() => {
      this.#db
        .transaction(() => {
          this.#sql.addCommand.run(id, device, body, createdAt);
          if (slot === null) return;
          this.#sql.supersede.run({ outcome: supersededBy(id, slot), device, id, slot });
        })
        .immediate();
    });
  }

  commands(device: string): Promise<CommandRow[]> {
    return this.#run(() => this.#sql.commands.all(device).map(toCommand));
  }

  devicesWithCommands(): Promise<string[]> {
    return this.#run(() => this.#sql.devicesWithCommands.all().map(({ device }) => device));
  }

  takeSeq(id: string, session: string, lastSeq: number): Promise<number | null> {
    return this.#run(() => this.#takeSeq(id, session, lastSeq));
  }

  #nextSeq(id: string, session: string, lastSeq: number): number | null {
    const command = this.#sql.command.get(id);
    if (command === undefined || command.outcome !== null) return null;
    if (command.session === session && command.seq > lastSeq) return command.seq;
    const seq = Math.max(lastSeq, this.#sql.highestSeq.get(command.device, session)?.seq ?? 0) + 1;
    this.#sql.signedCommand.run(session, seq, id);
    return seq;
  }

  finishCommand(id: string, outcome: string): Promise<void> {
    return this.#run(() => void this.#sql.finishCommand.run(outcome, id));
  }

  nextOrder(device: string, slot: string): Promise<number> {
    return this.#run(() => this.#sql.nextOrder.get(device, slot)?.last ?? 1);
  }

  standing(): Promise<{ life: Buffer | null; accepted: number; newest: number | null }> {
    return this.#run(() => {
      return toStanding(this.#sql.standing.get());
    });
  }

  beginLife(life: Buffer | null, next: Buffer, at: number, text: string): Promise<boolean> {
    return this.#run(() =>
      this.#db
        .transaction(() => {
          // Milliseconds since 1970: commands are given more slowly, so this is above all orders of a life before.
          if (this.#sql.beginLife.run({ life, next, from: Math.floor(at) }).changes === 0) return false;
          this.#sql.noteAll.run(at, text);
          this.#newcomers.voidTokens();
          return true;
        })
        .immediate(),
    );
  }

  certificates(device: string, now: number): Promise<IssuedCertificate[]> {
    return this.#run(() => this.#certificates.of(device, now));
  }

  addCertificate(certificate: IssuedCertificate, now: number): Promise<boolean> {
    return this.#run(() => this.#certificates.add(certificate, now));
  }

  revokeCertificate(serial: string, notAfter: number): Promise<string | null> {
    return this.#run(() => this.#certificates.revokeOne(serial, notAfter));
  }

  revokedCertificates(now: number): Promise<string[]> {
    return this.#run(() => this.#certificates.revoked(now));
  }

  addHistory(entry: HistoryEntry): Promise<void> {
    return this.#run(() => {
      this.#note(entry.device, entry.at, entry.kind, entry.text);
    });
  }

  #note(device: string, at: number, kind: string, text: string): void {
    this.#sql.addHistory.run(device, at, kind, text);
    this.#sql.pruneHistory.run(device, device, REGISTRY_LIMITS.history);
  }

  history(device: string, limit: number): Promise<HistoryEntry[]> {
    return this.#run(() => this.#sql.history.all(device, limit));
  }

  putLogPart(device: string, digest: Buffer, index: number, bytes: Buffer): Promise<boolean> {
    return this.#run(() => {
      // Parts of another log are of an evidence that did not come: they make room.
      this.#sql.dropOtherParts.run(device, digest);
      if ((this.#sql.countParts.get(device)?.n ?? 0) >= REGISTRY_LIMITS.waitingParts) return false;
      this.#sql.putPart.run(device, digest, index, bytes);
      return true;
    });
  }

  takeLogParts(device: string, digest: Buffer, parts: number): Promise<Buffer | null> {
    return this.#run(() => {
      const rows = this.#sql.parts.all(device, digest);
      if (rows.length !== parts || rows.some((row, i) => row.part !== i)) return null;
      this.#sql.dropParts.run(device);
      return Buffer.concat(rows.map((row) => row.bytes));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#run(() => {
      this.#db.close();
    });
  }
}

/** Opens or makes the registry at `path`. Errors: StoreError. */
export function openSqliteRegistry(path: string): Registry {
  const db = openSqlite({
    path,
    applicationId: REGISTRY_APPLICATION_ID,
    migrations: REGISTRY_MIGRATIONS,
    shared: true,
    cacheKiB: 16 * 1024,
    // A batch of evidence touches hundreds of pages: copied back after each, they would be written and synced twice.
    walPages: 4096,
  });
  return new SqliteRegistry(db, path);
}
