// What is fuzzed: one reader of foreign bytes, and what it may do with them.
import { TouchstoneError } from '../../src/errors.ts';

/** Takes any bytes: true when they were read, false when they were refused. Throws when the reader did anything else: that is a finding. */
export type Feed = (bytes: Buffer) => boolean | Promise<boolean>;

/** A refusal with a code is what bad bytes deserve. Anything else thrown is a fault of the reader. */
export function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof TouchstoneError) return undefined;
    throw error;
  }
}

/** A finding: the reader took bytes and made of them what they do not say. */
export function assertSame(found: unknown, expected: unknown, what: string): void {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one)) ?? 'undefined';
  if (text(found) !== text(expected)) throw new RangeError(`${what}: ${text(found)} and not ${text(expected)}`);
}

/** Whether any of these readers takes the bytes. */
export function anyReads(bytes: Buffer, ...readers: readonly ((bytes: Buffer) => unknown)[]): boolean {
  return readers.map((read) => readOrRefused(() => read(bytes))).some((value) => value !== undefined);
}
