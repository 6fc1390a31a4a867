// What time it is on a device whose clock anyone may have turned: by what the controller signed last, and by the clock while it fits.
import type { Clock } from '../clock.ts';
import type { Journal } from '../store/journal.ts';

const DAY_MS = 86_400_000;
/** A device may lie switched off for so long; a clock further ahead of all that was ever signed is a battery that ran out. */
const SWITCHED_OFF_MS = 730 * DAY_MS;
/** In the run in which the controller said what time it is, no clock is further ahead of that than this. */
const DRIFT_MS = DAY_MS;

export interface DeviceTimeParts {
  readonly journal: Pick<Journal, 'get' | 'put'>;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** ms: fleet.json's minimum. */
  readonly fleetMinimum: number;
}

export class DeviceTime {
  readonly #parts: DeviceTimeParts;
  /** Signed time that was last heard, and when on the scale of this run. */
  #signed: number;
  #at: number;
  #heard = false;

  private constructor(parts: DeviceTimeParts, signed: number) {
    this.#parts = parts;
    this.#signed = signed;
    this.#at = parts.clock.monotonic();
  }

  /** Errors: StoreError. */
  static async open(parts: DeviceTimeParts): Promise<DeviceTime> {
    const bytes = await parts.journal.get('signed-time');
    return new DeviceTime(parts, bytes === null || bytes.length !== 8 ? 0 : Number(bytes.readBigUInt64BE()));
  }

  /**
   * ms since 1970: the machine's clock where it is plausible, which is not before what the controller signed last and the time that ran
   * since, nor before the fleet's minimum, and not too far after; otherwise that time itself.
   */
  now(): number {
    const { clock, fleetMinimum } = this.#parts;
    const least = Math.max(fleetMinimum, this.#signed) + Math.max(0, clock.monotonic() - this.#at);
    const rtc = clock.now();
    const plausible = rtc >= least && rtc - least <= (this.#heard ? DRIFT_MS : SWITCHED_OFF_MS);
    return Math.floor(plausible ? rtc : least);
  }

  /**
   * A result that answers evidence of this run was made at `appraisedAt` (ms). It takes the place of what was heard before, also when it
   * is earlier: a controller whose own clock was wrong once does not stop upgrades for ever, and no older result comes here again.
   * Errors: StoreError.
   */
  async hear(appraisedAt: number): Promise<void> {
    this.#signed = appraisedAt;
    this.#at = this.#parts.clock.monotonic();
    this.#heard = true;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(appraisedAt));
    await this.#parts.journal.put('signed-time', bytes);
  }
}
