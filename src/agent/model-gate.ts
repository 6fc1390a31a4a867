// The agent's way to the gate: what a slot should hold, and the outcome of an installation in the words of a report.
import { floorNow, lowestVersion, NO_HARDWARE_FLOOR } from '../gate/floor.ts';
import type { Floor } from '../gate/floor.ts';
import { install } from '../gate/gate.ts';
import { GATE_CHECKS, judgeSigned } from '../gate/judge.ts';
import type { JudgeParts, Refuse, SignedFiles } from '../gate/judge.ts';
import { putBackLastGood } from '../gate/last-good.ts';
import type { GateParts } from '../gate/parts.ts';
import { noHook } from '../gate/places.ts';
import type { StepHook } from '../gate/places.ts';
import { recover } from '../gate/recover.ts';
import { settle } from '../gate/settle.ts';
import type { Reason, Settled } from '../gate/settle.ts';
import { openStored } from '../gate/stored.ts';
import { sweepReleases } from '../gate/sweep.ts';
import { commit, raiseAndClose, rollBack } from '../gate/trial-end.ts';
import { isOpen } from '../gate/trial.ts';
import type { CommandBody } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Trust } from '../release/root.ts';
import type { Finding } from '../rules/finding.ts';
import { emptySlot } from '../store/journal.ts';
import type { Journal, SlotRow } from '../store/journal.ts';
import type { Outcome } from './command-runner.ts';

type Install = Extract<CommandBody, { kind: 'install' }>;

const NOT_SIGNED = { rule: 'trial-candidate', detail: 'it is not on this device as it was signed' } as const;

/** What a report has room for. */
const DETAIL_MAX = 2000;

/** The findings of a refusal as one line, each with what was expected and found; those for which there is no room are counted. */
export function findingsText(findings: readonly Finding[]): string {
  const words = findings.map((one) => `${one.rule}: expected ${one.expected}, found ${one.found}`);
  let shown = words.length;
  const text = (): string => {
    const more = words.length - shown;
    return `${words.slice(0, shown).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  };
  while (shown > 1 && text().length > DETAIL_MAX) shown--;
  return text().slice(0, DETAIL_MAX).toWellFormed();
}

export interface StateGateParts extends Omit<JudgeParts, 'checks'> {
  readonly journal: Pick<Journal, 'slots' | 'setSlot'>;
  readonly session: Buffer;
  /** None: the journal is the floor. */
  readonly floor?: Floor;
  readonly step?: StepHook;
}

function refusal({ findings }: Refuse): Outcome {
  return { kind: 'refused', rule: findings[0]?.rule ?? 'refused', detail: findingsText(findings) };
}

const shortId = (id: string): string => id.slice(0, 12);

/** The gate of one state directory. Not concurrent: the agent's mailbox sees to it. */
export class StateGate {
  #parts: GateParts;
  /** Slots that hold nothing loadable, as the last step on each found. */
  readonly #needs = new Map<string, bigint>();

  constructor(parts: StateGateParts) {
    this.#parts = { step: noHook, floor: NO_HARDWARE_FLOOR, ...parts, checks: GATE_CHECKS };
  }

  /** The root has spoken anew: judges by that from now on. */
  useTrust(trust: Trust): void {
    this.#parts = { ...this.#parts, trust };
  }

  async #row(slot: string): Promise<SlotRow> {
    return (await this.#parts.journal.slots()).find((one) => one.slot === slot) ?? emptySlot(slot);
  }

  #keep({ row, loaded, needs }: Settled): SlotRow {
    if (loaded) this.#needs.delete(row.slot);
    else this.#needs.set(row.slot, needs);
    return row;
  }

  async standing(slot: string): Promise<{ readonly row: SlotRow }> {
    return { row: await this.#row(slot) };
  }

  /** Security version that a release must have at least, where the slot holds none that may be loaded; null: it holds one. */
  needs(slot: string): bigint | null {
    return this.#needs.get(slot) ?? null;
  }

  /** The signed release that the slot should hold now; null when none, or when what lies there no longer opens. */
  async expected(slot: string): Promise<SignedRelease | null> {
    const row = await this.#row(slot);
    const id = isOpen(row) ? row.staged : row.active;
    if (id === null || (!isOpen(row) && this.#needs.has(slot))) return null;
    return openStored(this.#parts.stateDir, id, this.#parts.trust);
  }

  /** Finishes or undoes what a power cut left. Before anything else. */
  async recover(): Promise<void> {
    for (const settled of await recover(this.#parts)) this.#keep(settled);
  }

  /** The floors are others: what is at rest is put back or taken out by them. Trials are compared when they end. */
  async resettle(): Promise<void> {
    for (const { name } of this.#parts.profile.slots) {
      const row = await this.#row(name);
      if (!isOpen(row)) this.#keep(await settle(this.#parts, row));
    }
  }

  /** Judges the signed files of a release whose model is still elsewhere. Writes nothing, and may be asked while something else is done. */
  async judgeFiles(body: Pick<Install, 'release' | 'slot'>, files: SignedFiles): Promise<SignedRelease | Outcome> {
    const parts = this.#parts;
    const slot = parts.profile.slots.find((one) => one.name === body.slot);
    if (slot === undefined) throw new RangeError(`the profile has no slot ${body.slot}`);
    const row = await this.#row(body.slot);
    const running = lowestVersion(await floorNow(parts.floor, row), row);
    const judged = await judgeSigned(parts, files, { slot, running, named: body.release });
    return judged.admitted ? judged.release : refusal(judged);
  }

  /** Judges, copies and begins a trial. Errors: ReleaseError, MeasureError, StoreError, TpmError. */
  async install(body: Pick<Install, 'release' | 'source'>, row: SlotRow): Promise<Outcome> {
    if (isOpen(row)) {
      const detail = `release ${shortId(row.staged ?? '-')} is on trial in slot ${row.slot}: its end must come first`;
      return { kind: 'refused', rule: 'trial-open', detail };
    }
    const result = await install(this.#parts, body, row);
    if (!result.admitted) return refusal(result);
    this.#keep(result.settled);
    const { id, passport } = result.release;
    const { back } = result.settled;
    if (back !== undefined) {
      return { kind: 'refused', rule: back.rule, detail: `release ${shortId(id)} was rolled back: ${back.detail}` };
    }
    const before = result.before === null ? '' : `, after release ${shortId(result.before)}`;
    const onTrial = isOpen(result.settled.row) ? ', on trial' : '';
    const detail = `release ${shortId(id)} (${passport.modelId} ${passport.version}, security version ${passport.securityVersion}) is in slot ${row.slot}${onTrial}${before}`;
    return { kind: 'activated', rule: 'done', detail };
  }

  /** Adds to the time that the candidate could be used. Answers the sum, ms. */
  async addRunning(slot: string, ms: number): Promise<number> {
    const row = await this.#row(slot);
    if (row.state !== 'TRIAL') return row.ranMs;
    const next = { ...row, ranMs: row.ranMs + Math.max(0, Math.round(ms)) };
    await this.#parts.journal.setSlot(next);
    return next.ranMs;
  }

  /** The trial has passed; also goes on with a commitment that waits for its floor. Answers how the slot then stands. */
  async commit(slot: string): Promise<SlotRow> {
    const row = await this.#open(slot);
    const release = row.staged === null ? null : await openStored(this.#parts.stateDir, row.staged, this.#parts.trust);
    if (release === null) return this.#keep(await rollBack(this.#parts, row, NOT_SIGNED));
    const end = row.state === 'COMMITTING' ? raiseAndClose : commit;
    return this.#ended(await end(this.#parts, row, release));
  }

  /** The trial has failed. */
  async rollBack(slot: string, reason: Reason): Promise<SlotRow> {
    return this.#ended(await rollBack(this.#parts, await this.#open(slot), reason));
  }

  /** True when the release before the committed one, which is altered, was put back. */
  async putBack(slot: string): Promise<boolean> {
    const settled = await putBackLastGood(this.#parts, await this.#row(slot));
    if (settled === null) return false;
    await this.#ended(settled);
    return true;
  }

  async #open(slot: string): Promise<SlotRow> {
    const row = await this.#row(slot);
    if (!isOpen(row)) throw new RangeError(`no trial is open in slot ${slot}`);
    return row;
  }

  async #ended(settled: Settled): Promise<SlotRow> {
    await sweepReleases(this.#parts.stateDir, await this.#parts.journal.slots());
    return this.#keep(settled);
  }
}
