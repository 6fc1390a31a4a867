// Asks devices for evidence: each in its rhythm, at a hint, or on demand. Issuing writes nothing.
import { randomBytes } from 'node:crypto';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { isPassing } from '../errors.ts';
import { sealChallenge } from '../protocol/challenge.ts';
import type { Challenge } from '../protocol/messages.ts';
import type { ProfileTerms } from './reference-keeper.ts';
import type { Known, Roster } from './roster.ts';
import type { Settings } from './settings.ts';

/** How often the schedule is looked at. */
const TICK_MS = 100;
/** After a start or new reference values all devices are asked within this time, or their rhythm if that is shorter. */
const SPREAD_MS = 5000;
/** A device that hints faster than it may is asked once in this time. */
const SOON_MS = 1000;

export interface ChallengerParts {
  readonly settings: Settings;
  readonly roster: Roster;
  readonly bus: Pick<Bus, 'publish' | 'connected'>;
  readonly clock: Clock;
  /** Null for a profile that the controller does not have. */
  readonly terms: (profileId: string) => ProfileTerms | null;
  /** 0 ≤ n < 1; spreads the fleet over time. */
  readonly random: () => number;
}

export class Challenger {
  readonly #parts: ChallengerParts;
  /** When each device is due, ms on the monotonic clock. */
  readonly #due = new Map<string, number>();
  /** Devices that shall send their whole log. */
  readonly #whole = new Set<string>();

  constructor(parts: ChallengerParts) {
    this.#parts = parts;
  }

  /** Asks every device soon, spread over time. */
  askAll(): void {
    for (const known of this.#parts.roster.all()) {
      const every = this.#parts.terms(known.profile)?.attestEveryMs;
      if (every !== undefined) this.#askWithin(known.id, Math.min(every, SPREAD_MS));
    }
  }

  #askWithin(id: string, ms: number): void {
    this.#due.set(id, this.#parts.clock.monotonic() + this.#parts.random() * ms);
  }

  /** Asks this device in a moment, if it is asked at all and not due before; however often it is called meanwhile, once. */
  askSoon(id: string): void {
    const due = this.#due.get(id);
    const soon = this.#parts.clock.monotonic() + SOON_MS;
    if (due !== undefined && due > soon) this.#due.set(id, soon);
  }

  /** The next challenge comes one rhythm after this accepted evidence, give or take a tenth. */
  accepted({ id, profile }: Known): void {
    this.#whole.delete(id);
    this.#rest(id, this.#parts.terms(profile)?.attestEveryMs ?? SPREAD_MS);
  }

  #rest(id: string, everyMs: number): void {
    this.#due.set(id, this.#parts.clock.monotonic() + everyMs * (0.9 + this.#parts.random() * 0.2));
  }

  /** What the device sent does not explain its PCRs from where we stand: from now on ask for all of it, until it is accepted. */
  askForWhole(id: string): void {
    this.#whole.add(id);
  }

  /**
   * Sends a challenge now. False when the device is not one to be asked, or its profile is not known here.
   * Errors: BusError, StoreError.
   */
  async ask(id: string): Promise<boolean> {
    const asked = await this.#fresh(id);
    if (asked === null) return false;
    this.#rest(id, asked.of.attestEveryMs);
    await this.#parts.bus.publish(downTopic(id, 'challenge'), this.#seal(asked.known, asked.of));
    return true;
  }

  /** A challenge that is carried to the device by hand, good for `validFor` ms; null when it is not one to be asked. Errors: StoreError. */
  async toCarry(id: string, validFor: number): Promise<Buffer | null> {
    const asked = await this.#fresh(id);
    return asked === null ? null : this.#seal(asked.known, asked.of, { validFor });
  }

  /** The device as the registry has it now; null when it is not one to be asked, or its profile is not known here. */
  async #fresh(id: string): Promise<{ readonly known: Known; readonly of: ProfileTerms } | null> {
    const { roster, terms } = this.#parts;
    const known = await roster.refresh(id);
    if (known === null || known.endorsement === null) return null;
    if (known.state !== 'approved' && known.state !== 'quarantined') return null;
    const of = terms(known.profile);
    return of === null ? null : { known, of };
  }

  #seal(known: Known, { pcrs, policy }: ProfileTerms, life: Pick<Challenge, 'validFor'> = {}): Buffer {
    const { settings, clock } = this.#parts;
    const { kid, key } = settings.challenge;
    const base = this.#whole.has(known.id) ? null : known.row.log;
    return sealChallenge(
      {
        v: 1,
        fleetId: settings.fleetId,
        deviceId: known.id,
        issuedAt: clock.now(),
        nonce: randomBytes(16),
        generation: known.row.generation,
        bank: 'sha256',
        pcrs,
        epoch: base?.epoch ?? null,
        afterSeq: base?.seq ?? 0,
        policyDigest: policy.digest,
        kid,
        ...life,
      },
      key,
    );
  }

  /** Asks whoever is due, until `signal`. Errors: StoreError. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, bus } = this.#parts;
    while (!signal.aborted) {
      if (bus.connected) await this.#askDue();
      await clock.sleep(TICK_MS, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  async #askDue(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    const due: string[] = [];
    for (const [id, at] of this.#due) if (at <= now) due.push(id);
    for (const id of due) {
      try {
        if (!(await this.#askIfQuiet(id))) this.#due.delete(id);
      } catch (error) {
        // Without a broker nobody is reached, without a registry nobody known: they stay due.
        if (isPassing(error)) return;
        throw error;
      }
    }
  }

  /** Another controller may have heard the device meanwhile; then it is not asked again. False when it is not one to be asked. */
  async #askIfQuiet(id: string): Promise<boolean> {
    const { roster, clock, terms } = this.#parts;
    const before = roster.get(id)?.verdict?.at;
    const known = await roster.refresh(id);
    const of = known === null ? null : terms(known.profile);
    if (known === null || of === null) return false;
    const age = clock.now() - (known.verdict?.at ?? 0);
    if (known.verdict !== null && known.verdict.at !== before && age < of.attestEveryMs * 0.9) {
      this.#rest(id, of.attestEveryMs - age);
      return true;
    }
    return this.ask(id);
  }
}
