// Commands to devices: signed for the session that accepted evidence published, and sent until evidence tells their end.
import { randomBytes } from 'node:crypto';
import { toHex, toUtf8 } from '../bytes/text.ts';
import { downTopic } from '../bus/bus.ts';
import type { Bus } from '../bus/bus.ts';
import type { Clock } from '../clock.ts';
import { BusError } from '../errors.ts';
import type { CommandBody } from '../protocol/messages.ts';
import { signStatement } from '../protocol/statement.ts';
import type { CommandRow, Registry } from './registry.ts';
import type { Known } from './roster.ts';
import type { Settings } from './settings.ts';

export interface CommandOfficeParts {
  readonly settings: Settings;
  readonly registry: Registry;
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Clock;
}

/** What of a body the operator decides; its order is counted here. */
export type Wish =
  | {
      readonly kind: 'install';
      readonly slot: string;
      readonly release: string;
      readonly source: string | null;
    }
  | { readonly kind: 'measure' }
  | { readonly kind: 'floors'; readonly token: string };

/** The order of desired states that belong to no slot is counted under this name, which no slot can have. */
const NO_SLOT = '*';

export class CommandOffice {
  readonly #parts: CommandOfficeParts;
  /** Devices that have a command without an outcome, as last read. */
  #open: ReadonlySet<string> = new Set();

  constructor(parts: CommandOfficeParts) {
    this.#parts = parts;
  }

  /** Reads which devices have open commands; other controllers may have given some. Errors: StoreError. */
  async look(): Promise<void> {
    this.#open = new Set(await this.#parts.registry.devicesWithCommands());
  }

  /** Keeps a command for the device and sends it when the device's session is known. Its id. Errors: StoreError. */
  async give(known: Known, wish: Wish): Promise<string> {
    const { registry, clock } = this.#parts;
    const id = toHex(randomBytes(16));
    const slot = wish.kind === 'install' ? wish.slot : null;
    const order = await registry.nextOrder(known.id, slot ?? NO_SLOT);
    const body: CommandBody = { ...wish, order };
    await registry.addCommand({ id, device: known.id, body: JSON.stringify(body), createdAt: clock.now() }, slot);
    await this.look();
    await this.send(known);
    return id;
  }

  /** After accepted evidence: whatever is open is sent, again if it must. Errors: StoreError. */
  async accepted(known: Known): Promise<void> {
    if (!this.#open.has(known.id)) return;
    await this.send(known);
    await this.look();
  }

  /** Sends the open commands of a device, in the order they were given. A lost one is sent with the next accepted evidence. */
  async send(known: Known): Promise<void> {
    if (known.session === null || known.state !== 'approved') return;
    const commands = await this.#parts.registry.commands(known.id);
    try {
      for (const command of commands) if (command.outcome === null) await this.#sendOne(known, command);
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
    }
  }

  async #sendOne({ id: device, session, lastSeq }: Known, command: CommandRow): Promise<void> {
    const { registry, settings, bus } = this.#parts;
    if (session === null) return;
    const seq = await registry.takeSeq(command.id, session, lastSeq);
    if (seq === null) return;
    const body = JSON.parse(command.body) as CommandBody;
    const { fleetId } = settings.trust.fleet;
    const statement = { v: 1, fleetId, deviceId: device, session, seq, id: command.id, body } as const;
    await bus.publish(downTopic(device, 'command'), toUtf8(signStatement('command', statement, settings.operatorKey)));
  }
}
