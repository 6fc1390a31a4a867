// What a log says in the end: each event folded into the state that the records before it left.
import type { BootEvent, LogEvent, SlotEvent } from '../cel/events.ts';
import type { Epoch } from '../tpm/port.ts';
import { isWrong } from './slot-judgement.ts';
import type { LogState, ReferenceValues, SlotLogState } from './types.ts';

/** What a log is folded against: who should have written it, and what should be in it. */
export interface LogReader {
  readonly deviceId: string;
  readonly session: Uint8Array;
  readonly epoch: Epoch;
  readonly reference: ReferenceValues;
}

function slotState(event: SlotEvent, before: SlotLogState | undefined, reference: ReferenceValues): SlotLogState {
  const { slot, release, statement, manifest, configs, differing, more } = event;
  const content = { slot, release, statement, manifest, configs, differing, more };
  const expected = reference.profile.slots.find(({ name }) => name === slot);
  return { ...content, wasWrong: before?.wasWrong === true || isWrong(content, expected, reference) };
}

/** Record 1 is the boot of this device and record 2 the start of its agent. */
function explainsBoot(before: boolean, seq: number, event: LogEvent, deviceId: string): boolean {
  if (seq === 1) return event.type === 'boot' && event.deviceId === deviceId;
  return seq === 2 ? before && event.type === 'agent-start' : before;
}

/**
 * State after `events`, which follow `base` (null: zero PCRs). `pcr` is the event PCR after them. Pure: `base` is not changed.
 */
export function foldLog(base: LogState | null, events: readonly LogEvent[], pcr: Buffer, reader: LogReader): LogState {
  const slots = new Map<string, SlotLogState>(base?.slots.map((slot) => [slot.slot, slot]));
  let { seq, components, startedSession, foreignExtensions, bootExplained } = base ?? {
    seq: 0,
    components: null as BootEvent['components'] | null,
    startedSession: null as Uint8Array | null,
    foreignExtensions: 0,
    bootExplained: false,
  };
  for (const event of events) {
    seq++;
    bootExplained = explainsBoot(bootExplained, seq, event, reader.deviceId);
    if (event.type === 'slot') slots.set(event.slot, slotState(event, slots.get(event.slot), reader.reference));
    else if (event.type === 'foreign-extension') foreignExtensions++;
    else components = event.components;
    if (event.type === 'agent-start') startedSession = event.session;
  }
  return {
    epoch: { resetCount: reader.epoch.resetCount, restartCount: reader.epoch.restartCount },
    seq,
    pcr,
    session: reader.session,
    components,
    startedSession,
    foreignExtensions,
    bootExplained,
    slots: [...slots.values()],
  };
}
