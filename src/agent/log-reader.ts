// The last thing the current log says of each slot and its engine: so that a restart records only what it finds changed.
import { decodeEvent, decodeRecord } from '../cel/record.ts';
import type { EngineEvent, SlotEvent } from '../cel/events.ts';
import type { Journal } from '../store/journal.ts';

/** Records read at once: a log may be long and a device small. */
const AT_ONCE = 256;

/** By slot. */
export interface LastEvents {
  readonly slots: ReadonlyMap<string, SlotEvent>;
  readonly engines: ReadonlyMap<string, LoggedEngine>;
}

/** With the number of its record. */
export interface LoggedEngine {
  readonly event: EngineEvent;
  readonly record: number;
}

/** After a foreign extension nothing before it counts: everything is measured again. Errors: StoreError, WireError. */
export async function lastEvents(journal: Pick<Journal, 'records'>, to: number): Promise<LastEvents> {
  const slots = new Map<string, SlotEvent>();
  const engines = new Map<string, LoggedEngine>();
  for (let from = 1; from <= to; from += AT_ONCE) {
    for (const record of await journal.records(from, Math.min(to, from + AT_ONCE - 1))) {
      const { content, recnum } = decodeRecord(record);
      const event = decodeEvent(content);
      if (event.type === 'foreign-extension') {
        slots.clear();
        engines.clear();
      }
      if (event.type === 'slot') slots.set(event.slot, event);
      if (event.type === 'engine') engines.set(event.slot, { event, record: recnum });
    }
  }
  return { slots, engines };
}
