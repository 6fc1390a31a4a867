// The event PCR's value computed again from the log, as the TPM computed it.
import type { LogEvent } from '../cel/events.ts';
import { sha256Binary, SHA256_BYTES } from '../crypto/digest.ts';
import type { LogRecord } from './log-reader.ts';

/** SHA-256 of each record's content, as latin1. */
export function contentDigests(records: readonly LogRecord[]): string[] {
  return records.map(({ content }) => sha256Binary(content));
}

/**
 * value := SHA-256(value ‖ digest) for each record, from `start` (32 bytes). A foreign-extension event first sets the value to what
 * the PCR held: what came before it is no longer explained, and the check of that name says so. latin1.
 */
export function replay(start: Uint8Array, records: readonly LogRecord[], events: readonly LogEvent[]): string {
  const pair = Buffer.allocUnsafe(2 * SHA256_BYTES);
  let value = Buffer.from(start.buffer, start.byteOffset, start.byteLength).toString('latin1');
  let next = 0;
  for (const { digest } of records) {
    const event = events[next++];
    if (event?.type === 'foreign-extension') pair.set(event.found, 0);
    else pair.write(value, 0, 'latin1');
    pair.write(digest, SHA256_BYTES, 'latin1');
    value = sha256Binary(pair);
  }
  return value;
}
