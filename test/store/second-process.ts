// A second process that opens a journal which is open already: says what it is told.
import { TouchstoneError } from '../../src/errors.ts';
import { openJournal } from '../../src/store/open-journal.ts';

const [path = ''] = process.argv.slice(2);
try {
  await openJournal({ path });
  process.stdout.write('opened');
} catch (error) {
  process.stdout.write(error instanceof TouchstoneError ? `${error.code}: ${error.message}` : String(error));
}
