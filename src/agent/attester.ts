// What an agent does apart from talking: measures, records, answers challenges, takes results and commands.
import { toHex } from '../bytes/text.ts';
import type { SlotProfile } from '../profile/profile.ts';
import type { CommandBody } from '../protocol/messages.ts';
import type { SlotRow } from '../store/journal.ts';
import type { AttesterParts } from './attester-parts.ts';
import { BootPcrs } from './boot-pcrs.ts';
import type { HeldChallenge } from './challenge-box.ts';
import { CommandDesk } from './command-desk.ts';
import { CommandRunner } from './command-runner.ts';
import type { Outcome } from './command-runner.ts';
import type { EngineKeeper } from './engine-keeper.ts';
import { makeEvidence } from './evidence-maker.ts';
import type { MadeEvidence } from './evidence-maker.ts';
import type { Breaking } from './glass-keeper.ts';
import { isGranted } from './lease.ts';
import type { ResultJudgement } from './lease-keeper.ts';
import { lastEvents } from './log-reader.ts';
import { SlotKeeper } from './slot-keeper.ts';
import type { KnownSlot } from './slot-keeper.ts';
import type { TrialStage } from './slot-policy.ts';
import { slotWords, UseLog } from './slot-words.ts';
import { StatusWriter } from './status-writer.ts';
import { TrialKeeper } from './trial-keeper.ts';
import { glassClaim, leftOf, sayVerdict, WordKeeper } from './word-keeper.ts';

/** Margin on the status file's life: two passes, and what a slow disk adds. */
const STATUS_SLACK_MS = 5000;

/** Not concurrent: the agent's mailbox sees to it. Errors of all methods: TpmError, StoreError, MeasureError, EpochMoved. */
export class Attester {
  readonly #parts: AttesterParts;
  readonly #desk: CommandDesk;
  readonly #runner: CommandRunner;
  readonly #words: WordKeeper;
  readonly #trials: TrialKeeper;
  readonly #bootPcrs: BootPcrs;
  #keeper: SlotKeeper | null = null;
  #status: StatusWriter | null = null;
  #passedAt = 0;
  readonly #uses: UseLog;
  #engines: EngineKeeper | null = null;

  constructor(parts: AttesterParts) {
    this.#parts = parts;
    const { journal, tpm, log, self } = parts;
    this.#uses = new UseLog(log);
    this.#bootPcrs = new BootPcrs(parts.profile.profile.tpm.eventPcr);
    const owner = { fleetId: toHex(self.fleetId), deviceId: self.deviceId };
    this.#desk = new CommandDesk({ ...owner, session: toHex(self.session) });
    const { slots } = parts.profile.profile;
    const { clockUpdateMs, life } = parts;
    const now = (): number => parts.now();
    const { session } = self;
    this.#words = new WordKeeper({ journal, tpm, ...owner, session, clockUpdateMs, life, slots, log, now });
    this.#trials = new TrialKeeper({
      slots,
      gate: parts.gate,
      log,
      monotonic: () => parts.clock.monotonic(),
      check: async (slot, release) => (await this.#engines?.ready(slot.name)) ?? parts.check(slot, release),
      soon: (work) => {
        parts.soon(work);
      },
      switched: async (slot) => {
        await this.#activated(slot, false);
        await this.#moved();
      },
      moved: async () => this.#moved(),
    });
    this.#runner = new CommandRunner({
      journal,
      desk: this.#desk,
      session: self.session,
      log,
      now,
      hasSlot: (slot) => slots.some((one) => one.name === slot),
      install: async (body, row) => this.#install(body, row),
      beside: parts,
      measureAll: async () => {
        await this.pass();
        return { kind: 'command', rule: 'done', detail: 'all slots were measured' };
      },
      takeFloors: async (token) => this.#takeFloors(token),
    });
  }

  /** The first events of this start, then every slot. */
  async begin(): Promise<void> {
    const { journal, recorder, self, components, start, profile, log } = this.#parts;
    await this.#runner.recover();
    const clean = (await journal.get('stopped-cleanly')) !== null;
    const last = await recorder.snapshot(async (head) => lastEvents(journal, head.seq));
    if (start.newLog) {
      await recorder.append({ v: 1, type: 'boot', deviceId: self.deviceId, why: start.why, components });
    }
    const previous = clean ? 'stopped' : (await journal.get('last-time')) === null ? 'first' : 'killed';
    await recorder.append({ v: 1, type: 'agent-start', session: self.session, previous, components });
    await journal.put('stopped-cleanly', null);
    await this.#keepTime();
    log.write(
      'info',
      'started',
      `agent ${self.agentVersion} of device ${self.deviceId} started (${start.why}; before: ${previous})`,
      {
        deviceId: self.deviceId,
        why: start.why,
        previous,
      },
    );
    this.#engines = this.#parts.engines(last.engines, async (slot, record) => {
      if (record !== null) this.#trials.carries(slot, record);
      await this.#moved();
    });
    this.#keeper = new SlotKeeper({
      slots: profile.profile.slots,
      expected: async (slot) => this.#parts.gate.expected(slot),
      measure: async (slot, expected) => this.#parts.measure(slot, expected),
      record: async (event) => recorder.append(event),
      lastEvents: last.slots,
      engines: this.#engines,
      stage: (slot) => ({ trial: this.#trials.stage(slot), needs: this.#parts.gate.needs(slot) }),
    });
    this.#status = new StatusWriter({
      stateDir: this.#parts.stateDir,
      deviceId: self.deviceId,
      fleetId: toHex(self.fleetId),
      agent: self.agentVersion,
      validMs: profile.profile.maxDetectionSeconds * 2000 + STATUS_SLACK_MS,
      keeper: this.#keeper,
      floors: this.#parts.floors,
      machine: async () => this.#parts.machine(),
      log,
    });
    for (const { name } of profile.profile.slots) {
      const { state } = (await this.#parts.gate.standing(name)).row;
      if (state === 'TRIAL' || state === 'COMMITTING') await this.#activated(name, true);
    }
    await this.pass();
  }

  /** Something has gone on by itself. */
  async #moved(): Promise<void> {
    await this.refresh();
    await this.#parts.tell();
  }

  get #slots(): SlotKeeper {
    if (this.#keeper === null) throw new TypeError('begin() comes first');
    return this.#keeper;
  }

  /** Reads every byte of every slot. True when something is not as it was. */
  async pass(): Promise<boolean> {
    let changed = false;
    for (const slot of this.#parts.profile.profile.slots) changed = (await this.#look(slot.name)) || changed;
    this.#passedAt = this.#parts.clock.monotonic();
    await this.refresh();
    return changed;
  }

  /** Measures one slot again, for instance because its folder was touched. True when it is not as it was. */
  async look(slot: string): Promise<boolean> {
    const changed = await this.#look(slot);
    if (changed) await this.refresh();
    return changed;
  }

  async #look(slot: string): Promise<boolean> {
    const { known, changed } = await this.#slots.look(slot);
    if (changed) this.#say(known);
    if (known.found === 'altered') await this.#altered(known.slot);
    return changed;
  }

  /** A trial ends with it; what was committed follows the profile's word. `stop` and `degraded` are a matter of use alone. */
  async #altered({ name, onFailure }: SlotProfile): Promise<void> {
    if (this.#trials.stage(name) !== null) await this.#trials.altered(name);
    else if (onFailure === 'last-good' && (await this.#parts.gate.putBack(name))) {
      this.#parts.log.write('warning', 'last-good', `slot ${name}: the release before was put back`, { slot: name });
      await this.#activated(name, false);
    }
  }

  /** The gate has switched the slot: said in the log whatever was there before, so that a result can show that it knew. */
  async #activated(slot: string, resumed: boolean, anew = false): Promise<void> {
    const { known, record } = await this.#slots.look(slot, true, anew);
    this.#say(known);
    const { state } = (await this.#parts.gate.standing(slot)).row;
    if (state !== 'TRIAL' && state !== 'COMMITTING') return;
    if (record === null) throw new TypeError('an activation without its event');
    await this.#trials.begin(slot, known.found === 'as-signed' ? known.expected : null, record, resumed);
  }

  /** Time has passed: trials may end by it. */
  async tick(): Promise<void> {
    if (!this.#trials.open) return;
    const word = await this.#words.now();
    const uses = new Map(this.#slots.states(word).map(({ known, state }) => [known.slot.name, state.use]));
    await this.#trials.tick(word.lease, (slot) => uses.get(slot) ?? 'stopped');
  }

  #say(known: KnownSlot): void {
    const { event, found, slot } = known;
    const fields = { slot: slot.name, cause: event.cause, found };
    this.#parts.log.write(found === 'altered' ? 'error' : 'info', 'slot', slotWords(known), fields);
  }

  /** Writes what the slots may be used for, and says what changed in that. */
  async refresh(): Promise<void> {
    const word = await this.#words.now();
    const status = await this.#status?.write(word, this.#words.verdict);
    if (status !== undefined) this.#parts.onStatus(status, leftOf(word));
    this.#uses.say(this.#slots.states(word));
  }

  /** Evidence for the challenge, remembered so that its result can be taken. */
  async answer(held: HeldChallenge): Promise<MadeEvidence> {
    const { recorder, tpm, journal, profile, self } = this.#parts;
    const bootPcrs = this.#bootPcrs;
    const word = await this.#words.beforeQuote();
    const claims = {
      ...self,
      profile: profile.profile.id,
      profileDigest: profile.digest,
      lastSeq: this.#desk.lastSeq,
      slots: this.#slots.claims(word),
      ...glassClaim(word),
      now: this.#parts.now(),
      measuredAgo: Math.max(0, Math.round(this.#parts.clock.monotonic() - this.#passedAt)),
      ...(await this.#parts.basis(held.sealed)),
    };
    const made = await recorder.snapshot(
      async (head) => makeEvidence({ tpm, journal, bootPcrs }, { ...held, head, claims }),
      ({ showsHead }) => showsHead,
    );
    await this.#words.remember(made.sent);
    return made;
  }

  /** Takes what the controller said of evidence of this device, as far as it still counts. */
  async takeResult(bytes: Uint8Array): Promise<ResultJudgement> {
    const { authentic, log } = this.#parts;
    const result = authentic.result(bytes);
    if (result === null) {
      log.write('warning', 'result-ignored', 'result ignored: no result key of the fleet signed it');
      return { taken: false, why: 'no result key of the fleet signed it' };
    }
    const before = this.#words.verdict;
    const judgement = await this.#words.take(result);
    if (!judgement.taken || !judgement.lease) return judgement;
    await this.#parts.heard(result);
    sayVerdict(log, before, result);
    if (isGranted(result.status)) await this.#engines?.heard(judgement.sent.logTo);
    await this.#trials.heard(result, judgement.sent);
    await this.refresh();
    return judgement;
  }

  /** Somebody at the device answers for what the slot holds, for a while. It is read again first. */
  async breakGlass(slot: string, reason: string): Promise<Breaking> {
    await this.look(slot);
    const known = this.#slots.known().find((one) => one.slot.name === slot);
    if (known === undefined) throw new RangeError(`the profile has no slot ${slot}`);
    const breaking = await this.#words.breakGlass(slot, reason, (word) => this.#slots.stateOf(known, word));
    if (breaking.broken) {
      await this.refresh();
      await this.#parts.tell();
    }
    return breaking;
  }

  /** What carries out wishes, also those that do not come over the broker. */
  get commands(): CommandRunner {
    return this.#runner;
  }

  /** Status of the newest result taken in this session. */
  get verdict(): string | null {
    return this.#words.verdict;
  }

  /** How the gate has the slot, and what its trial waits for. */
  async standing(slot: string): Promise<{ readonly row: SlotRow; readonly stage: TrialStage | null }> {
    const { row } = await this.#parts.gate.standing(slot);
    return { row, stage: this.#trials.stage(slot) };
  }

  /** True when the controller should hear of it. */
  async takeCommand(bytes: Uint8Array): Promise<boolean> {
    const command = this.#parts.authentic.command(bytes);
    if (command === null) {
      this.#parts.log.write('warning', 'command-ignored', 'command ignored: no operator key of the fleet signed it');
      return false;
    }
    return this.#runner.run(command);
  }

  async #install(body: Extract<CommandBody, { kind: 'install' }>, row: SlotRow): Promise<Outcome> {
    const outcome = await this.#parts.gate.install(body, row);
    if (outcome.kind === 'activated') {
      await this.#activated(body.slot, false, true);
      await this.refresh();
    }
    return outcome;
  }

  /** What a slot may hold is another once its floor can be read. */
  async #takeFloors(token: string): Promise<Outcome> {
    const outcome = await this.#parts.takeFloors(token);
    await this.pass();
    return outcome;
  }

  async #keepTime(): Promise<void> {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(this.#parts.now()));
    await this.#parts.journal.put('last-time', time);
  }

  /** The last thing of a clean stop. */
  async end(): Promise<void> {
    await this.#keepTime();
    await this.#parts.journal.put('stopped-cleanly', Buffer.from([1]));
  }
}
