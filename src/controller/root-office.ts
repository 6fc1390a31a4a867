// Hands the root statement to devices that act by an older one, as their own evidence says; none of it is secret.
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import { encodeRootFile } from '../release/root-chain.ts';
import type { Trust } from '../release/root.ts';
import type { Known } from './roster.ts';

export class RootOffice {
  readonly #bus: Pick<Bus, 'publish'>;
  readonly #trust: () => Trust;
  #made: { readonly of: Trust; readonly file: Buffer } | null = null;

  /** `trust`: what the controller itself acts by now. */
  constructor(bus: Pick<Bus, 'publish'>, trust: () => Trust) {
    this.#bus = bus;
    this.#trust = trust;
  }

  /** All that a device needs to go from what ships in its firmware to the newest. */
  file(): Buffer {
    const of = this.#trust();
    if (this.#made?.of !== of) this.#made = { of, file: encodeRootFile(of.links.map((link) => link.envelope)) };
    return this.#made.file;
  }

  /** Errors: BusError. */
  async send(device: string): Promise<void> {
    await this.#bus.publish(downTopic(device, 'root'), this.file());
  }

  /** Sends it to a device whose evidence was just accepted, when that said something older. Errors: BusError. */
  async accepted({ id, rootVersion }: Known): Promise<void> {
    // An agent that says nothing of it would not listen either.
    if (rootVersion !== undefined && rootVersion < this.#trust().version) await this.send(id);
  }
}
