// What a reader makes of bytes: a value, or a refusal. Anything else thrown is a fault of the reader, and goes on.
import { WireError } from '../../src/errors.ts';

export interface WireOutcome<T> {
  readonly value?: T;
  readonly refused?: true;
}

export function outcomeOf<T>(read: () => T): WireOutcome<T> {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof WireError) return { refused: true };
    throw error;
  }
}

/** `bytes` with one byte changed, left out or put in. */
export function mutated(
  bytes: Uint8Array,
  how: { readonly at: number; readonly byte: number; readonly kind: number },
): Buffer {
  const at = how.at % (bytes.length + 1);
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(at + (how.kind === 1 ? 0 : 1));
  return Buffer.concat([before, how.kind === 2 ? Buffer.alloc(0) : Buffer.from([how.byte]), after]);
}
