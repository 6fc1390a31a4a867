// The agent's way to the gate: what a slot should hold, and the outcome of an installation in the words of a report.
import { install } from '../gate/gate.ts';
import type { GateParts } from '../gate/gate.ts';
import { GATE_CHECKS } from '../gate/judge.ts';
import type { JudgeParts } from '../gate/judge.ts';
import { noHook } from '../gate/places.ts';
import type { StepHook } from '../gate/places.ts';
import { recover } from '../gate/recover.ts';
import { openStored } from '../gate/stored.ts';
import type { CommandBody } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import type { Trust } from '../release/root.ts';
import type { Finding } from '../rules/finding.ts';
import type { Journal, SlotRow } from '../store/journal.ts';
import type { Outcome } from './command-runner.ts';

/** The signed release that `slot` should hold: the journal's word, opened again under the root's present key table. */
export async function expectedRelease(
  parts: { readonly journal: Pick<Journal, 'slots'>; readonly stateDir: string; readonly trust: Trust },
  slot: string,
): Promise<SignedRelease | null> {
  const active = (await parts.journal.slots()).find((one) => one.slot === slot)?.active ?? null;
  return active === null ? null : openStored(parts.stateDir, active, parts.trust);
}

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
  readonly step?: StepHook;
}

/** The gate of one state directory. Not concurrent: the agent's mailbox sees to it. */
export class StateGate {
  readonly #parts: GateParts;

  constructor(parts: StateGateParts) {
    this.#parts = { step: noHook, ...parts, checks: GATE_CHECKS };
  }

  async expected(slot: string): Promise<SignedRelease | null> {
    return expectedRelease(this.#parts, slot);
  }

  /** Finishes or undoes what a power cut left. Before anything else. */
  async recover(): Promise<void> {
    await recover(this.#parts);
  }

  /** Errors: ReleaseError, MeasureError, StoreError. */
  async install(body: Extract<CommandBody, { kind: 'install' }>, row: SlotRow): Promise<Outcome> {
    const result = await install(this.#parts, body, row);
    if (!result.admitted) {
      const rule = result.findings[0]?.rule ?? 'refused';
      return { kind: 'refused', rule, detail: findingsText(result.findings) };
    }
    const { id, passport } = result.release;
    const before = result.before === null ? '' : `, after release ${result.before.slice(0, 12)}`;
    const detail = `release ${id.slice(0, 12)} (${passport.modelId} ${passport.version}, security version ${passport.securityVersion}) is in slot ${row.slot}${before}`;
    return { kind: 'activated', rule: 'done', detail };
  }
}
