// The journal's thread on a disk whose every write blocks for as long as the path says: `…/slow-MILLISECONDS.sqlite`.
import { workerData } from 'node:worker_threads';
import { serveJournal } from '../../src/store/journal-thread.ts';

const { path } = workerData as { readonly path: string };
const ms = Number(/slow-(\d+)\.sqlite$/.exec(path)?.[1] ?? 0);
const cell = new Int32Array(new SharedArrayBuffer(4));

serveJournal(
  (journal) =>
    new Proxy(journal, {
      get: (target, name) => {
        if (name === 'put') Atomics.wait(cell, 0, 0, ms);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    }),
);
