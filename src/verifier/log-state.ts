// What a log says in the end: each event folded into the state that the records before it left.
import type { BootEvent, LogEvent, SlotEvent } from '../cel/events.ts';
import type { Epoch } from '../tpm/port.ts';
import { EngineFold, isEngineWrong } from './engines.ts';
import { sameBytes } from './same-bytes.ts';
import { isWrong } from './slot-judgement.ts';
import type { ReleaseLookup } from './slot-judgement.ts';
import type { LogState, ReferenceValues, SlotLogState } from './types.ts';

/** What a log is folded against: who should have written it, and what should be in it. */
export interface LogReader {
  readonly deviceId: string;
  readonly session: Uint8Array;
  readonly epoch: Epoch;
  readonly reference: ReferenceValues;
  readonly releases: ReleaseLookup;
  /** The row's log, of whatever epoch. */
  readonly before: LogState | null;
}

/** Slots that are in no profile, and are remembered: one is enough for the verdict, and a log can name any number of them. */
const MAX_UNKNOWN_SLOTS = 32;
/** Bytes of the paths that are remembered of one slot; what is beyond is counted. */
const MAX_PATH_BYTES = 16 * 1024;

/**
 * The session that an agent start may not have: that of an agent which spoke before the TPM's last reset. A session is drawn at
 * each start and never stored, so a log that has it again was copied, or the TPM was reset under an agent that lived on.
 */
function spentSession({ before, epoch }: LogReader): Uint8Array | null {
  return before === null || before.epoch.resetCount === epoch.resetCount ? null : before.session;
}

function slotState(event: SlotEvent, before: SlotLogState | undefined, reader: LogReader): SlotLogState {
  const { slot, release, statement, manifest, configs, differing, more } = event;
  const { slots, hardwareClass } = reader.reference.profile;
  const expected = slots.find(({ name }) => name === slot);
  const wasWrong = before?.wasWrong === true || isWrong(event, expected, reader.releases.of(event), hardwareClass);
  const kept = firstOf(differing, more);
  return { more: kept.more, slot, configs, release, manifest, wasWrong, differing: kept.differing, statement };
}

/** As many differing files as have room; the others are counted. */
function firstOf(differing: SlotEvent['differing'], more: number): Pick<SlotLogState, 'differing' | 'more'> {
  let bytes = 0;
  let kept = 0;
  for (const { path } of differing) {
    bytes += Buffer.byteLength(path);
    if (bytes > MAX_PATH_BYTES) break;
    kept += 1;
  }
  // The count is the device's word, too.
  const counted = Math.min(more + differing.length - kept, Number.MAX_SAFE_INTEGER);
  return { differing: differing.slice(0, kept), more: counted };
}

/**
 * What a registry keeps of a device must stay readable whatever its log says: what is of slots of its profile, and the first of others.
 * A controller that could not read the row of one device again would serve none.
 */
function remembered<T extends { readonly slot: string }>(all: Iterable<T>, { reference }: LogReader): T[] {
  const names = new Set(reference.profile.slots.map(({ name }) => name));
  let unknown = 0;
  return [...all].filter(({ slot }) => names.has(slot) || ++unknown <= MAX_UNKNOWN_SLOTS);
}

/**
 * A log begins with the boot of this device and the start of its agent. Before them may come one event whose extension was under
 * way when the TPM was reset, and ran after it: the agent was alive then, and explains it as soon as it can.
 */
function explainsBoot(events: readonly LogEvent[], deviceId: string): boolean {
  const [first] = events;
  const crossed = first?.type === 'slot' || first?.type === 'agent-start';
  const [boot, start] = crossed ? events.slice(1) : events;
  if (boot?.type !== 'boot' || boot.deviceId !== deviceId) return false;
  return start === undefined || start.type === 'agent-start';
}

/** A log that held its boot alone goes on with the start of the agent. */
function staysExplained({ seq, bootExplained }: LogState, [next]: readonly LogEvent[]): boolean {
  return bootExplained && (seq > 1 || next === undefined || next.type === 'agent-start');
}

/**
 * State after `events`, which follow `base` (null: zero PCRs). `pcr` is the event PCR after them. Pure: `base` is not changed.
 */
export function foldLog(base: LogState | null, events: readonly LogEvent[], pcr: Buffer, reader: LogReader): LogState {
  const slots = new Map<string, SlotLogState>(base?.slots.map((slot) => [slot.slot, slot]));
  let { seq, components, startedSession, foreignExtensions } = base ?? {
    seq: 0,
    components: null as BootEvent['components'] | null,
    startedSession: null as Uint8Array | null,
    foreignExtensions: 0,
  };
  const bootExplained = base === null ? explainsBoot(events, reader.deviceId) : staysExplained(base, events);
  const spent = spentSession(reader);
  const engines = new EngineFold(base, reader.before);
  for (const event of events) {
    seq++;
    if (event.type === 'slot') {
      slots.set(event.slot, slotState(event, slots.get(event.slot), reader));
      engines.slotHolds(event.slot, event.statement);
    } else if (event.type === 'engine') {
      const wrong = isEngineWrong(engines.take(event, slots), reader.reference);
      const held = slots.get(event.slot);
      if (wrong && held !== undefined) slots.set(event.slot, { ...held, wasWrong: true });
    } else if (event.type === 'foreign-extension') foreignExtensions++;
    else components = event.components;
    if (event.type === 'agent-start') startedSession = sameBytes(event.session, spent) ? null : event.session;
  }
  const { engines: states, enginesMade } = engines.result();
  // In the order in which it is written.
  return {
    pcr,
    seq,
    epoch: { resetCount: reader.epoch.resetCount, restartCount: reader.epoch.restartCount },
    slots: remembered(slots.values(), reader),
    session: reader.session,
    components,
    bootExplained,
    startedSession,
    ...(states === undefined ? {} : { engines: remembered(states, reader) }),
    ...(enginesMade === undefined ? {} : { enginesMade: remembered(enginesMade, reader) }),
    foreignExtensions,
  };
}
