// The registry in SQLite: durable, shared by the controllers of one machine, acceptance in one transaction a batch.
import { openSqlite, storeError } from '../store/sqlite.ts';
import type { Connection } from '../store/sqlite.ts';
import { decodeLogState, encodeLogState } from './log-state-codec.ts';
import { REGISTRY_APPLICATION_ID, REGISTRY_MIGRATIONS } from './registry-schema.ts';
import { prepareStatements } from './registry-statements.ts';
import type { CommandSqlRow, DeviceSqlRow, EnrolmentSqlRow, Statements } from './registry-statements.ts';
import type {
  Acceptance,
  CommandRow,
  DeviceRow,
  DeviceState,
  HistoryEntry,
  PendingEnrolment,
  Registry,
} from './registry.ts';

/** A device may keep at most this many parts of a log waiting for its evidence. */
const MAX_WAITING_PARTS = 512;

type Verdict = NonNullable<DeviceRow['verdict']>;

function toDevice(row: DeviceSqlRow): DeviceRow {
  const verdict =
    row.verdict === null
      ? null
      : { ...(JSON.parse(row.verdict) as Omit<Verdict, 'envelope'>), envelope: row.envelope ?? '' };
  return {
    id: row.id,
    state: row.state as DeviceState,
    label: row.label,
    profile: row.profile,
    tier: row.tier as DeviceRow['tier'],
    endorsement: row.endorsement,
    row: {
      generation: row.generation,
      log: row.log === null ? null : decodeLogState(row.log),
      clock: BigInt(row.clock),
      maxResetCount: row.max_reset,
    },
    verdict,
    lastSeen: row.last_seen,
    online: row.online === 1,
    session: row.session,
    lastSeq: row.last_seq,
    slots: JSON.parse(row.slots) as DeviceRow['slots'],
  };
}

function toCommand(row: CommandSqlRow): CommandRow {
  const { created_at: createdAt, ...rest } = row;
  return { ...rest, createdAt };
}

class SqliteRegistry implements Registry {
  readonly #db: Connection;
  readonly #path: string;
  readonly #sql: Statements;
  readonly #acceptAll: (batch: readonly Acceptance[]) => boolean[];

  constructor(db: Connection, path: string) {
    this.#db = db;
    this.#path = path;
    this.#sql = prepareStatements(db);
    this.#acceptAll = db.transaction((batch: readonly Acceptance[]) => batch.map((one) => this.#accept(one))).immediate;
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
          const { id, request, secretProven, findings } = enrolment;
          this.#sql.addEnrolment.run(id, request, secretProven ? 1 : 0, JSON.stringify(findings));
          return true;
        })
        .immediate(),
    );
  }

  enrolment(id: string): Promise<PendingEnrolment | null> {
    return this.#run(() => {
      const row: EnrolmentSqlRow | undefined = this.#sql.enrolment.get(id);
      if (row === undefined) return null;
      const findings = JSON.parse(row.findings) as PendingEnrolment['findings'];
      return { id: row.id, request: row.request, secretProven: row.proven === 1, findings };
    });
  }

  setState(id: string, from: readonly DeviceState[], to: DeviceState, endorsement?: string): Promise<boolean> {
    return this.#run(() => {
      const states = JSON.stringify(from);
      return this.#sql.setState.run({ id, to, states, endorsement: endorsement ?? null }).changes === 1;
    });
  }

  setLabel(id: string, label: string): Promise<void> {
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
      generation: one.generation,
      next: one.next.generation,
      log: one.next.log === null ? null : encodeLogState(one.next.log),
      clock: one.next.clock.toString(),
      maxReset: one.next.maxResetCount,
      verdict: JSON.stringify(verdict),
      envelope,
      at: verdict.at,
      session: one.session,
      lastSeq: one.lastSeq,
      slots: JSON.stringify(one.slots),
    });
    if (changed.changes === 0) return false;
    for (const report of one.reports) {
      this.#sql.addReport.run(one.id, report.session, report.n, report.kind, report.body);
    }
    this.#sql.putEvidence.run(one.id, verdict.at, one.evidence);
    return true;
  }

  addCommand(command: Pick<CommandRow, 'id' | 'device' | 'body' | 'createdAt'>): Promise<void> {
    return this.#run(() => void this.#sql.addCommand.run(command.id, command.device, command.body, command.createdAt));
  }

  commands(device: string): Promise<CommandRow[]> {
    return this.#run(() => this.#sql.commands.all(device).map(toCommand));
  }

  signedCommand(id: string, session: string, seq: number): Promise<void> {
    return this.#run(() => void this.#sql.signedCommand.run(session, seq, id));
  }

  finishCommand(id: string, outcome: string): Promise<void> {
    return this.#run(() => void this.#sql.finishCommand.run(outcome, id));
  }

  nextOrder(device: string, slot: string): Promise<number> {
    return this.#run(() => this.#sql.nextOrder.get(device, slot)?.last ?? 1);
  }

  addHistory(entry: HistoryEntry): Promise<void> {
    return this.#run(() => void this.#sql.addHistory.run(entry.device, entry.at, entry.kind, entry.text));
  }

  history(device: string, limit: number): Promise<HistoryEntry[]> {
    return this.#run(() => this.#sql.history.all(device, limit));
  }

  putLogPart(device: string, digest: Buffer, index: number, bytes: Buffer): Promise<boolean> {
    return this.#run(() => {
      // Parts of another log are of an evidence that did not come: they make room.
      this.#sql.dropOtherParts.run(device, digest);
      if ((this.#sql.countParts.get(device)?.n ?? 0) >= MAX_WAITING_PARTS) return false;
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
  });
  return new SqliteRegistry(db, path);
}
