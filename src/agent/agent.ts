// The agent: one attester, and the phases of its talk with the controller. Whatever it can't go on with ends it: it starts again.
import { once } from 'node:events';
import { downTopic, upTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import type { TouchstoneError } from '../errors.ts';
import { encodeStatusHint } from '../protocol/codec.ts';
import type { StatusHint } from '../protocol/messages.ts';
import type { Attester } from './attester.ts';
import { ChallengeBox } from './challenge-box.ts';
import type { ChallengeFor } from './challenge-box.ts';
import { Enrolment } from './enrolment.ts';
import type { EnrolmentParts } from './enrolment.ts';
import { canGoOn, isCertificateRefusal } from './failures.ts';
import type { Log } from '../log.ts';
import { Mailbox } from './mailbox.ts';
import { phaseWords } from './phase.ts';
import type { Papers, Phase } from './phase.ts';

/** The last will: the broker says it for us when we are gone. */
export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
}

export interface AgentParts {
  readonly owner: ChallengeFor;
  readonly attester: Attester;
  readonly clock: Clock;
  readonly log: Log;
  /** ms between two full passes over the bytes of every slot. */
  readonly passEveryMs: number;
  /** Papers of an earlier enrolment; null: enrol first. */
  papers(): Promise<Papers | null>;
  /** Keeps what enrolment gave. */
  keepPapers(papers: Pick<Papers, 'endorsement' | 'certificate'>): Promise<void>;
  enrolment(): Promise<Omit<EnrolmentParts, 'send'>>;
  /** A root statement that somebody sent; true when it is in force from now on. */
  takeRoot(bytes: Buffer): Promise<boolean>;
  /** A broker certificate that somebody sent; true when it is in force from now on. */
  takeCertificate(bytes: Buffer): Promise<boolean>;
  /** One attempt; without papers at the listener where a device can only enrol. Errors: BusError. */
  connect(papers: Papers | null, will: Will | null): Promise<Bus>;
  /** Calls `changed` when a slot's folder was touched; a hint. */
  watch(changed: (slot: string) => void): AsyncDisposable;
}

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
/** How long an unanswered enrolment waits before it asks again. */
const ASK_AGAIN_MS = 10_000;

/** How often the time of a trial is added up; a power cut loses this much of it. */
const TICK_MS = 2000;

/** The TPM's clock and ours do not tick alike: looked at a moment too early, the lease would still run. */
const LEASE_SLACK_MS = 50;
/** A longer sleep is cut: timers hold 31 bits. */
const MAX_PAUSE_MS = 86_400_000;

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

export class Agent {
  readonly #parts: AgentParts;
  readonly #mailbox: Mailbox;
  readonly #challenges: ChallengeBox;
  readonly #broken = new AbortController();
  #phase: Phase = { at: 'starting' };
  #leaseEnd = new AbortController();
  #sent: Promise<void> = Promise.resolve();
  #hinting = false;
  /** The broker takes our certificate no more: it ran out while nobody could renew it, or was taken back. */
  #refused = false;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#challenges = new ChallengeBox(parts.owner);
    this.#mailbox = new Mailbox((error) => {
      this.#failed(error);
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  #enter(phase: Phase): void {
    const before = phaseWords(this.#phase);
    this.#phase = phase;
    const words = phaseWords(phase);
    if (words !== before) {
      this.#parts.log.write(phase.at === 'rejected' ? 'error' : 'info', 'phase', words, { phase: phase.at });
    }
  }

  #failed(error: unknown): void {
    if (!canGoOn(error)) {
      this.#broken.abort(error);
      return;
    }
    const { code, message } = error as TouchstoneError;
    this.#parts.log.write('warning', 'failed', message, { code });
  }

  /** The lease ends by itself in so many ms; null: it does not. What a slot may be used for is then said anew, on the second. */
  leaseEndsIn(ms: number | null): void {
    this.#leaseEnd.abort();
    this.#leaseEnd = new AbortController();
    if (ms !== null) void this.#refreshAfter(ms, this.#leaseEnd.signal);
  }

  async #refreshAfter(ms: number, moved: AbortSignal): Promise<void> {
    if (!(await this.#pause(Math.min(ms + LEASE_SLACK_MS, MAX_PAUSE_MS), moved))) return;
    await this.#mailbox.put(async () => {
      await this.#parts.attester.tick();
      await this.#parts.attester.refresh();
    });
  }

  /** Has `work` done when nothing else is being done. */
  soon(work: () => Promise<void>): void {
    void this.#mailbox.put(work);
  }

  /** Asks for a challenge, because something happened that the controller should hear of. */
  async tell(): Promise<void> {
    await this.#hint('challenge');
  }

  /** Runs until `signal` says stop (resolves, cleanly stopped) or something breaks (rejects with it). */
  async run(signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    const { attester } = this.#parts;
    await attester.begin();
    const watcher = this.#parts.watch((slot) => {
      void this.#mailbox.put(async () => {
        if (await attester.look(slot)) await this.#hint('challenge');
      });
    });
    const passes = Promise.all([this.#passes(stop), this.#ticks(stop)]);
    try {
      while (!stop.aborted) await this.#talk(stop);
    } finally {
      this.#enter({ at: 'stopping' });
      this.leaseEndsIn(null);
      await watcher[Symbol.asyncDispose]();
      await passes;
      await this.#mailbox.close();
    }
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
    await attester.end();
  }

  /** Full passes: hints may be missed, bytes are not. */
  async #passes(stop: AbortSignal): Promise<void> {
    while (await this.#pause(this.#parts.passEveryMs, stop)) {
      await this.#mailbox.put(async () => {
        if (await this.#parts.attester.pass()) await this.#hint('challenge');
      });
    }
  }

  /** Trials end by time, too. */
  async #ticks(stop: AbortSignal): Promise<void> {
    while (await this.#pause(TICK_MS, stop)) await this.#mailbox.put(async () => this.#parts.attester.tick());
  }

  /** False when `stop` came first. */
  async #pause(ms: number, stop: AbortSignal): Promise<boolean> {
    try {
      await this.#parts.clock.sleep(ms, stop);
      return !stop.aborted;
    } catch (error) {
      if (stop.aborted) return false;
      throw error;
    }
  }

  async #talk(stop: AbortSignal): Promise<void> {
    const papers = this.#refused ? null : await this.#parts.papers();
    this.#enter(papers === null ? { at: 'unenrolled' } : { at: 'offline', papers });
    const bus = await this.#connected(papers, stop);
    if (bus === null) return;
    try {
      await (papers === null ? this.#enrol(bus, stop) : this.#serve(bus, papers, stop));
    } catch (error) {
      this.#failed(error);
      await this.#pause(RETRY_MIN_MS, stop);
    } finally {
      await bus[Symbol.asyncDispose]();
    }
  }

  /** Tries until connected; waits longer each time, and not all devices equally long. Null: stopped. */
  async #connected(papers: Papers | null, stop: AbortSignal): Promise<Bus | null> {
    const will = papers === null ? null : { topic: this.#up('status'), payload: this.#status(false, 'nothing') };
    for (let wait = RETRY_MIN_MS; !stop.aborted; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
      try {
        return await this.#parts.connect(papers, will);
      } catch (error) {
        this.#failed(error);
        this.#refused = papers !== null && isCertificateRefusal(error);
        if (this.#refused) return null;
        await this.#pause(wait * (0.5 + Math.random() / 2), stop);
      }
    }
    return null;
  }

  async #enrol(bus: Bus, stop: AbortSignal): Promise<void> {
    const topic = this.#up('enrol');
    const parts = await this.#parts.enrolment();
    const enrolment = new Enrolment({ ...parts, send: async (message) => bus.publish(topic, message) });
    const settled = new AbortController();
    await bus.subscribe(downTopic(this.#parts.owner.deviceId, 'enrol'), ({ payload }) => {
      void this.#mailbox.put(async () => {
        const state = await enrolment.receive(payload);
        if (state.at === 'rejected') this.#enter({ at: 'rejected', reason: state.reason });
        if (state.at !== 'approved') return;
        await this.#parts.keepPapers(state);
        this.#refused = false;
        settled.abort();
      });
    });
    await this.#hearRoot(bus).catch((error: unknown) => {
      // A broker with an access list from before: this device is then let in by the keys that ship with it, or not at all.
      this.#failed(error);
    });
    this.#enter({ at: 'enrolling', bus, enrolment });
    const until = AbortSignal.any([stop, settled.signal]);
    do {
      if (bus.connected) await enrolment.start();
    } while (await this.#pause(ASK_AGAIN_MS, until));
  }

  async #serve(bus: Bus, papers: Papers, stop: AbortSignal): Promise<void> {
    const { attester, owner } = this.#parts;
    const on = async (
      kind: 'challenge' | 'result' | 'command' | 'certificate',
      take: (payload: Buffer) => void,
    ): Promise<void> =>
      bus.subscribe(downTopic(owner.deviceId, kind), ({ payload }) => {
        take(payload);
      });
    await on('result', (payload) => {
      void this.#mailbox.put(async () => {
        await attester.takeResult(payload);
      });
    });
    await on('command', (payload) => {
      void this.#mailbox.put(async () => {
        if (await attester.takeCommand(payload)) await this.#hint('challenge');
      });
    });
    await this.#hearRoot(bus);
    const renewed = new AbortController();
    await on('certificate', (payload) => {
      void this.#mailbox.put(async () => {
        if (await this.#parts.takeCertificate(payload)) renewed.abort();
      });
    });
    await on('challenge', (payload) => {
      if (this.#challenges.offer(payload)) void this.#mailbox.put(async () => this.#answer(bus));
    });
    this.#enter({ at: 'serving', papers, bus });
    bus.onState((connected) => {
      this.#enter(connected ? { at: 'serving', papers, bus } : { at: 'offline', papers });
      if (connected) void this.#mailbox.put(async () => this.#hint('challenge'));
    });
    await this.#hint('challenge');
    // Renewed: it connects again, by the new one.
    await aborted(AbortSignal.any([stop, renewed.signal]));
    // Said by us, a stop is not a loss; a bus that is gone says it by the last will.
    if (bus.connected) await bus.publish(this.#up('status'), this.#status(false, 'nothing')).catch(() => undefined);
  }

  async #hearRoot(bus: Bus): Promise<void> {
    await bus.subscribe(downTopic(this.#parts.owner.deviceId, 'root'), ({ payload }) => {
      void this.#mailbox.put(async () => {
        if (!(await this.#parts.takeRoot(payload))) return;
        // What a slot should hold may be another by the new keys.
        await this.#parts.attester.pass();
        await this.#hint('challenge');
      });
    });
  }

  async #answer(bus: Bus): Promise<void> {
    const held = this.#challenges.take();
    if (held === null) return;
    const made = await this.#parts.attester.answer(held);
    this.#send(async () => {
      for (const part of made.logParts) await bus.publish(this.#up('log'), part);
      await bus.publish(this.#up('evidence'), made.message);
    });
  }

  /** In order, and beside the mailbox: a broker that stands still must not keep us from measuring. */
  #send(publish: () => Promise<void>): void {
    const sent = this.#sent;
    const send = async (): Promise<void> => {
      await sent;
      try {
        await publish();
      } catch (error) {
        this.#failed(error);
      }
    };
    this.#sent = send();
  }

  #up(kind: 'evidence' | 'log' | 'status' | 'enrol'): string {
    return upTopic(this.#parts.owner.deviceId, kind);
  }

  #status(online: boolean, wants: StatusHint['wants']): Buffer {
    return encodeStatusHint({ v: 1, deviceId: this.#parts.owner.deviceId, online, wants });
  }

  /** Tells the controller that we are there and what we would like; it may be lost. */
  async #hint(wants: StatusHint['wants']): Promise<void> {
    // One that waits says what another would.
    if (this.#hinting) return;
    this.#hinting = true;
    this.#send(async () => {
      this.#hinting = false;
      const phase = this.#phase;
      if (phase.at === 'serving' && phase.bus.connected) {
        await phase.bus.publish(this.#up('status'), this.#status(true, wants));
      }
    });
  }
}
