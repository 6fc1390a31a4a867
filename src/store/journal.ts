// The Journal port: what the agent must still know after any power cut.
import type { EpochChange } from '../cel/events.ts';
import type { Report } from '../evidence/claims.ts';
import type { Epoch } from '../tpm/port.ts';

/** Where the current log stands. `pcr` is what the done records replay to. */
export interface LogHead {
  readonly epoch: Epoch;
  /** TPM clock, ms, when the journal last saw this epoch begin. */
  readonly clock: bigint;
  /** How the epoch in which this log began followed the one before it. */
  readonly why: EpochChange;
  readonly seq: number;
  readonly pcr: Buffer;
  /** The record whose extend may or may not have run: at most one. */
  readonly intent: { readonly seq: number; readonly record: Buffer; readonly digest: Buffer } | null;
  /** A record that waits while a foreign extension is explained; it is opened again after that. */
  readonly aside: Buffer | null;
}

/** How a log begins. */
export interface LogStart {
  readonly epoch: Epoch;
  readonly clock: bigint;
  readonly why: EpochChange;
  /** A record whose extend has run in this epoch already; `pcr` is what the PCR holds since. */
  readonly first?: { readonly record: Buffer; readonly digest: Buffer; readonly pcr: Buffer };
}

/**
 * NONE: nothing was ever committed and nothing waits. STAGED: the candidate is on the disk, verified. TRIAL: it may be opened, on
 * probation. COMMITTING: it passed; left only forwards. COMMITTED: `active` is what the slot holds, and nothing waits.
 */
export const SLOT_PHASES = ['NONE', 'STAGED', 'TRIAL', 'COMMITTING', 'COMMITTED'] as const;
export type SlotPhase = (typeof SLOT_PHASES)[number];

export interface SlotRow {
  readonly slot: string;
  /** Hex release id that was committed last; null when none was. What a trial falls back to. */
  readonly active: string | null;
  /** The release before it, still on disk. */
  readonly previous: string | null;
  /** Highest order of a desired state accepted for this slot. */
  readonly order: number;
  /** The candidate: hex release id, null unless STAGED, TRIAL or COMMITTING. */
  readonly staged: string | null;
  /** Of the release that was committed last: the floor where no hardware holds one. */
  readonly securityVersion: number;
  readonly state: SlotPhase;
  /** Activations of the candidate in this trial, each counted before it happens. */
  readonly tries: number;
  /** Time that the candidate could be used in this trial, ms, over all its boots. */
  readonly ranMs: number;
}

/** A slot that never held anything. */
export function emptySlot(slot: string): SlotRow {
  const nothing = { active: null, previous: null, staged: null, securityVersion: 0 };
  return { slot, ...nothing, order: 0, state: 'NONE', tries: 0, ranMs: 0 };
}

/** What the agent remembers of an evidence it sent, so that it can take the result. */
export interface SentEvidence {
  readonly digest: Buffer;
  readonly clock: bigint;
  readonly epoch: Epoch;
  readonly session: Buffer;
  readonly order: number;
  /** Last record of the log that it carries, or that was carried before it. */
  readonly logTo: number;
}

export interface Lease {
  readonly from: Omit<SentEvidence, 'logTo'>;
  readonly leaseForMs: number;
  readonly status: string;
}

/**
 * Errors of every method: StoreError. Every method that returns has made its change durable (WAL, synchronous FULL), but for
 * `closeIntent`: its change becomes durable with the next one.
 */
export interface Journal extends AsyncDisposable {
  head(): Promise<LogHead | null>;
  /** Starts a log for a new epoch, empty or with its first record; forgets the old log's records, any intent and what was set aside. */
  newLog(start: LogStart): Promise<void>;
  /** The same log goes on in a new epoch (the PCRs were kept). */
  moveEpoch(epoch: Epoch, clock: bigint): Promise<void>;
  /** Makes the intent durable; answers its sequence number. There must be none open. `record` is the encoded CEL record. `from` aside: it is
   * the one that was set aside, which thereby no longer waits. */
  openIntent(record: Buffer, digest: Buffer, from?: 'new' | 'aside'): Promise<number>;
  /**
   * The intent's extend has run: the record is part of the log. `pcr` is the new replay value. A power cut may open the intent again,
   * which does no harm: the PCR tells that its extend has run.
   */
  closeIntent(seq: number, pcr: Buffer): Promise<void>;
  /** Forgets the open intent, whose extend certainly did not run in this log and is not to be repeated. */
  dropIntent(seq: number): Promise<void>;
  /** Sets the open intent aside in one step, so that another record can go first. Nothing else may be waiting there. */
  setAside(seq: number): Promise<void>;
  /** Encoded records from..to inclusive. */
  records(from: number, to: number): Promise<Buffer[]>;

  slots(): Promise<SlotRow[]>;
  /** With `report`: both in one step, so that no end of a trial is without its reason. */
  setSlot(row: SlotRow, report?: Omit<Report, 'n'>): Promise<void>;

  /** Names the report {session, n} and keeps it until acknowledged, however many there are: who begins what ends in one looks first. */
  addReport(report: Omit<Report, 'n'>): Promise<void>;
  reports(): Promise<Report[]>;
  acknowledge(names: readonly { readonly session: Uint8Array; readonly n: number }[]): Promise<void>;

  /** Marks a command as started before anything is done for it; null clears. On start, one left over is reported `interrupted`. */
  setStarted(command: { readonly id: string; readonly slot: string | null } | null): Promise<void>;
  started(): Promise<{ readonly id: string; readonly slot: string | null } | null>;

  remember(sent: SentEvidence): Promise<void>;
  recall(digest: Uint8Array): Promise<SentEvidence | null>;
  setLease(lease: Lease): Promise<void>;
  lease(): Promise<Lease | null>;

  /** Small durable facts: time that was signed last, last clean stop, root statement and its version, endorsement, certificate, engines. */
  get(key: FactKey): Promise<Buffer | null>;
  put(key: FactKey, value: Buffer | null): Promise<void>;
}

export type FactKey =
  | 'last-time'
  | 'signed-time'
  | 'escrowed'
  | 'glass'
  | 'stopped-cleanly'
  | 'root-version'
  | 'root-chain'
  | 'ak-name'
  | 'tpm-life'
  | 'enrol-request'
  | 'endorsement'
  | 'certificate'
  | 'tls-key'
  | 'next-tls-key'
  | 'next-csr'
  | 'next-certificate'
  | 'engines'
  | 'profile';

export type { EpochChange };
