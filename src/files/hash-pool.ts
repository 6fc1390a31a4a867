// Hashes files in parallel: small ones here, many or large ones on worker threads that end when idle.
import { lstat, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { MeasureError } from '../errors.ts';
import { FileFault, faultKind } from './fault.ts';
import { UnwrittenError } from './copy-target.ts';
import { asyncIo, READ_FLAGS } from './file-io.ts';
import { Blocks, hashOne } from './hash-file.ts';
import type { HashOutcome, HashTask } from './hash-file.ts';
import type { HashName, Parts } from './hashes.ts';
import { HashThread } from './hash-thread.ts';
import { failedAnswer } from './hash-answer.ts';
import type { HashAnswer } from './hash-answer.ts';

/** What taking a read lease on a file told: `busy` means that someone has it open or mapped for writing. */
export type LeaseState = 'leased' | 'busy' | 'unsupported';

export interface HashPoolOptions {
  /** Worker threads at most; as many as there are processors, up to 4. 0: all is hashed on this thread, block by block. */
  readonly threads?: number;
  /** Takes a read lease on an open file, so that no writer can get in between; it ends when the file is closed. */
  readonly lease?: (fd: number) => LeaseState;
  /** How long a thread waits for more work before it ends. */
  readonly idleMs?: number;
}

export interface HashFileOptions {
  /** Size in bytes, when the caller knows it: saves a stat. */
  readonly size?: number;
  /** Called with the number of bytes hashed since the last call. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface DigestOptions extends HashFileOptions {
  /** Also the digests of the parts of the file. */
  readonly parts?: Parts;
}

/** Descriptors of a copy: both stay open. */
export interface CopyEnds {
  readonly from: number;
  /** A new file. */
  readonly to: number;
}

export interface CopyOptions extends DigestOptions {
  /** Bytes that are copied: the file must have no more and no less. */
  readonly size: number;
}

export interface FileDigests extends HashOutcome {
  /** Null where the pool takes no leases. */
  readonly lease: LeaseState | null;
}

export interface FileDigest {
  readonly size: number;
  readonly sha256: Buffer;
  readonly lease: LeaseState | null;
}

interface Job extends HashTask {
  readonly id: number;
  readonly bytes: number;
  readonly options: DigestOptions;
  told: number;
  thread: HashThread | null;
  cancelled: boolean;
  readonly settle: (answer: HashAnswer) => void;
  readonly fail: (error: unknown) => void;
}

/** A file up to this size is hashed on this thread, unless threads are running anyway. */
const SMALL_BYTES = 256 * 1024;
/** More small files than this, or more bytes of them, are worth a thread. */
const SMALL_BACKLOG = 128;
const SMALL_BACKLOG_BYTES = 4 * 1024 * 1024;
/** Small files that one message carries to a thread. */
const BATCH = 64;
const BATCH_BYTES = 2 * 1024 * 1024;
/** Ids fit in the 32-bit cell that a thread watches. */
const MAX_ID = 0x7fffffff;
/** A read lease makes a writer wait; with this many files open at once none waits long. */
const OPEN_AT_ONCE = 64;

/** Bytes cross threads as plain Uint8Array, each with memory of its own, of which a digest fills a tenth: copied into a common one. */
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

/** `await using pool = new HashPool()`. One per process is enough; it costs nothing until it is used. */
export class HashPool implements AsyncDisposable {
  readonly #limit: number;
  readonly #lease: ((fd: number) => LeaseState) | undefined;
  readonly #idleMs: number;
  readonly #threads = new Set<HashThread>();
  readonly #blocks = new Blocks();
  readonly #running = new Map<number, Job>();
  #queue: Job[] = [];
  #inline = false;
  #scheduled = false;
  #closed = false;
  #lastId = 0;
  #open = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: HashPoolOptions = {}) {
    const threads = options.threads ?? Math.min(4, availableParallelism());
    if (!Number.isInteger(threads) || threads < 0) throw new RangeError(`${threads} threads`);
    this.#limit = threads;
    this.#lease = options.lease;
    this.#idleMs = options.idleMs ?? 1000;
  }

  /** Worker threads alive now. */
  get threads(): number {
    return this.#threads.size;
  }

  /** SHA-256 of a whole file. Errors: FileFault; the signal's reason; MeasureError when the pool is closed. */
  async hashFile(path: string, options: HashFileOptions = {}): Promise<FileDigest> {
    const { size, digests, lease } = await this.digestFile(path, ['sha256'], options);
    const [sha256] = digests;
    if (sha256 === undefined) throw new TypeError('no digest came back');
    return { size, sha256, lease };
  }

  /** One pass over a file for all `algorithms` together. Errors as hashFile. */
  async digestFile(path: string, algorithms: readonly HashName[], options: DigestOptions = {}): Promise<FileDigests> {
    options.signal?.throwIfAborted();
    const bytes = await this.#bytesOf(path, options);
    if (this.#lease === undefined)
      return {
        ...(await this.#hash({ path, fd: null, algorithms, size: null, copyTo: null }, bytes, options)),
        lease: null,
      };
    await this.#slot();
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, READ_FLAGS).catch((cause: unknown) => {
        throw new FileFault(faultKind(cause), path, { cause });
      });
      const lease = this.#lease(handle.fd);
      return {
        ...(await this.#hash({ path, fd: handle.fd, algorithms, size: null, copyTo: null }, bytes, options)),
        lease,
      };
    } finally {
      await handle?.close();
      this.#open--;
      this.#waiting.shift()?.();
    }
  }

  /**
   * Copies the open file `path` in the pass that hashes it: the bytes that were written are those of the digests. They are not durable yet.
   * Errors as hashFile; UnwrittenError.
   */
  async copyFile(
    path: string,
    { from, to }: CopyEnds,
    algorithms: readonly HashName[],
    options: CopyOptions,
  ): Promise<HashOutcome> {
    const { size, signal } = options;
    signal?.throwIfAborted();
    return this.#hash({ path, fd: from, algorithms, size, copyTo: to }, size, options);
  }

  async #bytesOf(path: string, options: DigestOptions): Promise<number> {
    if (options.size !== undefined) return options.size;
    try {
      return (await lstat(path)).size;
    } catch (cause) {
      throw new FileFault(faultKind(cause), path, { cause });
    }
  }

  async #slot(): Promise<void> {
    while (this.#open >= OPEN_AT_ONCE) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#open++;
  }

  async #hash(task: Omit<HashTask, 'parts'>, bytes: number, options: DigestOptions): Promise<HashOutcome> {
    const { path } = task;
    if (this.#closed) throw new MeasureError('MEASURE_FAILED', `${path}: the hash pool is closed`);
    let job: Job | undefined;
    const abort = (): void => {
      if (job !== undefined) this.#cancel(job);
    };
    try {
      const answer = await new Promise<HashAnswer>((settle, fail) => {
        const id = (this.#lastId % MAX_ID) + 1;
        this.#lastId = id;
        const parts = options.parts ?? null;
        job = { id, ...task, parts, bytes, options, told: 0, thread: null, cancelled: false, settle, fail };
        this.#queue.push(job);
        options.signal?.addEventListener('abort', abort, { once: true });
        this.#schedule();
      });
      return this.#outcome(answer, path, options);
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
  }

  #outcome(answer: HashAnswer, path: string, options: DigestOptions): HashOutcome {
    if ('unwritten' in answer) throw new UnwrittenError(answer.unwritten, answer.code);
    if ('fault' in answer) throw new FileFault(answer.fault, path);
    if ('bug' in answer) throw answer.bug;
    if ('cancelled' in answer) {
      options.signal?.throwIfAborted();
      throw new MeasureError('MEASURE_FAILED', `${path}: hashing was given up`);
    }
    const { size, digests, parts } = answer;
    return { size, digests: digests.map(asBuffer), parts: parts.map(asBuffer) };
  }

  #cancel(job: Job): void {
    job.cancelled = true;
    job.thread?.cancel(job.id);
    if (this.#running.has(job.id)) return;
    this.#queue = this.#queue.filter((queued) => queued !== job);
    job.settle({ id: job.id, cancelled: true });
  }

  /** Work is handed out after the caller's turn, so that a burst of files is seen as a whole. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    while (this.#queue.length > 0) {
      const idle = [...this.#threads].find((thread) => !thread.busy);
      if (idle !== undefined) this.#give(idle);
      else if (this.#threads.size < this.#limit && this.#worthThread()) this.#give(this.#start());
      else if (!this.#inline && this.#threads.size === 0) void this.#hashHere();
      else return;
    }
  }

  #worthThread(): boolean {
    if (this.#queue.length > SMALL_BACKLOG || this.#queue.some((job) => job.bytes > SMALL_BYTES)) return true;
    return this.#queue.reduce((sum, job) => sum + job.bytes, 0) > SMALL_BACKLOG_BYTES;
  }

  #start(): HashThread {
    const thread = new HashThread({
      idleMs: this.#idleMs,
      onProgress: (id, bytes) => {
        const job = this.#running.get(id);
        if (job !== undefined) this.#progress(job, bytes);
      },
      onAnswers: (answers) => {
        for (const answer of answers) this.#answered(answer);
        this.#handOut();
      },
      onEnd: (error) => {
        this.#threads.delete(thread);
        for (const job of this.#running.values()) if (job.thread === thread) this.#lost(job, error);
        if (!this.#closed) this.#handOut();
      },
    });
    this.#threads.add(thread);
    return thread;
  }

  #give(thread: HashThread): void {
    const batch: Job[] = [];
    let bytes = 0;
    // A fair share: one thread must not take what another could do at the same time.
    const most = Math.min(BATCH, Math.ceil(this.#queue.length / this.#limit));
    while (batch.length < most && bytes <= BATCH_BYTES) {
      const job = this.#queue.shift();
      if (job === undefined) break;
      job.thread = thread;
      this.#running.set(job.id, job);
      batch.push(job);
      bytes += job.bytes;
    }
    const busy = [...this.#threads].filter((other) => other !== thread && other.busy).length;
    const ahead = this.#queue.length === 0 && busy + 1 < this.#limit;
    thread.hash(
      batch.map(({ id, path, fd, algorithms, parts, size, copyTo }) => {
        const task: HashTask = { path, fd, algorithms, parts, size, copyTo };
        return { ...task, id, ahead };
      }),
    );
  }

  async #hashHere(): Promise<void> {
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#inline = true;
    this.#running.set(job.id, job);
    const { id } = job;
    let answer: HashAnswer;
    try {
      const hooks = { isCancelled: () => job.cancelled };
      answer = { id, ...(await hashOne(job, asyncIo, this.#blocks, hooks)) };
    } catch (error) {
      answer = failedAnswer(id, error);
    }
    this.#inline = false;
    this.#answered(answer);
    this.#handOut();
    if (this.#queue.length === 0 && !this.#inline) this.#blocks.free();
  }

  #progress(job: Job, bytes: number): void {
    job.told += bytes;
    job.options.onProgress?.(bytes);
  }

  #answered(answer: HashAnswer): void {
    const job = this.#running.get(answer.id);
    if (job === undefined) return;
    this.#running.delete(answer.id);
    if ('digests' in answer) {
      const rest = job.bytes - job.told;
      if (rest > 0) this.#progress(job, rest);
    }
    job.settle(answer);
  }

  #lost(job: Job, error: Error | null): void {
    this.#running.delete(job.id);
    const cause = error === null ? {} : { cause: error };
    job.fail(new MeasureError('MEASURE_FAILED', `${job.path}: the thread that hashed it ended`, cause));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.settle({ id: job.id, cancelled: true });
    await Promise.all([...this.#threads].map((thread) => thread.end()));
  }
}
