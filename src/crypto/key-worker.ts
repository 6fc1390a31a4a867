// The thread that checks and makes signatures, batch by batch.
import type { KeyObject } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { doTasks } from './key-batch.ts';
import type { KeyBatch } from './key-batch.ts';

const port = parentPort;
if (port === null) throw new TypeError('key-worker.ts runs only as a worker thread');

const known = new Map<number, KeyObject>();

port.on('message', ({ keys, tasks }: KeyBatch) => {
  for (const [number, key] of keys) known.set(number, key);
  const answers = doTasks(tasks, known);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  port.postMessage(answers, [answers]);
});
