// The Journal port without promises: what a thread that may block implements.
import type { Journal } from './journal.ts';

type Methods = Omit<Journal, typeof Symbol.asyncDispose>;

export type JournalMethod = keyof Methods;

/** Every method of Journal, answering at once. */
export type JournalSync = {
  readonly [K in JournalMethod]: (...args: Parameters<Methods[K]>) => Awaited<ReturnType<Methods[K]>>;
};

/** Evidence remembered, at most; the oldest is forgotten first. */
export const SENT_LIMIT = 64;
/** Sessions whose report numbers are remembered after their reports are gone. */
export const SESSION_LIMIT = 64;
