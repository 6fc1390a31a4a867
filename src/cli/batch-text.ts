// Batches as tables, for auditors: one line for each endorsement key, with who let it in.
import { timeText } from '../bytes/text.ts';
import { writeCsv } from '../bytes/csv.ts';
import type { AllowedEk } from '../controller/allow-list.ts';
import type { SignedBatch } from '../release/batch.ts';

const COLUMNS = ['ek_name', 'serial', 'let_in_by', 'signed_by', 'certificate', 'profiles', 'until', 'withdrawn'];

export interface TabledBatch extends SignedBatch {
  readonly withdrawn: boolean;
}

/** Keys of batches, and those that operators let in by hand. */
export function batchTable(batches: readonly TabledBatch[], entries: readonly AllowedEk[] = []): string {
  const byHand = entries.map(({ ekName, note, pinned }) => [
    ekName,
    '',
    `operator: ${note}${pinned ? ' (pinned)' : ''}`,
    '',
    '',
    '',
    '',
    '',
  ]);
  const byBatch = batches.flatMap(({ batch, signers, withdrawn }) =>
    batch.entries.map(({ ekName, serial = '', certificate }) => [
      ekName,
      serial,
      `batch ${batch.id}`,
      signers.join(' '),
      certificate ?? '',
      batch.profiles.join(' '),
      timeText(batch.expires),
      withdrawn ? 'yes' : 'no',
    ]),
  );
  return writeCsv(COLUMNS, [...byHand, ...byBatch]);
}
