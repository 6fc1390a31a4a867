// The trials of this agent start: what each waits for, and what ends it. The journal keeps how far they are; this keeps the rest.
import type { Reason } from '../gate/settle.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { ResultStatement } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import type { SentEvidence, SlotRow } from '../store/journal.ts';
import { isGranted } from './lease.ts';
import type { LeaseNow } from './lease.ts';
import type { Log } from '../log.ts';
import type { SlotUse, TrialStage } from './slot-policy.ts';
import { trialVerdict } from './trial-verdict.ts';

/** What a trial asks of the gate. */
export interface TrialGate {
  standing(slot: string): Promise<{ readonly row: SlotRow }>;
  commit(slot: string): Promise<SlotRow>;
  rollBack(slot: string, reason: Reason): Promise<SlotRow>;
  /** Answers the sum, ms. */
  addRunning(slot: string, ms: number): Promise<number>;
}

export interface TrialKeeperParts {
  readonly slots: readonly SlotProfile[];
  readonly gate: TrialGate;
  readonly log: Log;
  /** ms of the process's clock. */
  monotonic(): number;
  /** Runs the health check of a release; null: it is healthy. Never rejects for what the release does. */
  check(slot: SlotProfile, release: SignedRelease): Promise<Reason | null>;
  /** Has `work` done when nothing else is being done. */
  soon(work: () => Promise<void>): void;
  /** The gate has switched the slot back: it is to be looked at again, and the controller to hear of it. */
  switched(slot: string): Promise<void>;
  /** A trial has gone on or was committed: the slot's use is said anew, and the controller hears of it. */
  moved(): Promise<void>;
}

interface Trial {
  readonly slot: SlotProfile;
  readonly release: string;
  /** Number of the last event in the log of this session that a result must have seen: its activation, or its engine. */
  event: number;
  /** It began before this agent start. */
  readonly resumed: boolean;
  stage: TrialStage;
  /** The lease was seen running during this trial. */
  leased: boolean;
  /** Since when it could be used, if it can be now; ms of the process's clock. */
  usableSince: number | null;
}

const ALTERED: Reason = {
  rule: 'model-bytes',
  detail: 'what is in the slot was altered during the trial',
};

/** Not concurrent: the agent's mailbox sees to it. */
export class TrialKeeper {
  readonly #parts: TrialKeeperParts;
  readonly #trials = new Map<string, Trial>();

  constructor(parts: TrialKeeperParts) {
    this.#parts = parts;
  }

  /** What the slot's trial waits for; null when none is open. */
  stage(slot: string): TrialStage | null {
    return this.#trials.get(slot)?.stage ?? null;
  }

  get open(): boolean {
    return this.#trials.size > 0;
  }

  /** A candidate was activated, and its event is record `event` of the log. `release` null: it does not open. */
  async begin(name: string, release: SignedRelease | null, event: number, resumed: boolean): Promise<void> {
    const { slots, gate, log } = this.#parts;
    const slot = slots.find((one) => one.name === name);
    if (slot === undefined) throw new RangeError(`the profile has no slot ${name}`);
    const { row } = await gate.standing(name);
    const open: Trial = {
      slot,
      release: row.staged ?? '',
      event,
      resumed,
      stage: 'floor',
      leased: false,
      usableSince: null,
    };
    this.#trials.set(name, open);
    if (row.state === 'COMMITTING') return;
    open.stage = 'health';
    const boot = resumed ? `boot ${row.tries} of its trial` : 'its trial begins';
    log.write('info', 'trial', `slot ${name}: release ${open.release.slice(0, 12)}: ${boot}`, { slot: name });
    void this.#check(open, release);
  }

  /** Beside everything else: a health check may take minutes, and challenges are answered meanwhile. */
  async #check(trial: Trial, release: SignedRelease | null): Promise<void> {
    const parts = this.#parts;
    try {
      const reason = release === null ? ALTERED : await parts.check(trial.slot, release);
      parts.soon(async () => this.#checked(trial, reason));
    } catch (error) {
      // A check that could not even be tried says nothing of the release: whoever does the work hears of it.
      parts.soon(async () => {
        throw error;
      });
    }
  }

  async #checked(trial: Trial, reason: Reason | null): Promise<void> {
    // It may have ended by something else meanwhile.
    if (this.#trials.get(trial.slot.name) !== trial || trial.stage !== 'health') return;
    if (reason !== null) {
      await this.#rollBack(trial, reason);
      return;
    }
    trial.stage = 'result';
    await this.#parts.moved();
  }

  async #rollBack(trial: Trial, reason: Reason): Promise<void> {
    const { name } = trial.slot;
    this.#trials.delete(name);
    await this.#parts.gate.rollBack(name, reason);
    const text = `slot ${name}: release ${trial.release.slice(0, 12)} was rolled back: ${reason.detail}`;
    this.#parts.log.write('error', 'rolled-back', text, { slot: name, rule: reason.rule });
    await this.#parts.switched(name);
  }

  async #commit(trial: Trial, why: string): Promise<void> {
    const { name } = trial.slot;
    const { log } = this.#parts;
    const before = trial.stage;
    trial.stage = 'floor';
    const row = await this.#parts.gate.commit(name);
    const short = trial.release.slice(0, 12);
    if (row.state === 'COMMITTING') {
      if (before !== 'floor')
        log.write('warning', 'trial', `slot ${name}: ${short} waits for its version floor`, { slot: name });
      return;
    }
    this.#trials.delete(name);
    const kept = row.active === trial.release;
    const words = kept ? `committed: ${why}` : 'was rolled back: the version floor is above it';
    log.write(kept ? 'info' : 'error', kept ? 'committed' : 'rolled-back', `slot ${name}: release ${short} ${words}`, {
      slot: name,
    });
    await (kept ? this.#parts.moved() : this.#parts.switched(name));
  }

  /** Record `record` of the log says more of the slot, and a result must have seen that, too. */
  carries(slot: string, record: number): void {
    const trial = this.#trials.get(slot);
    if (trial !== undefined) trial.event = Math.max(trial.event, record);
  }

  /** The slot was measured and is not as signed. */
  async altered(slot: string): Promise<void> {
    const trial = this.#trials.get(slot);
    if (trial !== undefined && trial.stage !== 'floor') await this.#rollBack(trial, ALTERED);
  }

  /** An authentic result, newest of this session, for evidence `sent`. Only what carries a trial's activation event can end it. */
  async heard(result: ResultStatement, sent: Pick<SentEvidence, 'logTo'>): Promise<void> {
    for (const trial of this.#trials.values()) {
      if (sent.logTo < trial.event || trial.stage === 'floor') continue;
      const verdict = trialVerdict(result, trial.slot.name);
      if (verdict.end === 'fail') await this.#rollBack(trial, verdict.reason);
      else if (verdict.end === 'pass' && trial.stage === 'result') {
        await this.#commit(trial, `the controller says ${result.status}`);
      }
    }
  }

  /** Time has passed. `useOf`: what each slot may be used for while the lease stands so. */
  async tick(lease: LeaseNow, useOf: (slot: string) => SlotUse): Promise<void> {
    for (const trial of this.#trials.values()) {
      if (trial.stage === 'floor') await this.#commit(trial, 'its version floor is set');
      else if (this.#leaseRanOut(trial, lease)) {
        const detail = 'the lease ran out before the controller said that it trusts the device with it';
        await this.#rollBack(trial, { rule: 'lease-expired', detail });
      } else if (trial.stage === 'result') await this.#addTime(trial, useOf(trial.slot.name));
    }
  }

  #leaseRanOut(trial: Trial, lease: LeaseNow): boolean {
    if (lease.state === 'running') trial.leased = true;
    if (trial.slot.onLeaseExpired !== 'stop' || (lease.state !== 'expired' && lease.state !== 'void')) return false;
    return trial.leased || (trial.resumed && lease.state === 'expired' && isGranted(lease.status));
  }

  /** Commits once it could be used for as long as the profile asks; what a cut loses of the sum is waited for again. */
  async #addTime(trial: Trial, use: SlotUse): Promise<void> {
    const now = this.#parts.monotonic();
    const { slot, usableSince } = trial;
    // What somebody answers for at the device proves nothing of the release.
    trial.usableSince = use === 'stopped' || use === 'break-glass' ? null : now;
    const { commitAfterSeconds } = slot;
    if (usableSince === null || typeof commitAfterSeconds !== 'number') return;
    const ranMs = await this.#parts.gate.addRunning(slot.name, now - usableSince);
    if (ranMs >= commitAfterSeconds * 1000) await this.#commit(trial, `it ran for ${commitAfterSeconds} s`);
  }
}
