// What the journal's thread and its owner say to each other.
import type { ErrorCode } from '../errors.ts';
import type { JournalMethod } from './journal-sync.ts';

/** How to open; given to the thread when it starts. */
export interface JournalThreadOptions {
  readonly path: string;
  /** Null: a damaged journal is an error. Otherwise: start over, and report it under this session. */
  readonly startOver: { readonly session: Uint8Array; readonly now: number } | null;
}

export interface JournalRequest {
  readonly id: number;
  readonly method: JournalMethod | 'close';
  readonly args: readonly unknown[];
}

/** An error that keeps its class across threads; `code` null for a bug (RangeError). */
export interface SentError {
  readonly code: ErrorCode | null;
  readonly message: string;
}

export type JournalReply =
  | { readonly opened: { readonly startedOver: string | null } }
  | { readonly notOpened: SentError }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: SentError };
