// Entry of the journal's thread.
import { serveJournal } from './journal-thread.ts';

serveJournal();
