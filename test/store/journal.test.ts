// The journal on disk and the one in memory keep one contract.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { openJournal } from '../../src/store/open-journal.ts';
import type { Journal } from '../../src/store/journal.ts';
import { journalContract } from '../contract/journal.ts';
import { MemoryJournal } from '../fakes/memory-journal.ts';

const root = mkdtempSync(join(tmpdir(), 'journal-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const paths = new WeakMap<Journal, string>();
let count = 0;

async function openAt(path: string): Promise<Journal> {
  const journal = await openJournal({ path });
  paths.set(journal, path);
  return journal;
}

journalContract('the SQLite journal', {
  open: async () => openAt(join(root, `${++count}.sqlite`)),
  again: async (journal) => {
    await journal[Symbol.asyncDispose]();
    return openAt(paths.get(journal) ?? '');
  },
});

journalContract('the memory journal', {
  open: async () => new MemoryJournal(),
  again: async (journal) => journal,
});
