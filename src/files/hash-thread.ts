// One worker thread of the hash pool: started when there is work, ended when there is none for a while.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FromHashWorker, HashAnswer, WorkerTask } from './hash-answer.ts';

export interface HashThreadEvents {
  readonly idleMs: number;
  readonly onProgress: (id: number, bytes: number) => void;
  readonly onAnswers: (answers: HashAnswer[]) => void;
  /** The thread is gone; `error` is null where it was asked to go. */
  readonly onEnd: (error: Error | null) => void;
}

/** Hashing needs two blocks and no objects to speak of. */
const LIMITS = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 2 } as const;

export class HashThread {
  readonly #worker: Worker;
  readonly #events: HashThreadEvents;
  readonly #cancelled = new Int32Array(new SharedArrayBuffer(4));
  #batches = 0;
  #idle: NodeJS.Timeout | undefined;
  #ending = false;
  #error: Error | null = null;

  constructor(events: HashThreadEvents) {
    this.#events = events;
    const file = new URL(`./hash-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, {
      name: 'touchstone-hash',
      resourceLimits: LIMITS,
      workerData: { cancelled: this.#cancelled },
    });
    this.#worker.on('message', (message: FromHashWorker) => {
      this.#received(message);
    });
    this.#worker.on('error', (error: Error) => {
      this.#error = error;
    });
    this.#worker.on('exit', () => {
      clearTimeout(this.#idle);
      this.#events.onEnd(this.#error);
    });
  }

  get busy(): boolean {
    return this.#batches > 0 || this.#ending;
  }

  hash(batch: readonly WorkerTask[]): void {
    clearTimeout(this.#idle);
    this.#batches++;
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(batch);
  }

  /** Ends the hashing of one file at its next block; of several cancelled at once the last is sure to end early. */
  cancel(id: number): void {
    Atomics.store(this.#cancelled, 0, id);
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#worker.terminate();
  }

  #received(message: FromHashWorker): void {
    if ('bytes' in message) {
      this.#events.onProgress(message.id, message.bytes);
      return;
    }
    this.#batches--;
    this.#events.onAnswers(message.answers);
    if (this.#batches > 0) return;
    // An idle thread neither keeps the process alive nor stays for long.
    this.#worker.unref();
    this.#idle = setTimeout(() => void this.end(), this.#events.idleMs);
    this.#idle.unref();
  }
}
