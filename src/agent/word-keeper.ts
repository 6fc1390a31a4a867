// What the slots lean on beside their measurement: the controller's word and that of people at the device, kept together.
import type { Claims } from '../evidence/claims.ts';
import type { Log } from '../log.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import type { SentEvidence } from '../store/journal.ts';
import { GlassKeeper } from './glass-keeper.ts';
import type { Breaking, GlassKeeperParts } from './glass-keeper.ts';
import { isGranted } from './lease.ts';
import type { LeaseNow } from './lease.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { LeaseKeeperParts, ResultJudgement } from './lease-keeper.ts';
import type { SlotState, Word } from './slot-policy.ts';

/** When what the slots lean on ends by itself, ms from now; null: it does not. */
export function leftOf({ lease, glasses }: Word): number | null {
  if (lease.state === 'running') return lease.leftMs;
  const left = [...glasses.values()].map(({ leftMs }) => leftMs);
  return left.length === 0 ? null : Math.min(...left);
}

/** What evidence says of it. */
export function glassClaim({ glasses }: Word): Pick<Claims, 'breakGlass'> {
  if (glasses.size === 0) return {};
  return {
    breakGlass: [...glasses].map(([slot, { leftMs, reason }]) => ({ slot, leftMs: Math.ceil(leftMs), reason })),
  };
}

/** `before`: the status of the result before. */
export function sayVerdict(
  log: Log,
  before: string | null,
  { status, assurance }: Pick<ResultStatement, 'status' | 'assurance'>,
): void {
  if (before === status) return;
  log.write(isGranted(status) ? 'info' : 'error', 'verdict', `the controller says: ${status}`, { status, assurance });
}

/** Not concurrent: the agent's mailbox sees to it. Errors: TpmError, StoreError. */
export class WordKeeper {
  readonly #leases: LeaseKeeper;
  readonly #glass: GlassKeeper;

  constructor(parts: LeaseKeeperParts & GlassKeeperParts) {
    this.#leases = new LeaseKeeper(parts);
    this.#glass = new GlassKeeper(parts);
  }

  /** Status of the newest result taken in this session. */
  get verdict(): string | null {
    return this.#leases.verdict;
  }

  /** Errors: EpochMoved when the TPM was cleared since the start. */
  async now(): Promise<Word> {
    return this.#with(await this.#leases.now());
  }

  /** The same, where a quote follows (LeaseKeeper). */
  async beforeQuote(): Promise<Word> {
    return this.#with(await this.#leases.beforeQuote());
  }

  async #with(lease: LeaseNow): Promise<Word> {
    return { lease, glasses: await this.#glass.now(lease) };
  }

  async remember(sent: Omit<SentEvidence, 'session' | 'order'>): Promise<void> {
    await this.#leases.remember(sent);
  }

  /** Takes an authentic result; a lease that runs by it mends every glass. */
  async take(result: ResultStatement): Promise<ResultJudgement> {
    const judgement = await this.#leases.take(result);
    if (judgement.taken && judgement.lease) await this.#glass.mend(await this.#leases.now());
    return judgement;
  }

  /** `stateOf`: what the slot, which was just measured, may be used for by that word. */
  async breakGlass(slot: string, reason: string, stateOf: (word: Word) => SlotState): Promise<Breaking> {
    const word = await this.now();
    return this.#glass.break(slot, reason, stateOf(word), word.lease);
  }
}
