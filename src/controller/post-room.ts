// Where every message from devices arrives: sorted by topic, bounded for each device, and given to whom it is for.
import { once } from 'node:events';
import { parseUpTopic, UP_KINDS } from '../bus/bus.ts';
import type { Bus, BusMessage, UpKind } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { BusError, WireError } from '../errors.ts';
import { decodeLogPart, decodeStatusHint } from '../protocol/codec.ts';
import { Allowance } from './allowance.ts';
import type { Rate } from './allowance.ts';
import type { Registry } from './registry.ts';
import type { Known, Roster } from './roster.ts';

export interface Rates {
  /** Of one device. */
  readonly evidence: Rate;
  readonly log: Rate;
  readonly status: Rate;
  readonly enrol: Rate;
  /** Of all newcomers together, and of all messages from devices that are not in memory. */
  readonly newcomers: Rate;
  readonly strangers: Rate;
}

export const DEFAULT_RATES: Rates = {
  evidence: { perSecond: 2, burst: 20 },
  // A log of 64 MiB has 512 parts.
  log: { perSecond: 50, burst: 520 },
  status: { perSecond: 1, burst: 5 },
  enrol: { perSecond: 1, burst: 5 },
  newcomers: { perSecond: 20, burst: 100 },
  strangers: { perSecond: 20, burst: 100 },
};

/** How old `lastSeen` may get before a mere hint is written down. */
const SEEN_EVERY_MS = 60_000;
/** All controllers share these subscriptions: each message goes to one of them. */
const GROUP = 'controllers';
const ALL = '*';

export interface PostRoomParts {
  readonly registry: Registry;
  readonly roster: Roster;
  readonly clock: Clock;
  readonly rates: Rates;
  readonly evidence: (id: string, bytes: Buffer) => void;
  readonly enrol: (id: string, bytes: Buffer) => Promise<void>;
  /** Asks the device for evidence. */
  readonly ask: (id: string) => Promise<unknown>;
  /** Asks it in a moment: a hint that came too fast may be the one that counts, and nobody repeats it. */
  readonly askSoon: (id: string) => void;
  /** What can't be gone on with. */
  readonly failed: (error: unknown) => void;
}

export class PostRoom {
  readonly #parts: PostRoomParts;
  readonly #allowances: { readonly [K in keyof Rates]: Allowance };
  /** Messages that came too fast, by kind, since the start. */
  readonly dropped: Map<UpKind, number> = new Map();

  constructor(parts: PostRoomParts) {
    this.#parts = parts;
    const { evidence, log, status, enrol, newcomers, strangers } = parts.rates;
    this.#allowances = {
      evidence: new Allowance(evidence),
      log: new Allowance(log),
      status: new Allowance(status),
      enrol: new Allowance(enrol),
      newcomers: new Allowance(newcomers),
      strangers: new Allowance(strangers),
    };
  }

  /** Listens; a broker that is gone is waited for, until `signal`. Errors: BusError BUS_REFUSED. */
  async open(bus: Bus, signal: AbortSignal): Promise<void> {
    const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort');
    for (const kind of UP_KINDS) await Promise.race([this.#listen(bus, kind, signal), stopped]);
  }

  async #listen(bus: Bus, kind: UpKind, signal: AbortSignal): Promise<void> {
    const take = (message: BusMessage): void => {
      this.take(message);
    };
    while (!signal.aborted) {
      try {
        await bus.subscribe(`touchstone/1/c/+/${kind}`, take, { shared: GROUP });
        return;
      } catch (error) {
        if (!(error instanceof BusError && error.code === 'BUS_UNAVAILABLE')) throw error;
      }
    }
  }

  take({ topic, payload }: BusMessage): void {
    const parsed = parseUpTopic(topic);
    if (parsed === null) return;
    const { device, kind } = parsed;
    const now = this.#parts.clock.monotonic();
    if (!this.#allowances[kind].take(device, now)) {
      this.dropped.set(kind, (this.dropped.get(kind) ?? 0) + 1);
      if (kind === 'status') this.#parts.askSoon(device);
      return;
    }
    if (kind === 'enrol') {
      if (this.#allowances.newcomers.take(ALL, now)) this.#later(this.#parts.enrol(device, payload));
      return;
    }
    const known = this.#parts.roster.get(device);
    if (known !== null) this.#sort(known, kind, payload);
    else if (this.#allowances.strangers.take(ALL, now)) this.#later(this.#stranger(device, kind, payload));
  }

  /** A device that another controller let in, or nobody. */
  async #stranger(id: string, kind: UpKind, payload: Buffer): Promise<void> {
    const known = await this.#parts.roster.refresh(id);
    if (known !== null) this.#sort(known, kind, payload);
  }

  #sort(known: Known, kind: UpKind, payload: Buffer): void {
    // Who is not let in is not listened to; approval elsewhere is noticed by the hint with which a device comes.
    const { state } = known;
    if (kind === 'status') this.#later(this.#status(known, payload));
    else if (state !== 'approved' && state !== 'quarantined') return;
    else if (kind === 'evidence') this.#parts.evidence(known.id, payload);
    else if (kind === 'log') this.#later(this.#logPart(known.id, payload));
  }

  async #logPart(id: string, payload: Buffer): Promise<void> {
    const { digest, index, bytes } = decodeLogPart(payload);
    await this.#parts.registry.putLogPart(id, Buffer.from(digest), index, Buffer.from(bytes));
  }

  /** A hint, whoever sent it: it changes a flag, and at most makes us ask. */
  async #status(known: Known, payload: Buffer): Promise<void> {
    const { online, wants, deviceId } = decodeStatusHint(payload);
    if (deviceId !== known.id) return;
    const { registry, roster, clock, ask } = this.#parts;
    const now = clock.now();
    if (online !== known.online || known.lastSeen === null || now - known.lastSeen > SEEN_EVERY_MS) {
      const lastSeen = online ? now : (known.lastSeen ?? now);
      roster.update(known, { online, lastSeen });
      await registry.seen(known.id, lastSeen, online);
    }
    if (online && wants === 'challenge') await ask(known.id);
  }

  /** Malformed messages are nobody's failure here, and a broker that is gone is waited for. */
  #later(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof WireError || error instanceof BusError)) this.#parts.failed(error);
    });
  }
}
