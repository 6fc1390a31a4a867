// Carries out commands: marked as started first, reported at the end, never run again by itself.
import { MAX_REPORTS } from '../evidence/claims.ts';
import type { Report } from '../evidence/claims.ts';
import type { Command, CommandBody } from '../protocol/messages.ts';
import { TouchstoneError } from '../errors.ts';
import { emptySlot } from '../store/journal.ts';
import type { Journal, SlotRow } from '../store/journal.ts';
import { isWebSource } from '../transfer/source-url.ts';
import { Awaited } from './awaited.ts';
import type { CommandDesk } from './command-desk.ts';
import type { Log } from '../log.ts';

/** How a command ended, in the words of a report. `rule` is `done`, or the rule that was broken. */
export interface Outcome {
  readonly kind: Report['kind'];
  readonly rule: string;
  readonly detail: string;
}

type Install = Extract<CommandBody, { kind: 'install' }>;

/** Releases that must be fetched first. */
export interface Arrivals {
  /** The agent stops: nothing that is on its way will arrive in this run. */
  readonly stopped: boolean;
  /**
   * Brings the release of a command when its turn comes. `arrived` hears null, or the outcome when it must not come; the next turn
   * waits for it. Errors: TouchstoneError; the reason of `signal`.
   */
  bring(body: Install, signal: AbortSignal, arrived: (outcome: Outcome | null) => Promise<void>): Promise<void>;
}

export interface CommandRunnerParts {
  readonly journal: Pick<Journal, 'reports' | 'addReport' | 'started' | 'setStarted' | 'slots' | 'setSlot'>;
  readonly desk: CommandDesk;
  /** 16 bytes: this agent start. */
  readonly session: Buffer;
  readonly log: Log;
  /** Device time, ms. */
  now(): number;
  hasSlot(slot: string): boolean;
  install(body: Install, row: SlotRow): Promise<Outcome>;
  readonly beside: {
    /** Fetches what lies on a web server. */
    readonly incoming: Arrivals;
    /** Has `work` done when nothing else is being done. */
    soon(work: () => Promise<void>): void;
    /** The controller should hear of something that happened by itself. */
    tell(): Promise<void>;
  };
  measureAll(): Promise<Outcome>;
  /** Gives the TPM the version floors of this first-write token, JSON. */
  takeFloors(token: string): Promise<Outcome>;
}

/** Places kept for what is no outcome of a command. */
const SPARE_REPORTS = 8;
const DETAIL_MAX = 2048;

const OVERTAKEN: Outcome = {
  kind: 'command',
  rule: 'superseded-order',
  detail: 'a newer command for this slot came while the release was fetched',
};

/** Text of others as a report may carry it. */
function reportText(text: string): string {
  const clean = text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, DETAIL_MAX);
  return clean === '' ? '-' : clean;
}

/** The outcome of an operation that failed. A missing TPM or journal ends the agent instead: nothing it says then can be kept. */
export function failureOutcome(error: unknown): Outcome {
  const final = !(error instanceof TouchstoneError) || /^(?:TPM|STORE)_/.test(error.code);
  if (final) throw error;
  return { kind: 'command', rule: 'failed', detail: `${error.code}: ${error.message}` };
}

export class CommandRunner {
  readonly #parts: CommandRunnerParts;
  readonly #awaited = new Awaited();

  constructor(parts: CommandRunnerParts) {
    this.#parts = parts;
  }

  async #report(id: string, slot: string | null, outcome: Outcome): Promise<void> {
    const { journal, session } = this.#parts;
    const { kind, rule } = outcome;
    const detail = reportText(outcome.detail);
    await journal.addReport({ session, kind, rule, slot, subject: id, detail, at: this.#parts.now() });
  }

  /** On start: a command that a cut left unfinished is reported, not run again. */
  async recover(): Promise<void> {
    const { journal, log } = this.#parts;
    const started = await journal.started();
    if (started === null) return;
    const reports = await journal.reports();
    // The cut may also have come between the report and the end of the mark.
    if (!reports.some((report) => report.subject === started.id)) {
      const detail = 'the agent or the power was cut while the command was carried out';
      await this.#report(started.id, started.slot, { kind: 'interrupted', rule: 'interrupted', detail });
      log.write(
        'warning',
        'command-interrupted',
        `command ${started.id} was interrupted; it is not run again by itself`,
      );
    }
    await journal.setStarted(null);
  }

  /** Judges and carries out an authentic command. True when something was done that the controller should hear of. */
  async run(command: Command): Promise<boolean> {
    const { journal, desk, log } = this.#parts;
    const reports = await journal.reports();
    const judgement = desk.judge(command, reports, this.#isFull(reports));
    if (!judgement.take) {
      if (!judgement.silent) log.write('warning', 'command-ignored', `command ignored: ${judgement.why}`);
      return false;
    }
    const { body, id } = command;
    if (body.kind === 'install' && (await this.#isNewer(body))) {
      this.#awaited.supersede(body);
      if (body.source !== null && isWebSource(body.source)) {
        this.#await(id, body);
        return false;
      }
    }
    await this.#begin(id, body);
    return true;
  }

  #isFull(reports: readonly Report[]): boolean {
    return reports.length + this.#awaited.size >= MAX_REPORTS - SPARE_REPORTS;
  }

  /** No place for one more outcome. */
  async full(): Promise<boolean> {
    return this.#isFull(await this.#parts.journal.reports());
  }

  /** A wish that was carried here is about to be taken: an older one for its slot, whose release is still on its way, is not wanted any more. */
  overtake(body: Install): void {
    this.#awaited.supersede(body);
  }

  /**
   * Carries out a wish that was carried here, was judged and lies where it says. Its end is reported. Who applies it once more after it
   * was cut off, or failed for what is now mended, may have it done with the same order.
   */
  async carried(id: string, body: Install): Promise<Outcome> {
    return this.#begin(id, body, body.order);
  }

  /** Reports the end of a wish that was carried here and was not begun. */
  async refused(id: string, slot: string, outcome: Outcome): Promise<Outcome> {
    await this.#end(id, slot, outcome);
    return outcome;
  }

  /** `from`: the lowest order that may be taken although it was taken before. */
  async #begin(id: string, body: CommandBody, from = Infinity): Promise<Outcome> {
    const { journal, log } = this.#parts;
    const slot = body.kind === 'install' ? body.slot : null;
    await journal.setStarted({ id, slot });
    log.write('info', 'command-started', `command ${id}: ${body.kind}${slot === null ? '' : ` into slot ${slot}`}`);
    const outcome = await this.#carryOut(body, from);
    await this.#end(id, slot, outcome);
    await journal.setStarted(null);
    return outcome;
  }

  async #end(id: string, slot: string | null, outcome: Outcome): Promise<void> {
    await this.#report(id, slot, outcome);
    this.#parts.log.write(
      outcome.kind === 'refused' ? 'warning' : 'info',
      'command-ended',
      `command ${id}: ${outcome.rule}: ${outcome.detail}`,
    );
  }

  /** Above every order that was taken or is waited for, in a slot that is there. */
  async #isNewer({ slot, order }: Install): Promise<boolean> {
    if (!this.#parts.hasSlot(slot)) return false;
    const row = (await this.#parts.journal.slots()).find((one) => one.slot === slot);
    return order > (row?.order ?? -1) && order > this.#awaited.orderIn(slot);
  }

  /**
   * The release must be fetched first. Until it is here nothing is marked as started: a cut leaves nothing half done, and in its next
   * session the device is given the command again.
   */
  #await(id: string, body: Install): void {
    const { log } = this.#parts;
    const signal = this.#awaited.begin(body);
    log.write('info', 'command-waits', `command ${id}: install into slot ${body.slot} waits for its release`);
    void this.#bring(id, body, signal);
  }

  async #bring(id: string, body: Install, signal: AbortSignal): Promise<void> {
    const { incoming } = this.#parts.beside;
    try {
      await incoming.bring(body, signal, async (outcome) =>
        this.#inTurn(async () => this.#arrived(id, body, signal, outcome)),
      );
    } catch (error) {
      if (incoming.stopped) return;
      await this.#inTurn(async () => this.#arrived(id, body, signal, signal.aborted ? null : failureOutcome(error)));
    }
  }

  /** `outcome`: it did not come; null: it is here, or is not wanted any more. */
  async #arrived(id: string, body: Install, signal: AbortSignal, outcome: Outcome | null): Promise<void> {
    this.#awaited.end(body);
    const ended = signal.aborted ? OVERTAKEN : outcome;
    await (ended === null ? this.#begin(id, body) : this.#end(id, body.slot, ended));
    await this.#parts.beside.tell();
  }

  /** Resolves when `work` was done, in turn with everything else. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#parts.beside.soon(async () => {
      try {
        await work();
      } finally {
        done.resolve();
      }
    });
    return done.promise;
  }

  async #carryOut(body: CommandBody, from: number): Promise<Outcome> {
    try {
      if (body.kind === 'measure') return await this.#parts.measureAll();
      if (body.kind === 'floors') return await this.#parts.takeFloors(body.token);
      return await this.#install(body, from);
    } catch (error) {
      return failureOutcome(error);
    }
  }

  async #install(body: Install, from: number): Promise<Outcome> {
    const { journal } = this.#parts;
    if (!this.#parts.hasSlot(body.slot))
      return { kind: 'command', rule: 'failed', detail: `the profile has no slot ${body.slot}` };
    const row = (await journal.slots()).find((one) => one.slot === body.slot) ?? null;
    const last = Math.max(row?.order ?? -1, this.#awaited.orderIn(body.slot));
    if (body.order < last || (body.order === last && body.order < from)) {
      const detail = `order ${body.order} is not above ${last}, the last one taken for slot ${body.slot}`;
      return { kind: 'command', rule: 'superseded-order', detail };
    }
    const next: SlotRow = { ...(row ?? emptySlot(body.slot)), order: body.order };
    await journal.setSlot(next);
    return this.#parts.install(body, next);
  }
}
