// Looks at the registry from time to time: for what other controllers did, whether it was put back, and whether it answers at all.
import type { Clock } from '../clock.ts';
import { isPassing } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CertificateOffice } from './certificate-office.ts';
import type { Challenger } from './challenger.ts';
import type { CommandOffice } from './command-office.ts';
import type { Restoration } from './restoration.ts';

/** How often it looks for commands that other controllers gave. */
const LOOK_MS = 1000;
/** How often for devices that they retired: the broker's list is a file of each machine. */
const PUBLISH_MS = 30_000;

export interface LookoutParts {
  readonly office: Pick<CommandOffice, 'look'>;
  readonly restoration: Pick<Restoration, 'look'>;
  readonly certificates: Pick<CertificateOffice, 'publish'>;
  readonly challenger: Pick<Challenger, 'askAll'>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Lookout {
  readonly #parts: LookoutParts;
  #isAway = false;
  #published = Number.NEGATIVE_INFINITY;

  constructor(parts: LookoutParts) {
    this.#parts = parts;
  }

  /** Until `signal`. A registry that is gone is waited for. Errors: StoreError. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#parts.clock.sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#look();
      } catch (error) {
        if (!isPassing(error)) throw error;
        this.#lost(error);
      }
    }
  }

  async #look(): Promise<void> {
    const { office, restoration, certificates, challenger, clock, log } = this.#parts;
    await office.look();
    // What comes back may be a standby that had not heard the last of it.
    await restoration.look(this.#isAway);
    if (clock.monotonic() - this.#published >= PUBLISH_MS) {
      await certificates.publish();
      this.#published = clock.monotonic();
    }
    if (!this.#isAway) return;
    this.#isAway = false;
    log.write('info', 'registry', 'the registry answers again');
    challenger.askAll();
  }

  #lost(error: unknown): void {
    if (this.#isAway) return;
    this.#isAway = true;
    const words = error instanceof Error ? error.message : String(error);
    this.#parts.log.write('warning', 'registry', `no evidence is judged until the registry answers: ${words}`);
  }
}
