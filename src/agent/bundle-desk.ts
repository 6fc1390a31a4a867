// Applies bundles: judged like a command, installed like any upgrade, followed to its end, and answered with a receipt.
import { resolve } from 'node:path';
import { toHex } from '../bytes/text.ts';
import type { Clock } from '../clock.ts';
import { WireError } from '../errors.ts';
import { UstarReader } from '../files/ustar.ts';
import type { SignedFiles } from '../gate/judge.ts';
import { isOpen } from '../gate/trial.ts';
import type { Log } from '../log.ts';
import type { SlotProfile } from '../profile/profile.ts';
import { packReceipt, readPapers } from '../protocol/bundle.ts';
import type { BundlePapers } from '../protocol/bundle.ts';
import type { CommandBody, Instruction } from '../protocol/messages.ts';
import type { SignedRelease } from '../release/open.ts';
import { emptySlot } from '../store/journal.ts';
import type { Journal } from '../store/journal.ts';
import { unpackRelease } from '../transfer/unpack-release.ts';
import type { Attester } from './attester.ts';
import type { Authentic } from './authentic.ts';
import { readOwnChallenge } from './challenge-box.ts';
import type { ChallengeFor, HeldChallenge } from './challenge-box.ts';
import { failureOutcome } from './command-runner.ts';
import type { Outcome } from './command-runner.ts';
import type { Incoming } from './incoming.ts';
import { INSTRUCTION_CHECKS } from './instruction-checks.ts';
import type { TrialStage } from './slot-policy.ts';

/** How soon who follows hears of a change. */
const LOOK_EVERY_MS = 200;

/** Ends that say nothing of the release: who applies the bundle once more has found out why. */
const AGAIN: ReadonlySet<string> = new Set(['interrupted', 'failed']);

type Install = Extract<CommandBody, { kind: 'install' }>;

export interface BundleDeskParts {
  readonly owner: ChallengeFor;
  readonly slots: readonly SlotProfile[];
  readonly attester: Pick<Attester, 'answer' | 'commands' | 'pass' | 'standing'>;
  readonly authentic: Authentic;
  readonly incoming: Pick<Incoming, 'unpack'>;
  readonly journal: Pick<Journal, 'slots' | 'reports'>;
  readonly clock: Clock;
  readonly log: Log;
  /** The profile's limit for a release. */
  readonly maxBytes: number | null;
  /** Device time, ms. */
  now(): number;
  /** Does `work` when nothing else is being done; what it throws ends or is told like anything of the agent. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** May this be installed? An outcome: no, and why. */
  judge(body: Install, files: SignedFiles): Promise<SignedRelease | Outcome>;
  /** A root statement that somebody brought; true when it is in force from now on. */
  takeRoot(bytes: Buffer): Promise<boolean>;
}

/** When the receipt is made: once the trial has ended, or as soon as it has begun. */
export type ReceiptWhen = 'decided' | 'trial';

/** How far it is. */
export type BundleProgress =
  { readonly at: 'installing'; readonly release: string } | { readonly at: 'trial'; readonly waitsFor: TrialStage };

export interface BundleEnd {
  readonly outcome: Outcome;
  readonly slot: string | null;
  readonly release: string | null;
  /** What became of the release; refused: it never came into the slot. */
  readonly stands: 'committed' | 'trial' | 'rolled-back' | 'refused';
  /** Null: the bundle did not even ask this device for one. */
  readonly receipt: Buffer | null;
}

interface Judged {
  /** Null: no operator of this fleet signed it. */
  readonly instruction: Instruction | null;
  readonly held: HeldChallenge | null;
  /** Null: it is to be done. */
  readonly outcome: Outcome | null;
  /** It was taken before. */
  readonly again: boolean;
}

function refused(rule: string, detail: string): Outcome {
  return { kind: 'refused', rule, detail: `${rule}: ${detail}` };
}

export class BundleDesk {
  readonly #parts: BundleDeskParts;

  constructor(parts: BundleDeskParts) {
    this.#parts = parts;
  }

  /**
   * Applies the bundle in `pieces` and follows it. What it asks goes on when `signal` fires; only the following ends. Applied again,
   * it is done once, and there is another receipt. Errors: TouchstoneError of what the agent can go on without; the signal's reason.
   */
  async apply(
    pieces: AsyncIterable<Uint8Array>,
    when: ReceiptWhen,
    tell: (progress: BundleProgress) => void,
    signal: AbortSignal,
  ): Promise<BundleEnd> {
    const { inTurn, log } = this.#parts;
    try {
      const reader = new UstarReader(pieces);
      const { papers, next } = await readPapers(reader);
      const judged = await inTurn(async () => this.#judge(papers));
      const { instruction, held } = judged;
      const outcome =
        judged.outcome ??
        (instruction === null ? null : await this.#take({ reader, papers, next, instruction, tell, signal }));
      if (outcome === null) throw new TypeError('nobody signed it, and nobody refused it');
      const began = instruction !== null && (outcome.kind === 'activated' || judged.again);
      const ended = began
        ? await this.#follow(instruction, outcome, when, tell, signal)
        : { outcome, stands: 'refused' as const };
      const receipt = held === null ? null : await inTurn(async () => this.#receipt(held));
      const words = `bundle for slot ${instruction?.slot ?? '-'}: ${ended.stands}: ${ended.outcome.detail}`;
      log.write(ended.outcome.kind === 'activated' ? 'info' : 'warning', 'bundle', words);
      return { ...ended, slot: instruction?.slot ?? null, release: instruction?.release ?? null, receipt };
    } catch (error) {
      // A copy that is damaged says nothing of what was signed, and is no matter for the controller.
      if (!(error instanceof WireError)) throw error;
      const outcome = refused('bundle-malformed', error.message);
      log.write('warning', 'bundle', `bundle: ${outcome.detail}`);
      return { outcome, stands: 'refused', slot: null, release: null, receipt: null };
    }
  }

  async #judge(papers: BundlePapers): Promise<Judged> {
    const { attester, authentic, owner, slots, journal } = this.#parts;
    if (await this.#parts.takeRoot(papers.root)) await attester.pass();
    const challenge = readOwnChallenge(papers.challenge, owner);
    const held = challenge === null ? null : { challenge, sealed: papers.challenge };
    const instruction = authentic.instruction(papers.instruction);
    if (instruction === null) {
      const outcome = refused('instruction-signature', 'expected an operator key of the fleet, found another or none');
      return { instruction, held, outcome, again: false };
    }
    const { slot, order } = instruction;
    const row = (await journal.slots()).find((one) => one.slot === slot) ?? emptySlot(slot);
    const full = await attester.commands.full();
    const faults = INSTRUCTION_CHECKS.flatMap((check) => {
      const fault = check.judge({
        instruction,
        sealed: papers.challenge,
        challenge,
        fleetId: toHex(owner.fleetId),
        deviceId: owner.deviceId,
        slots: slots.map(({ name }) => name),
        row,
        now: this.#parts.now(),
        full,
      });
      return fault === null ? [] : [{ rule: check.rule, ...fault }];
    });
    const [first] = faults;
    if (first !== undefined) {
      const detail = faults.map(({ rule, expected, found }) => `${rule}: expected ${expected}, found ${found}`);
      const outcome: Outcome = { kind: 'refused', rule: first.rule, detail: detail.join('; ') };
      // A wish for another device or slot is not this one's to report; without room nothing can be.
      const ours = faults.every(({ rule }) => rule !== 'instruction-device' && rule !== 'instruction-slot');
      if (ours && !full) await attester.commands.refused(instruction.id, slot, outcome);
      return { instruction, held, outcome, again: false };
    }
    const outcome = order === row.order ? await this.#before(instruction) : null;
    return { instruction, held, outcome, again: outcome !== null };
  }

  /** What became of a bundle that was taken before, as far as this device still knows. Null: it was cut off or failed, so it may be tried again. */
  async #before({ id, slot, release }: Instruction): Promise<Outcome | null> {
    const { row } = await this.#parts.attester.standing(slot);
    const holds = isOpen(row) ? row.staged === release : row.active === release;
    if (holds) {
      const detail = `release ${release.slice(0, 12)} is in slot ${slot}: this bundle was applied before`;
      return { kind: 'activated', rule: 'done', detail };
    }
    const reports = await this.#parts.journal.reports();
    const report = reports.findLast((one) => one.subject === id || (one.slot === slot && one.subject === release));
    if (report !== undefined && AGAIN.has(report.rule)) return null;
    if (report !== undefined) return { kind: report.kind, rule: report.rule, detail: report.detail };
    return refused('superseded-order', 'this bundle was taken before, and the slot does not hold its release');
  }

  async #take(of: {
    readonly reader: UstarReader;
    readonly papers: BundlePapers;
    readonly next: Parameters<typeof unpackRelease>[0]['next'];
    readonly instruction: Instruction;
    readonly tell: (progress: BundleProgress) => void;
    readonly signal: AbortSignal;
  }): Promise<Outcome> {
    const { attester, incoming, inTurn, maxBytes } = this.#parts;
    const { papers, instruction, tell } = of;
    const { id, slot, order, release } = instruction;
    const body: Install = { kind: 'install', slot, order, release, source: null };
    const end = async (outcome: Outcome): Promise<Outcome> =>
      inTurn(async () => attester.commands.refused(id, slot, outcome));
    // First what is signed: nothing of the model is written before that is right.
    const judged = await this.#parts.judge(body, papers);
    if ('rule' in judged) return end(judged);
    attester.commands.overtake(body);
    return incoming.unpack(release, of.signal, async (folder) => {
      try {
        const fault = await unpackRelease({ ...of, statement: judged.statement, folder, maxBytes });
        if (fault !== null) {
          const detail = `expected ${fault.expected}, found ${fault.found}`;
          return await end(refused(fault.rule, detail));
        }
      } catch (error) {
        if (error instanceof WireError) throw error;
        return end(failureOutcome(error));
      }
      tell({ at: 'installing', release });
      return inTurn(async () => attester.commands.carried(id, { ...body, source: resolve(folder) }));
    });
  }

  /** To the end of its trial, or as far as a receipt is wanted, or as nothing but a result could bring it. */
  async #follow(
    { slot, release }: Instruction,
    outcome: Outcome,
    when: ReceiptWhen,
    tell: (progress: BundleProgress) => void,
    signal: AbortSignal,
  ): Promise<Pick<BundleEnd, 'outcome' | 'stands'>> {
    const { attester, clock, inTurn, journal, slots } = this.#parts;
    const byTime = typeof slots.find(({ name }) => name === slot)?.commitAfterSeconds === 'number';
    for (let said: TrialStage | null = null; ;) {
      const { row, stage } = await inTurn(async () => attester.standing(slot));
      const onTrial = isOpen(row) && row.staged === release;
      if (!onTrial && row.active === release) return { outcome, stands: 'committed' };
      if (!onTrial) {
        const reports = await journal.reports();
        const report = reports.findLast((one) => one.kind === 'rolled-back' && one.subject === release);
        return report === undefined
          ? { outcome, stands: 'refused' }
          : { outcome: { kind: report.kind, rule: report.rule, detail: report.detail }, stands: 'rolled-back' };
      }
      if (stage !== null && stage !== said) tell({ at: 'trial', waitsFor: stage });
      said = stage;
      if (when === 'trial' || (stage === 'result' && !byTime)) return { outcome, stands: 'trial' };
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async #receipt(held: HeldChallenge): Promise<Buffer> {
    const { message, logParts } = await this.#parts.attester.answer(held);
    return packReceipt({ logParts, evidence: message });
  }
}
