// Every reader that is fuzzed, by name; the fuzzer loads this file, made into one script.
import { DEVICE_TARGETS } from './device-targets.ts';
import { MESSAGE_TARGETS } from './message-targets.ts';
import type { Feed } from './target.ts';

export const TARGETS: Readonly<Record<string, Feed>> = { ...MESSAGE_TARGETS, ...DEVICE_TARGETS };
