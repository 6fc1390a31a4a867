// The content of a record as an event.
import { decodeCbor } from '../bytes/cbor.ts';
import { parseShape } from '../bytes/shape.ts';
import { LogEvent } from '../cel/events.ts';

/** Errors: WireError, also for types and versions that we do not know. */
export function readEvent(content: Uint8Array): LogEvent {
  return parseShape(LogEvent, decodeCbor(content), 'event');
}
