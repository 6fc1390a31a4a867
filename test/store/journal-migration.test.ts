// A journal of before there were trials is read as what it meant: what was switched is committed, what waited is staged.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { JOURNAL_APPLICATION_ID, JOURNAL_MIGRATIONS } from '../../src/store/journal-schema.ts';
import { sealRow } from '../../src/store/row-seal.ts';
import type { Cell } from '../../src/store/row-seal.ts';
import { SqliteJournal } from '../../src/store/sqlite-journal.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

const root = mkdtempSync(join(tmpdir(), 'journal-migration-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

test('the first schema goes on as the newest, with nothing lost but what was asked of evidence', () => {
  const path = join(root, 'journal.sqlite');
  const old = openSqlite({ path, applicationId: JOURNAL_APPLICATION_ID, migrations: JOURNAL_MIGRATIONS.slice(0, 1) });
  const put = old.prepare('INSERT INTO slot VALUES (?, ?, ?, ?, ?, ?, ?)');
  for (const cells of [
    ['empty', null, null, 0, null, 0],
    ['held', 'two', 'one', 4, null, 2],
    ['waits', 'two', 'one', 5, 'three', 2],
  ] as const satisfies readonly (readonly Cell[])[]) {
    put.run(...cells, sealRow('slot', cells));
  }
  old.close();
  const journal = new SqliteJournal(path);
  expect(journal.slots().map(({ slot, state, active, staged, tries }) => [slot, state, active, staged, tries])).toEqual(
    [
      ['empty', 'NONE', null, null, 0],
      ['held', 'COMMITTED', 'two', null, 0],
      ['waits', 'STAGED', 'two', 'three', 0],
    ],
  );
  journal.close();
});
