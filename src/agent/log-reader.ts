// The last thing the current log says of each slot: so that a restart records only what it finds changed.
import { decodeEvent, decodeRecord } from '../cel/record.ts';
import type { SlotEvent } from '../cel/events.ts';
import type { Journal } from '../store/journal.ts';

/** Records read at once: a log may be long and a device small. */
const AT_ONCE = 256;

/** By slot. After a foreign extension nothing before it counts: everything is measured again. Errors: StoreError, WireError. */
export async function lastSlotEvents(journal: Pick<Journal, 'records'>, to: number): Promise<Map<string, SlotEvent>> {
  const last = new Map<string, SlotEvent>();
  for (let from = 1; from <= to; from += AT_ONCE) {
    for (const record of await journal.records(from, Math.min(to, from + AT_ONCE - 1))) {
      const event = decodeEvent(decodeRecord(record).content);
      if (event.type === 'foreign-extension') last.clear();
      if (event.type === 'slot') last.set(event.slot, event);
    }
  }
  return last;
}
