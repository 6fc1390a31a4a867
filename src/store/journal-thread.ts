// The thread in which the journal's database blocks: an fsync on a slow card must not stop the event loop.
import { parentPort, workerData } from 'node:worker_threads';
import { basename } from 'node:path';
import { StoreError, TouchstoneError } from '../errors.ts';
import type { JournalReply, JournalRequest, JournalThreadOptions, SentError } from './journal-messages.ts';
import { setAsideDatabase } from './set-aside.ts';
import { SqliteJournal } from './sqlite-journal.ts';

function sentError(error: unknown): SentError {
  if (error instanceof TouchstoneError) return { code: error.code, message: error.message };
  return { code: null, message: error instanceof Error ? error.message : String(error) };
}

function open({ path, startOver }: JournalThreadOptions): { journal: SqliteJournal; startedOver: string | null } {
  try {
    return { journal: new SqliteJournal(path), startedOver: null };
  } catch (error) {
    if (startOver === null || !(error instanceof StoreError) || error.code !== 'STORE_CORRUPT') throw error;
    const aside = setAsideDatabase(path);
    const journal = new SqliteJournal(path);
    const { session, now } = startOver;
    const detail = `the journal was damaged (${error.message}); it is kept as ${basename(aside)} and a new one was started`;
    const report = { kind: 'journal', rule: 'journal-started-over', slot: null, subject: basename(aside) } as const;
    journal.addReport({ ...report, session, detail: detail.replaceAll(/\p{Cc}/gu, ' ').slice(0, 2048), at: now });
    return { journal, startedOver: aside };
  }
}

/** Serves `journal` to the owner of this thread until it says close. Tests give one that is slow or fails. */
export function serveJournal(wrap: (journal: SqliteJournal) => SqliteJournal = (journal) => journal): void {
  const port = parentPort;
  if (port === null) throw new TypeError('the journal is served from a worker thread');
  const reply = (message: JournalReply): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(message);
  };
  let journal: SqliteJournal;
  try {
    const opened = open(workerData as JournalThreadOptions);
    journal = wrap(opened.journal);
    reply({ opened: { startedOver: opened.startedOver } });
  } catch (error) {
    reply({ notOpened: sentError(error) });
    port.close();
    return;
  }
  port.on('message', ({ id, method, args }: JournalRequest) => {
    try {
      const call = journal[method] as (...given: unknown[]) => unknown;
      reply({ id, value: call.apply(journal, [...args]) });
    } catch (error) {
      reply({ id, error: sentError(error) });
    }
    if (method === 'close') port.close();
  });
}
