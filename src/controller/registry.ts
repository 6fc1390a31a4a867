// The Registry port: what the controllers of a fleet know together. One row per device; acceptance is one compare-and-set.
import type { Finding, Status, Tier } from '../protocol/messages.ts';
import type { RowState } from '../verifier/types.ts';

/** What is kept of what anybody can send, or what never ends. */
export const REGISTRY_LIMITS: {
  /** Parts of a log of one device that wait for its evidence. */
  readonly waitingParts: number;
  /** Credentials that wait at once: anybody can ask for one. */
  readonly credentials: number;
  /** Lines of history of each device; what is older makes room. */
  readonly history: number;
  /** How long after its end a certificate is kept in mind, ms: the broker's clock may be behind. */
  readonly certificateAfterEnd: number;
} = { waitingParts: 512, credentials: 1024, history: 1000, certificateAfterEnd: 30 * 86_400_000 };

export type DeviceState = 'pending' | 'approved' | 'rejected' | 'quarantined' | 'retired';

export interface DeviceRow {
  readonly id: string;
  readonly state: DeviceState;
  readonly label: string | null;
  readonly profile: string;
  readonly tier: Tier;
  /** DSSE envelope of the endorsement (JSON); null while pending. */
  readonly endorsement: string | null;
  readonly row: RowState;
  /** The newest verdict, as signed (DSSE envelope JSON), with what lists need beside it. */
  readonly verdict: {
    readonly status: Status;
    readonly assurance: string;
    readonly findings: readonly Finding[];
    readonly at: number;
    readonly envelope: string;
  } | null;
  readonly lastSeen: number | null;
  readonly online: boolean;
  /** From the newest accepted claims. */
  readonly session: string | null;
  readonly lastSeq: number;
  readonly slots: readonly SlotRow[];
  /** Authentic evidence, newer than the verdict, that could not be accepted; null when there is none. */
  readonly trouble: Trouble | null;
}

/** A slot as the newest accepted evidence has it: release as measured, state as claimed, status as judged. */
export interface SlotRow {
  readonly slot: string;
  readonly release: string | null;
  readonly version: string | null;
  readonly state: string;
  readonly status: Status;
}

export interface Trouble {
  readonly at: number;
  readonly status: Status;
  readonly findings: readonly Finding[];
}

/** A report of a device, new or repeated; `body` is its JSON, `text` the line of history that it gives when it is new. */
export interface ReportRow {
  readonly session: string;
  readonly n: number;
  readonly kind: string;
  readonly slot: string | null;
  /** The command or release that it is about. */
  readonly subject: string | null;
  readonly body: string;
  readonly text: string;
}

export interface PendingEnrolment {
  readonly id: string;
  /** The request's exact bytes, and what was found in it. */
  readonly request: Buffer;
  readonly secretProven: boolean;
  readonly findings: readonly Finding[];
}

/** A credential that was sent and not answered yet. */
export interface Credential {
  /** SHA-256 of the request. */
  readonly request: Buffer;
  /** The request's exact bytes. */
  readonly bytes: Buffer;
  readonly secret: Buffer;
  readonly at: number;
}

export interface Acceptance {
  readonly id: string;
  /** What the operator had decided when it was judged, and the row must still say: approved or quarantined. */
  readonly state: DeviceState;
  /** Generation that the row must still have. */
  readonly generation: number;
  readonly next: RowState;
  readonly verdict: NonNullable<DeviceRow['verdict']>;
  readonly session: string;
  readonly lastSeq: number;
  readonly slots: DeviceRow['slots'];
  /** Reports end the commands that they are about. */
  readonly reports: readonly ReportRow[];
  /** What changed since the last verdict, in words; null when nothing did. */
  readonly change: string | null;
  readonly evidence: Buffer;
  /** What the device gives into escrow; opaque. Takes the place of what it gave before. */
  readonly escrow?: Buffer;
  /** Version of the root statement that the device acts by; absent where it did not say. Not kept. */
  readonly rootVersion?: number;
  /** A request for a broker certificate of a new key (PKCS#10). Not kept. */
  readonly tlsCsr?: Uint8Array;
}

export interface CommandRow {
  readonly id: string;
  readonly device: string;
  /** JSON of the CommandBody. */
  readonly body: string;
  readonly createdAt: number;
  /** Highest session and seq it was signed for. */
  readonly session: string | null;
  readonly seq: number;
  readonly outcome: string | null;
}

export interface HistoryEntry {
  readonly device: string;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

/** A broker certificate that is out. */
export interface IssuedCertificate {
  /** Hex, as node gives it. */
  readonly serial: string;
  readonly device: string;
  /** SHA-256 of the SPKI of its key, hex. */
  readonly key: string;
  readonly notAfter: number;
  readonly pem: string;
}

/** A one-time enrolment token, good until that time (ms since 1970). */
export interface TokenRow {
  /** Hex: the token itself is kept nowhere. */
  readonly digest: string;
  readonly name: string;
  readonly until: number;
}

/** An endorsement (DSSE envelope, JSON), and what it says of the TPM. */
export interface Endorsed {
  readonly envelope: string;
  readonly tier: Tier;
}

/** Errors of every method: StoreError. */
export interface Registry extends AsyncDisposable {
  device(id: string): Promise<DeviceRow | null>;
  devices(): Promise<DeviceRow[]>;
  /** Adds a pending device; false when the id is known already (the known row stays as it is). */
  addDevice(row: Pick<DeviceRow, 'id' | 'label' | 'profile' | 'tier'>, enrolment: PendingEnrolment): Promise<boolean>;
  /** Makes a retired device pending again, with new keys and nothing of its past but the generation; false when it is not retired. */
  enrolAgain(row: Pick<DeviceRow, 'id' | 'profile' | 'tier'>, enrolment: PendingEnrolment): Promise<boolean>;
  /** The request of a device that waits, made anew; nothing happens when it does not wait. */
  renewEnrolment(enrolment: PendingEnrolment): Promise<void>;
  enrolment(id: string): Promise<PendingEnrolment | null>;
  countPending(): Promise<number>;
  /** Keeps what a newcomer must prove that he can open; the oldest make room, and so do those from before `expired`. */
  putCredential(credential: Credential, expired: number): Promise<void>;
  credential(request: Buffer): Promise<Credential | null>;
  dropCredential(request: Buffer): Promise<void>;
  /** A device that becomes retired loses its certificates in the same step. `endorsed` counts where there is no endorsement yet. */
  setState(id: string, from: readonly DeviceState[], to: DeviceState, endorsed?: Endorsed): Promise<boolean>;
  /** Puts `next` in the place of the endorsement `before`, byte for byte; false when that is not the device's any more. */
  endorseAgain(id: string, before: string, next: string): Promise<boolean>;
  /** Puts `next`, whose generation is the one after `generation`, in the place of what acceptance left; false when that is another by now. */
  putRow(id: string, generation: number, next: RowState): Promise<boolean>;
  setLabel(id: string, label: string | null): Promise<void>;
  seen(id: string, at: number, online: boolean): Promise<void>;
  /** All or nothing per acceptance, one transaction for all: true where generation and state still matched. */
  accept(batch: readonly Acceptance[]): Promise<boolean[]>;
  setTrouble(id: string, trouble: Trouble): Promise<void>;
  /** The newest accepted evidence: exact bytes. */
  evidence(device: string): Promise<{ readonly at: number; readonly bytes: Buffer } | null>;
  /** What the device gave into escrow last. */
  escrow(device: string): Promise<{ readonly at: number; readonly bytes: Buffer } | null>;
  /** `slot`: open commands for the same slot are superseded by this one. */
  addCommand(command: Pick<CommandRow, 'id' | 'device' | 'body' | 'createdAt'>, slot: string | null): Promise<void>;
  commands(device: string): Promise<CommandRow[]>;
  /** Devices that have a command without an outcome. */
  devicesWithCommands(): Promise<string[]>;
  /**
   * The number under which command `id` may be signed for `session`: the one it has, or a fresh one above all others when the
   * session is new or `lastSeq` has passed it. Null when it has an outcome.
   */
  takeSeq(id: string, session: string, lastSeq: number): Promise<number | null>;
  finishCommand(id: string, outcome: string): Promise<void>;
  /** Next desired-state order of a slot: rises for ever. */
  nextOrder(device: string, slot: string): Promise<number>;
  /** Its present life (null: the first), how often evidence was accepted, and when the newest thing in it happened. */
  standing(): Promise<{
    readonly life: Buffer | null;
    readonly accepted: number;
    readonly newest: number | null;
  }>;
  /**
   * It was put back from a copy: a new life `next`, orders above all that can have been given out before `at`, and a line in
   * every device's history; tokens that it holds may have been used since, and are void. False when `life` is over already.
   */
  beginLife(life: Buffer | null, next: Buffer, at: number, text: string): Promise<boolean>;
  /** Certificates of a device that count at `now`, the one that ends first before the others. */
  certificates(device: string, now: number): Promise<IssuedCertificate[]>;
  /** False when the device is not of the fleet, or no longer. Those that ended long before `now` are forgotten. */
  addCertificate(certificate: IssuedCertificate, now: number): Promise<boolean>;
  /**
   * Takes one certificate back, whether or not it is known here; of one that is not, it is kept in mind until `notAfter`. Resolves to the
   * device that it is of; null: not known.
   */
  revokeCertificate(serial: string, notAfter: number): Promise<string | null>;
  /** Serial numbers of those that were taken back and whose time is not over at `now`, in order. */
  revokedCertificates(now: number): Promise<string[]>;
  addToken(token: TokenRow): Promise<void>;
  /** The name of the token that is thereby used up, by one controller alone; null where there is none that is good at `now`. */
  takeToken(digest: string, now: number): Promise<string | null>;
  addHistory(entry: HistoryEntry): Promise<void>;
  history(device: string, limit: number): Promise<HistoryEntry[]>;
  putLogPart(device: string, digest: Buffer, index: number, bytes: Buffer): Promise<boolean>;
  takeLogParts(device: string, digest: Buffer, parts: number): Promise<Buffer | null>;
}
