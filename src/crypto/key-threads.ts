// Checks and makes signatures on threads of their own, many in one message: a job each for libuv's pool costs the calling thread
// half as much as the signature itself.
import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { curveOf } from './ecdsa.ts';
import { packTasks, unpackAnswers } from './key-batch.ts';
import type { KeyBatch, KeyTask } from './key-batch.ts';

/** Tasks in one message: enough that the message costs nothing, few enough that the first one does not wait for long. */
const BATCH = 32;
/** Tasks that are given to threads without waiting for what else arrives. */
const MAX_COLLECTED = 8 * BATCH;
const MAX_THREADS = 8;
/** Keys that a thread remembers; it is told them again after so many. */
const MAX_KEYS = 50_000;

/** Asks keys, for who asks them very often. */
export interface KeyWork {
  /**
   * True when `key` made `signature` over `data`; false for anything else, malformed or not. `digest` is Node's name. The bytes must
   * stay as they are until it is answered.
   */
  readonly verify: (key: KeyObject, digest: string, data: Uint8Array, signature: Uint8Array) => Promise<boolean>;
  /** DER ECDSA signature over `data` with the hash of the curve of `key`. */
  readonly sign: (key: KeyObject, data: Uint8Array) => Promise<Buffer>;
}

interface Task extends Omit<KeyTask, 'key'> {
  readonly key: KeyObject;
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: Error) => void;
}

class KeyThread {
  readonly #worker: Worker;
  readonly #maxKeys: number;
  /** Who waits for the answers of each batch, oldest first. */
  readonly #waiting: (readonly Task[])[] = [];
  #numbers = new WeakMap<KeyObject, number>();
  #numbered = 0;
  #ended: Error | null = null;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
    const file = new URL(`./key-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, { name: 'touchstone-keys' });
    // An idle thread keeps no process alive.
    this.#worker.unref();
    this.#worker.on('message', (answers: ArrayBuffer) => {
      this.#answered(unpackAnswers(answers));
    });
    this.#worker.on('error', (error: Error) => {
      this.#ended = error;
    });
    this.#worker.on('exit', () => {
      this.#ended ??= new Error('the thread that asks keys has ended');
      for (const { reject } of this.#waiting.splice(0).flat()) reject(this.#ended);
    });
  }

  /** Batches that it has not answered yet. */
  get load(): number {
    return this.#waiting.length;
  }

  give(tasks: readonly Task[]): void {
    if (this.#ended !== null) {
      for (const { reject } of tasks) reject(this.#ended);
      return;
    }
    const keys: [number, KeyObject][] = [];
    // Never within a batch: its tasks name keys by numbers that stand for one key each.
    if (this.#numbered >= this.#maxKeys) this.#forget();
    try {
      const numbered = tasks.map((task): KeyTask => ({ ...task, key: this.#numberOf(task.key, keys) }));
      const batch: KeyBatch = { keys, tasks: packTasks(numbered) };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#worker.postMessage(batch, [batch.tasks]);
    } catch (error) {
      // What it was not told has no number.
      this.#forget();
      throw error;
    }
    if (this.#waiting.length === 0) this.#worker.ref();
    this.#waiting.push(tasks);
  }

  #forget(): void {
    this.#numbers = new WeakMap();
    this.#numbered = 0;
  }

  #numberOf(key: KeyObject, added: [number, KeyObject][]): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#numbered++;
    this.#numbers.set(key, number);
    added.push([number, key]);
    return number;
  }

  #answered(answers: readonly Buffer[]): void {
    const tasks = this.#waiting.shift() ?? [];
    if (this.#waiting.length === 0) this.#worker.unref();
    for (const [i, { resolve, reject }] of tasks.entries()) {
      const answer = answers[i];
      if (answer === undefined) reject(new TypeError('fewer answers than tasks'));
      else resolve(answer);
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

export class KeyThreads implements KeyWork, AsyncDisposable {
  readonly #threads: KeyThread[] = [];
  readonly #most: number;
  readonly #maxKeys: number;
  #tasks: Task[] = [];

  /** At most `threads`, each started when there is work for it; by default one core is left to who asks. */
  constructor(options: { readonly threads?: number; readonly maxKeys?: number } = {}) {
    const { threads = Math.max(1, availableParallelism() - 1), maxKeys = MAX_KEYS } = options;
    this.#most = Math.min(MAX_THREADS, threads);
    this.#maxKeys = maxKeys;
  }

  readonly verify: KeyWork['verify'] = async (key, digest, data, signature) => {
    const [answer] = await this.#ask({ key, digest, data, signature });
    return answer === 1;
  };

  readonly sign: KeyWork['sign'] = async (key, data) => {
    const signature = await this.#ask({ key, digest: curveOf(key).hash, data, signature: null });
    if (signature.length === 0) throw new TypeError('a key that does not sign');
    return signature;
  };

  async #ask(question: Omit<Task, 'resolve' | 'reject'>): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#tasks.push({ ...question, resolve, reject });
      if (this.#tasks.length >= MAX_COLLECTED) this.#give();
      else if (this.#tasks.length === 1) {
        // What else has arrived comes along.
        setImmediate(() => {
          this.#give();
        });
      }
    });
  }

  #give(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (let at = 0; at < tasks.length; at += BATCH) {
      const batch = tasks.slice(at, at + BATCH);
      try {
        this.#leastBusy().give(batch);
      } catch (cause) {
        const error = new TypeError('what cannot be asked of a key on another thread', { cause });
        for (const { reject } of batch) reject(error);
      }
    }
  }

  #leastBusy(): KeyThread {
    const [least] = this.#threads.toSorted((a, b) => a.load - b.load);
    if (least !== undefined && (least.load === 0 || this.#threads.length === this.#most)) return least;
    const started = new KeyThread(this.#maxKeys);
    this.#threads.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(async (thread) => thread.end()));
  }
}
