// What the hash pool and its threads say to each other.
import { FileFault } from './fault.ts';
import type { FaultKind } from './fault.ts';
import { UnwrittenError } from './copy-target.ts';
import { HashCancelled } from './hash-file.ts';
import type { HashTask } from './hash-file.ts';

export interface WorkerTask extends HashTask {
  readonly id: number;
  /** A processor is free to read ahead. */
  readonly ahead: boolean;
}

/** Digests arrive as plain Uint8Array: that is what a message makes of a Buffer. */
export type HashAnswer =
  | { readonly id: number; readonly size: number; readonly digests: Uint8Array[]; readonly parts: Uint8Array[] }
  | { readonly id: number; readonly fault: FaultKind }
  /** What the system said, and its code: `ENOSPC`. */
  | { readonly id: number; readonly unwritten: string; readonly code: string }
  | { readonly id: number; readonly cancelled: true }
  | { readonly id: number; readonly bug: unknown };

export type FromHashWorker = { readonly answers: HashAnswer[] } | { readonly id: number; readonly bytes: number };

/** The answer where there is no digest. */
export function failedAnswer(id: number, error: unknown): HashAnswer {
  if (error instanceof FileFault) return { id, fault: error.kind };
  if (error instanceof UnwrittenError) return { id, unwritten: error.message, code: error.code };
  return error instanceof HashCancelled ? { id, cancelled: true } : { id, bug: error };
}
