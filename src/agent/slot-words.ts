// What the log says of a slot that was just measured or switched, or may be used for something else.
import { toHex } from '../bytes/text.ts';
import type { Log } from '../log.ts';
import type { KnownSlot } from './slot-keeper.ts';
import type { SlotState } from './slot-policy.ts';

/** One line; of files that differ the first, with both digests. */
export function slotWords({ event, found, slot }: KnownSlot): string {
  const first = event.differing[0];
  const files = event.differing.length + event.more;
  const release = event.release === null ? '' : `, release ${toHex(event.release).slice(0, 12)}`;
  const head = `slot ${slot.name} ${event.cause}: ${found}${release}`;
  if (found !== 'altered' || first === undefined) return head;
  const is = first.found === null ? 'missing' : toHex(first.found);
  const signed = first.expected === null ? 'no such file' : toHex(first.expected);
  const more = files > 1 ? ` (and ${files - 1} more)` : '';
  return `${head}: ${first.path} is ${is}, signed is ${signed}${more}`;
}

/** Says what the slots may be used for, each time that is something else. */
export class UseLog {
  readonly #log: Log;
  readonly #said = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  say(slots: readonly { readonly known: KnownSlot; readonly state: SlotState }[]): void {
    for (const { known, state } of slots) {
      const slot = known.slot.name;
      const { use, why } = state;
      const words = `${use}: ${why}`;
      if (this.#said.get(slot) === words) continue;
      this.#said.set(slot, words);
      this.#log.write(use === 'ready' ? 'info' : 'warning', 'slot-use', `slot ${slot} ${words}`, { slot, use });
    }
  }
}
