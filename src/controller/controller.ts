// The fleet's daemon: asks, judges, answers, commands, and does what operators decide, until it is told to stop.
import { join } from 'node:path';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { KeyThreads } from '../crypto/key-threads.ts';
import { isPassing } from '../errors.ts';
import type { Trust } from '../release/root.ts';
import type { Appraisal } from '../verifier/types.ts';
import { AdmissionOffice, admissionIn } from './admission-office.ts';
import { Admission } from './admission.ts';
import type { BatchShelf } from './batch-shelf.ts';
import { Bell } from './bell.ts';
import { BundleOffice } from './bundle-office.ts';
import { Challenger } from './challenger.ts';
import { CertificateOffice } from './certificate-office.ts';
import { CommandOffice } from './command-office.ts';
import { ControlServer } from './control-server.ts';
import { renewEndorsements } from './endorsement-renewal.ts';
import { EnrolmentDesk } from './enrolment.ts';
import { healthOf } from './health.ts';
import type { ControllerHealth } from './health.ts';
import { Intake } from './intake.ts';
import type { Log } from '../log.ts';
import { Lookout } from './lookout.ts';
import { Operator } from './operator.ts';
import { DEFAULT_RATES, PostRoom } from './post-room.ts';
import type { Rates } from './post-room.ts';
import { ReferenceKeeper } from './reference-keeper.ts';
import type { Registry } from './registry.ts';
import { RootOffice } from './root-office.ts';
import { RecordOffice } from './record-office.ts';
import { Restoration } from './restoration.ts';
import { Roster } from './roster.ts';
import type { Known } from './roster.ts';
import { assertNamed, STATE_FILES } from './settings.ts';
import type { Settings } from './settings.ts';
import { adoptTokenFile } from './tokens.ts';

export interface ControllerParts {
  readonly settings: Settings;
  readonly registry: Registry;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ n < 1; spreads the fleet over time. */
  readonly random: () => number;
  readonly rates?: Rates;
  /** Name and version of this software, for those who read its tokens. */
  readonly build?: string;
}

/** A whole log is asked for again at most this often. */
const WHOLE_EVERY_MS = 5000;

export class Controller {
  readonly #parts: ControllerParts;
  readonly #roster: Roster;
  readonly #references: ReferenceKeeper;
  readonly #challenger: Challenger;
  readonly #office: CommandOffice;
  readonly #rootOffice: RootOffice;
  readonly #certificates: CertificateOffice;
  readonly #intake: Intake;
  readonly #postRoom: PostRoom;
  readonly #operator: Operator;
  readonly #batches: BatchShelf;
  readonly #admissions: AdmissionOffice;
  readonly #bundles: BundleOffice;
  readonly #records: RecordOffice;
  readonly #restoration: Restoration;
  readonly #lookout: Lookout;
  readonly #bell = new Bell();
  readonly #keys = new KeyThreads();
  readonly #broken = new AbortController();
  /** When each device was last asked for its whole log. */
  readonly #askedWhole = new Map<string, number>();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    const { settings, registry, bus, clock, log } = parts;
    const failed = (error: unknown): void => {
      this.#failed(error);
    };
    this.#roster = new Roster(registry, settings.trust.resultKeys, async (id) => this.#restoration.wentBack(id));
    this.#references = new ReferenceKeeper(
      settings,
      log,
      () => clock.now(),
      (newTrust) => {
        if (newTrust !== null) this.#newRoot(newTrust).catch(failed);
        // What was right by the old values may be wrong by the new ones, and the other way round.
        this.#challenger.askAll();
      },
    );
    this.#challenger = new Challenger({
      settings,
      roster: this.#roster,
      bus,
      clock,
      terms: (profile) => this.#references.terms(profile),
      random: parts.random,
    });
    this.#rootOffice = new RootOffice(bus, () => this.#references.trust);
    this.#office = new CommandOffice({ settings, registry, bus, clock });
    this.#intake = new Intake({
      registry,
      roster: this.#roster,
      bus,
      clock,
      log,
      keys: { fleetId: settings.trust.fleet.fleetId, resultKey: settings.resultKey, work: this.#keys },
      yardstick: (profile) => this.#references.terms(profile),
      accepted: (known, judged) => {
        this.#records.accepted(judged);
        this.#accepted(known, judged.taken.tlsCsr ?? null);
      },
      unexplained: async (known, appraisal) => this.#unexplained(known, appraisal),
      // It is newer than what overtook it, and may be that by which a trial ends.
      overtaken: ({ id }, isAhead) => (isAhead ? this.#restoration.ahead(id) : this.#challenger.askSoon(id)),
      failed,
    });
    this.#restoration = new Restoration({
      registry,
      roster: this.#roster,
      challenger: this.#challenger,
      keys: settings.challenge,
      clock,
      log,
      markFile: join(settings.stateDir, STATE_FILES.mark),
    });
    this.#certificates = new CertificateOffice({ settings, registry, bus, clock, log });
    this.#lookout = new Lookout({
      office: this.#office,
      restoration: this.#restoration,
      certificates: this.#certificates,
      challenger: this.#challenger,
      clock,
      log,
    });
    const admission = admissionIn(settings.stateDir, { registry, clock, log, trust: () => this.#references.trust });
    this.#batches = admission.batches;
    const desk = new EnrolmentDesk({
      certificates: this.#certificates,
      settings,
      references: () => this.#references.references,
      trust: () => this.#references.trust,
      registry,
      bus,
      clock,
      admission: new Admission(admission),
      log,
      sendRoot: async (device) => this.#rootOffice.send(device),
      changed: async (device) => {
        await this.#roster.refresh(device);
        this.#bell.ring();
      },
    });
    this.#postRoom = new PostRoom({
      registry,
      roster: this.#roster,
      clock,
      rates: parts.rates ?? DEFAULT_RATES,
      evidence: (id, bytes) => {
        this.#intake.take(id, bytes);
      },
      enrol: async (id, bytes) => desk.receive(id, bytes),
      ask: async (id) => this.#challenger.ask(id),
      askSoon: (id) => {
        this.#challenger.askSoon(id);
      },
      failed,
    });
    this.#operator = new Operator({
      registry,
      roster: this.#roster,
      references: this.#references,
      challenger: this.#challenger,
      office: this.#office,
      desk,
      certificates: this.#certificates,
      clock,
      log,
      bell: this.#bell,
    });
    this.#admissions = new AdmissionOffice({ ...admission, registry, desk });
    this.#records = new RecordOffice({
      registry,
      operator: this.#operator,
      settings,
      log,
      build: parts.build ?? 'touchstone',
      root: () => this.#references.trust.links.map(({ envelope }) => envelope),
    });
    this.#bundles = new BundleOffice({
      settings,
      registry,
      operator: this.#operator,
      challenger: this.#challenger,
      intake: this.#intake,
      root: () => this.#rootOffice.file(),
      clock,
      log,
    });
  }

  get operator(): Operator {
    return this.#operator;
  }

  get admissions(): AdmissionOffice {
    return this.#admissions;
  }

  get bundles(): BundleOffice {
    return this.#bundles;
  }

  /** Reads profiles, releases and the root statement again. */
  reload(): void {
    this.#references.reload();
  }

  #failed(error: unknown): void {
    // A broker or a registry that is gone is waited for; whatever else can't be kept or judged ends the daemon.
    if (!isPassing(error)) this.#broken.abort(error);
  }

  #accepted(known: Known, tlsCsr: Uint8Array | null): void {
    this.#challenger.accepted(known);
    this.#bell.ring();
    Promise.all([
      this.#office.accepted(known),
      this.#rootOffice.accepted(known),
      tlsCsr === null ? null : this.#certificates.renew(known.id, tlsCsr),
    ]).catch((error: unknown) => {
      this.#failed(error);
    });
  }

  /** Devices hear of it with their next evidence. Errors: ConfigError when it no longer names our own keys: nobody would believe us. */
  async #newRoot(trust: Trust): Promise<void> {
    assertNamed(this.#parts.settings, trust);
    await this.#roster.useResultKeys(trust.resultKeys);
    this.#challenger.askAll();
    this.#bell.ring();
  }

  /** About this device, and its log does not account for its PCRs: shown, and all of the log asked for. */
  async #unexplained(known: Known, { status, findings }: Appraisal): Promise<void> {
    const { registry, clock, log } = this.#parts;
    const last = this.#askedWhole.get(known.id);
    if (last !== undefined && clock.monotonic() - last < WHOLE_EVERY_MS) return;
    this.#askedWhole.set(known.id, clock.monotonic());
    const words = findings.map(({ rule, found }) => `${rule}: ${found}`).join('; ');
    log.write('warning', 'unexplained', `${known.id}: evidence not accepted: ${words}`, { device: known.id });
    await registry.setTrouble(known.id, { at: clock.now(), status, findings });
    this.#bell.ring();
    this.#challenger.askForWhole(known.id);
    // Not waited for: the batch goes on.
    this.#challenger.ask(known.id).catch((error: unknown) => {
      this.#failed(error);
    });
  }

  /** How the daemon itself is doing. Errors: StoreError. */
  async health(): Promise<ControllerHealth> {
    return healthOf({
      ...this.#parts,
      intake: this.#intake,
      postRoom: this.#postRoom,
      references: this.#references,
      gap: this.#restoration.gap,
    });
  }

  /** Runs until `signal` says stop (resolves) or something breaks (rejects with it). `ready` is called when it listens. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { settings, registry, bus, clock, log } = this.#parts;
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    await renewEndorsements({ registry, trust: this.#references.trust, resultKey: settings.resultKey, log });
    await this.#certificates.publish();
    await this.#roster.load();
    await this.#office.look();
    await adoptTokenFile(join(settings.stateDir, STATE_FILES.tokens), registry, log);
    await this.#restoration.open();
    await this.#batches.open();
    using _references = this.#references;
    await using _keys = this.#keys;
    this.#references.watch();
    await using _control = await ControlServer.open(join(settings.stateDir, STATE_FILES.socket), {
      operator: this.#operator,
      admissions: this.#admissions,
      bundles: this.#bundles,
      records: this.#records,
      views: { settings, registry, roster: this.#roster, references: this.#references, now: () => clock.now() },
      bell: this.#bell,
      health: async () => this.health(),
    });
    bus.onState((connected) => {
      log.write(connected ? 'info' : 'warning', 'broker', connected ? 'connected to the broker' : 'the broker is gone');
      if (connected) this.#challenger.askAll();
    });
    await this.#postRoom.open(bus, stop);
    this.#challenger.askAll();
    ready();
    const failed = (error: unknown): void => {
      this.#failed(error);
    };
    await Promise.all([this.#challenger.run(stop).catch(failed), this.#lookout.run(stop).catch(failed)]);
    await this.#intake.idle();
    await this.#records.idle();
    await this.#restoration.mark();
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }
}
