// What the fuzzer loads and calls: the reader that the environment names.
import { TARGETS } from './targets.ts';
import type { Feed } from './target.ts';

export const TARGET_VARIABLE = 'TOUCHSTONE_FUZZ_TARGET';

const feed: Feed | undefined = TARGETS[process.env[TARGET_VARIABLE] ?? ''];

/** The fuzzer wants nothing back. */
export function fuzz(bytes: Buffer): void | Promise<void> {
  if (feed === undefined) throw new RangeError(`${TARGET_VARIABLE} names no target`);
  const read = feed(bytes);
  return typeof read === 'boolean' ? undefined : read.then(() => undefined);
}
