// The glass of each slot: who may break it and when, what that is worth, and when it is whole again (test/models/lease.pml).
import { name, parseShape, text, uint, v } from '../bytes/shape.ts';
import type { Shape } from '../bytes/shape.ts';
import { MAX_REPORTS } from '../evidence/claims.ts';
import type { Log } from '../log.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { Journal } from '../store/journal.ts';
import type { Tpm } from '../tpm/port.ts';
import { MAX_REASON } from './glass.ts';
import type { Glasses, OpenGlass } from './glass.ts';
import { leaseNow } from './lease.ts';
import type { LeaseNow } from './lease.ts';
import type { SlotState } from './slot-policy.ts';

/** Kept when its time is over too: it is broken until it is mended. Times are ms of the TPM's clock. */
interface Broken {
  readonly slot: string;
  readonly clock: number;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly forMs: number;
  readonly reason: string;
}

const factShape: Shape<readonly Broken[]> = v.array(
  v.strictObject({
    slot: name,
    clock: uint(),
    resetCount: uint(0xffffffff),
    restartCount: uint(0xffffffff),
    forMs: uint(),
    reason: text(MAX_REASON),
  }),
);

/** Whatever was broken stays so, and its time is over: the clock that it was counted on is gone. Errors: StoreError. */
export async function endGlasses(journal: Pick<Journal, 'get' | 'put'>): Promise<void> {
  const broken = readGlasses(await journal.get('glass'));
  if (broken.length > 0) await journal.put('glass', encoded(broken.map((one) => ({ ...one, forMs: 0 }))));
}

function readGlasses(fact: Buffer | null): readonly Broken[] {
  return fact === null ? [] : parseShape(factShape, JSON.parse(fact.toString()), 'glass');
}

const encoded = (broken: readonly Broken[]): Buffer => Buffer.from(JSON.stringify(broken));

export type Breaking =
  | { readonly broken: true; readonly forSeconds: number }
  | { readonly broken: false; readonly rule: string; readonly why: string };

export interface GlassKeeperParts {
  readonly journal: Pick<Journal, 'get' | 'put' | 'reports' | 'addReport'>;
  readonly tpm: Pick<Tpm, 'readClock'>;
  /** How often this TPM records its clock, ms (TpmIdentity). */
  readonly clockUpdateMs: number;
  readonly slots: readonly SlotProfile[];
  /** 16 bytes: this agent start. */
  readonly session: Buffer;
  readonly log: Log;
  /** Device time, ms. */
  now(): number;
}

/** The controller must hear of each one, so there is always a place for its report. */
const PLACES_FOR_OTHERS = 2;

const no = (rule: string, why: string): Breaking => ({ broken: false, rule, why });

/** Not concurrent: the agent's mailbox sees to it. Errors: TpmError, StoreError. */
export class GlassKeeper {
  readonly #parts: GlassKeeperParts;
  /** As in the journal; null: not read yet. */
  #broken: readonly Broken[] | null = null;

  constructor(parts: GlassKeeperParts) {
    this.#parts = parts;
  }

  async #all(): Promise<readonly Broken[]> {
    this.#broken ??= readGlasses(await this.#parts.journal.get('glass'));
    return this.#broken;
  }

  async #keep(broken: readonly Broken[]): Promise<void> {
    await this.#parts.journal.put('glass', broken.length === 0 ? null : encoded(broken));
    this.#broken = broken;
  }

  #maxMs(slot: string): number {
    return (this.#parts.slots.find((one) => one.name === slot)?.breakGlass?.maxSeconds ?? 0) * 1000;
  }

  /** What is under break-glass while the lease stands so. The profile of today bounds what one of yesterday allowed. */
  async now(lease: LeaseNow): Promise<Glasses> {
    const broken = lease.state === 'running' ? [] : await this.#all();
    const open = new Map<string, OpenGlass>();
    if (broken.length === 0) return open;
    const clock = await this.#parts.tpm.readClock();
    for (const { slot, resetCount, restartCount, forMs, reason, ...from } of broken) {
      const term = {
        from: { clock: BigInt(from.clock), epoch: { resetCount, restartCount } },
        leaseForMs: Math.min(forMs, this.#maxMs(slot)),
        status: 'break-glass',
      };
      const glass = leaseNow(term, clock, this.#parts.clockUpdateMs);
      if (glass.state === 'running') open.set(slot, { leftMs: glass.leftMs, reason });
    }
    return open;
  }

  /**
   * Somebody at the device wants to go on with what `slot` holds. `state`: what it may be used for now, as just measured; a glass only
   * ever stands in for the controller's word, never for a signature, a health check or a version floor.
   */
  async break(slot: string, reason: string, state: SlotState, lease: LeaseNow): Promise<Breaking> {
    const { journal, tpm, session, log } = this.#parts;
    const maxMs = this.#maxMs(slot);
    if (maxMs === 0) return no('glass-profile', `the profile allows no break-glass for slot ${slot}`);
    if (state.use === 'ready') return no('glass-needless', `slot ${slot} is ready: ${state.why}`);
    if (!state.vouchable) return no('glass-model', `slot ${slot}: ${state.why}`);
    const broken = await this.#all();
    if (lease.state === 'running' || broken.some((one) => one.slot === slot)) {
      const why = `it was broken already; it is whole again when the controller vouches for the device anew`;
      return no('glass-broken', `slot ${slot}: ${why}`);
    }
    if ((await journal.reports()).length >= MAX_REPORTS - PLACES_FOR_OTHERS) {
      return no('glass-reports', 'the journal has no place for one more report to the controller');
    }
    const forSeconds = maxMs / 1000;
    const detail = `slot ${slot} goes on for ${forSeconds} s without the controller's word: ${reason}`;
    // First: what nobody could hear of must not happen.
    await journal.addReport({
      session,
      kind: 'command',
      rule: 'break-glass',
      slot,
      subject: null,
      detail,
      at: this.#parts.now(),
    });
    const { clock, resetCount, restartCount } = await tpm.readClock();
    await this.#keep([...broken, { slot, clock: Number(clock), resetCount, restartCount, forMs: maxMs, reason }]);
    log.write('warning', 'break-glass', detail, { slot });
    return { broken: true, forSeconds };
  }

  /**
   * A result was taken, and the lease now stands so. Only one that runs mends: results that were kept back until they were worth
   * nothing could be brought one after the other, each for one more glass.
   */
  async mend(lease: LeaseNow): Promise<void> {
    if (lease.state === 'running' && (await this.#all()).length > 0) {
      await this.#keep([]);
      this.#parts.log.write(
        'info',
        'glass-mended',
        'the controller vouches for the device: no slot is under break-glass',
      );
    }
  }
}
