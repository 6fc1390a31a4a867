// Commands whose release is still on its way: one for each slot, and a newer one ends an older one.
import type { CommandBody } from '../protocol/messages.ts';

type Install = Extract<CommandBody, { kind: 'install' }>;

interface Entry {
  readonly order: number;
  readonly abort: AbortController;
}

export class Awaited {
  readonly #bySlot = new Map<string, Entry>();

  /** How many will still be reported. */
  get size(): number {
    return this.#bySlot.size;
  }

  /** Order of the command that is waited for in a slot; -1 when there is none. */
  orderIn(slot: string): number {
    return this.#bySlot.get(slot)?.order ?? -1;
  }

  /** A newer command for a slot: the older one ends. */
  supersede({ slot }: Install): void {
    const entry = this.#bySlot.get(slot);
    this.#bySlot.delete(slot);
    entry?.abort.abort(new Error('a newer command came while the release was fetched'));
  }

  /** Says when it need not be waited for any more. */
  begin(body: Install): AbortSignal {
    const entry = { order: body.order, abort: new AbortController() };
    this.#bySlot.set(body.slot, entry);
    return entry.abort.signal;
  }

  end({ slot, order }: Install): void {
    if (this.orderIn(slot) === order) this.#bySlot.delete(slot);
  }
}
