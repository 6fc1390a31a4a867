// The thread that hashes: takes batches of tasks, answers with outcomes, tells of progress, stops when told to.
import { parentPort, workerData } from 'node:worker_threads';
import { failedAnswer } from './hash-answer.ts';
import type { FromHashWorker, HashAnswer, WorkerTask } from './hash-answer.ts';
import { aheadIo, blockingIo } from './file-io.ts';
import { Blocks, hashOne } from './hash-file.ts';

/** Progress is told in steps of this many bytes: often enough for a bar, seldom enough to cost nothing. */
const PROGRESS_BYTES = 8 * 1024 * 1024;

const port = parentPort;
if (port === null) throw new TypeError('hash-worker.ts runs only as a worker thread');

// Shared with the pool, because a thread that reads with blocking calls hears no messages.
const given = workerData as { readonly cancelled: Int32Array };
const blocks = new Blocks();

async function answer(task: WorkerTask, tell: (message: FromHashWorker) => void): Promise<HashAnswer> {
  const { id } = task;
  let untold = 0;
  const onBytes = (bytes: number): void => {
    untold += bytes;
    if (untold < PROGRESS_BYTES) return;
    tell({ id, bytes: untold });
    untold = 0;
  };
  try {
    const outcome = await hashOne(task, task.ahead ? aheadIo : blockingIo, blocks, {
      onBytes,
      isCancelled: () => Atomics.load(given.cancelled, 0) === id,
    });
    return { id, ...outcome };
  } catch (error) {
    return failedAnswer(id, error);
  }
}

async function run(batch: readonly WorkerTask[]): Promise<void> {
  const answers: HashAnswer[] = [];
  for (const task of batch) {
    answers.push(
      await answer(task, (message) => {
        port?.postMessage(message);
      }),
    );
  }
  port?.postMessage({ answers } satisfies FromHashWorker);
}

port.on('message', (batch: readonly WorkerTask[]) => {
  void run(batch);
});
