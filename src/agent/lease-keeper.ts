// The lease on a device: which results count, what they grant, and what is left of it.
import { fromHex, toHex } from '../bytes/text.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import { EpochMoved } from '../measure/epoch-moved.ts';
import type { Journal, SentEvidence } from '../store/journal.ts';
import type { Tpm } from '../tpm/port.ts';
import { isGranted, leaseNow } from './lease.ts';
import type { LeaseNow } from './lease.ts';

export type ResultJudgement =
  | { readonly taken: true; readonly lease: false }
  | { readonly taken: true; readonly lease: true; readonly sent: SentEvidence }
  | { readonly taken: false; readonly why: string };

export interface LeaseKeeperParts {
  readonly journal: Pick<Journal, 'lease' | 'setLease' | 'remember' | 'recall' | 'acknowledge'>;
  readonly tpm: Pick<Tpm, 'readClock' | 'life'>;
  /** The TPM's life in which this agent started (tpm-life.ts). */
  readonly life: Buffer;
  /** How often this TPM records its clock, ms (TpmIdentity). */
  readonly clockUpdateMs: number;
  readonly fleetId: string;
  readonly deviceId: string;
  /** 16 bytes: this agent start. */
  readonly session: Buffer;
}

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  #sent = 0;
  #answered = 0;
  #verdict: string | null = null;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  /** Status of the newest result taken in this session. */
  get verdict(): string | null {
    return this.#verdict;
  }

  /** Before evidence is sent: only what is remembered can be answered. */
  async remember(sent: Omit<SentEvidence, 'session' | 'order'>): Promise<void> {
    this.#sent += 1;
    await this.#parts.journal.remember({ ...sent, session: this.#parts.session, order: this.#sent });
  }

  /**
   * Takes an authentic result. Acknowledgements count whenever the evidence is remembered; the lease only when that evidence is of
   * this session and not older than the last one answered, so that no kept result brings back an older verdict.
   */
  async take(result: ResultStatement): Promise<ResultJudgement> {
    const { journal, fleetId, deviceId, session } = this.#parts;
    if (result.fleetId !== fleetId || result.deviceId !== deviceId)
      return { taken: false, why: 'it is for another device' };
    const sent = await journal.recall(fromHex(result.evidence));
    if (sent === null) return { taken: false, why: 'it answers no evidence of this device' };
    await journal.acknowledge(result.acknowledged.map(({ session: of, n }) => ({ session: fromHex(of), n })));
    if (toHex(sent.session) !== toHex(session) || sent.order < this.#answered) return { taken: true, lease: false };
    this.#answered = sent.order;
    this.#verdict = result.status;
    const leaseForMs = isGranted(result.status) ? result.leaseForMs : 0;
    const { logTo: _, ...from } = sent;
    await journal.setLease({ from, leaseForMs, status: result.status });
    return { taken: true, lease: true, sent };
  }

  async #sameLife(): Promise<boolean> {
    return this.#parts.life.equals(await this.#parts.tpm.life());
  }

  /** What is left now, by the TPM's own clock. Errors: EpochMoved when the TPM was cleared since the start. */
  async now(): Promise<LeaseNow> {
    if (!(await this.#sameLife())) throw new EpochMoved('epoch');
    return this.beforeQuote();
  }

  /** The same, where a quote follows: the TPM makes none for us once it was cleared, and is not asked about that. */
  async beforeQuote(): Promise<LeaseNow> {
    const [lease, clock] = await Promise.all([this.#parts.journal.lease(), this.#parts.tpm.readClock()]);
    return leaseNow(lease, clock, this.#parts.clockUpdateMs);
  }
}
