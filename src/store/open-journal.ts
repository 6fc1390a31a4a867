// The Journal port over the journal's thread: calls go out in order, answers come back, a dead thread fails them all.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StoreError } from '../errors.ts';
import type { Report } from '../evidence/claims.ts';
import type { Journal } from './journal.ts';
import type { JournalReply, JournalRequest, JournalThreadOptions, SentError } from './journal-messages.ts';
import type { JournalMethod } from './journal-sync.ts';
import { RecentRecords } from './recent-records.ts';

export type OpenJournalOptions =
  | { readonly path: string; readonly onCorrupt?: 'fail'; readonly thread?: URL }
  | {
      readonly path: string;
      /** A damaged journal is kept aside, a new one begun, and a report says so. */
      readonly onCorrupt: 'start-over';
      /** This agent start's session and the time, for that report. */
      readonly session: Uint8Array;
      readonly now: number;
      readonly thread?: URL;
    };

export interface OpenedJournal extends Journal {
  /** Path under which a damaged journal was kept; null when there was none. */
  readonly startedOver: string | null;
}

/** The database needs little; a device has 256 MB for everything. */
const LIMITS = { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 2, stackSizeMb: 2 } as const;
/** What changes the reports; between two of these they are what they were. */
const CHANGES_REPORTS: ReadonlySet<string> = new Set<JournalMethod>(['addReport', 'acknowledge', 'setSlot']);
/** Records fetched by one message. */
const RECORDS_AT_ONCE = 1024;

function receivedError({ code, message }: SentError): Error {
  return code === null ? new RangeError(message) : new StoreError(code, message);
}

/** Bytes cross threads as plain Uint8Array; the port promises Buffer. */
function withBuffers(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(withBuffers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withBuffers(part)]));
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** Calls the journal's thread. */
class ThreadedJournal implements OpenedJournal {
  readonly startedOver: string | null;
  readonly #path: string;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #ended: Error | null = null;
  #lastId = 0;
  /** As they were read last: each evidence asks for them, and they seldom change. */
  #reports: Promise<Report[]> | null = null;
  readonly #recent = new RecentRecords();

  constructor(path: string, worker: Worker, startedOver: string | null) {
    this.#path = path;
    this.#worker = worker;
    this.startedOver = startedOver;
    worker.on('message', (reply: JournalReply) => {
      this.#answered(reply);
    });
    worker.on('error', (cause: Error) => {
      this.#end(new StoreError('STORE_FAILED', `${path}: the journal's thread failed: ${cause.message}`, { cause }));
    });
    worker.on('exit', () => {
      this.#end(new StoreError('STORE_FAILED', `${path}: the journal is closed`));
    });
    // The journal alone must not keep a process alive that has nothing else to do.
    worker.unref();
  }

  #answered(reply: JournalReply): void {
    if (!('id' in reply)) return;
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ('error' in reply) waiting?.reject(receivedError(reply.error));
    else waiting?.resolve(withBuffers(reply.value) as never);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#reports = null;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }

  #call<T>(method: JournalMethod | 'close', ...args: readonly unknown[]): Promise<T> {
    if (CHANGES_REPORTS.has(method)) this.#reports = null;
    return new Promise<T>((resolve, reject) => {
      if (this.#ended !== null) {
        reject(this.#ended);
        return;
      }
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#worker.postMessage({ id, method, args } satisfies JournalRequest);
    });
  }

  head: Journal['head'] = () => this.#call('head');
  newLog: Journal['newLog'] = (start) => {
    this.#recent.forget();
    return this.#call('newLog', start);
  };
  moveEpoch: Journal['moveEpoch'] = (epoch, clock) => this.#call('moveEpoch', epoch, clock);
  openIntent: Journal['openIntent'] = async (record, digest, from = 'new') => {
    const seq = await this.#call<number>('openIntent', record, digest, from);
    this.#recent.opened(record);
    return seq;
  };
  closeIntent: Journal['closeIntent'] = async (seq, pcr) => {
    await this.#call('closeIntent', seq, pcr);
    this.#recent.closed(seq);
  };
  dropIntent: Journal['dropIntent'] = (seq) => {
    this.#recent.dropped();
    return this.#call('dropIntent', seq);
  };
  setAside: Journal['setAside'] = (seq) => {
    this.#recent.dropped();
    return this.#call('setAside', seq);
  };
  slots: Journal['slots'] = () => this.#call('slots');
  setSlot: Journal['setSlot'] = (row, report) => this.#call('setSlot', row, report);
  addReport: Journal['addReport'] = (report) => this.#call('addReport', report);
  acknowledge: Journal['acknowledge'] = (names) => this.#call('acknowledge', names);
  setStarted: Journal['setStarted'] = (command) => this.#call('setStarted', command);
  started: Journal['started'] = () => this.#call('started');
  remember: Journal['remember'] = (sent) => this.#call('remember', sent);
  recall: Journal['recall'] = (digest) => this.#call('recall', digest);
  setLease: Journal['setLease'] = (lease) => this.#call('setLease', lease);
  lease: Journal['lease'] = () => this.#call('lease');
  get: Journal['get'] = (key) => this.#call('get', key);
  put: Journal['put'] = (key, value) => this.#call('put', key, value);

  async reports(): Promise<Report[]> {
    this.#reports ??= this.#call<Report[]>('reports');
    try {
      return [...(await this.#reports)];
    } catch (error) {
      this.#reports = null;
      throw error;
    }
  }

  async records(from: number, to: number): Promise<Buffer[]> {
    const recent = this.#recent.get(from, to);
    if (recent !== null && this.#ended === null) return recent;
    const records: Buffer[] = [];
    for (let at = from; at <= to; at += RECORDS_AT_ONCE) {
      records.push(...(await this.#call<Buffer[]>('records', at, Math.min(to, at + RECORDS_AT_ONCE - 1))));
    }
    return records;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended !== null) return;
    const ended = new Promise<void>((resolve) => {
      this.#worker.once('exit', () => {
        resolve();
      });
    });
    await this.#call('close');
    // A process with nothing else to do would end here, before its caller goes on.
    this.#worker.ref();
    await ended;
    this.#end(new StoreError('STORE_FAILED', `${this.#path}: the journal is closed`));
  }
}

/**
 * Opens the journal at `path` (made 0600 where there is none) in a thread of its own.
 * Errors: StoreError STORE_CORRUPT (onCorrupt fail), STORE_NEWER, STORE_FAILED.
 */
export async function openJournal(options: OpenJournalOptions): Promise<OpenedJournal> {
  const { path, thread = new URL(`./journal-worker${extname(import.meta.url)}`, import.meta.url) } = options;
  const startOver = options.onCorrupt === 'start-over' ? { session: options.session, now: options.now } : null;
  const workerData: JournalThreadOptions = { path, startOver };
  const worker = new Worker(thread, { name: 'touchstone-journal', workerData, resourceLimits: LIMITS });
  const reply = await new Promise<JournalReply>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', (cause: Error) => {
      reject(new StoreError('STORE_FAILED', `${path}: the journal's thread failed: ${cause.message}`, { cause }));
    });
    worker.once('exit', () => {
      reject(new StoreError('STORE_FAILED', `${path}: the journal's thread ended`));
    });
  });
  if ('notOpened' in reply) throw receivedError(reply.notOpened);
  if (!('opened' in reply)) throw new TypeError('the journal answered before it was open');
  return new ThreadedJournal(path, worker, reply.opened.startedOver);
}
