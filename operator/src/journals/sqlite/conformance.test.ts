import { journalConformance, workerJournalConformance } from '../conformance.ts';
import { InProcess } from './in-process.ts';
import { openFile } from './schema.ts';
import { sqliteHarness } from './testing/harness.ts';
import { Threaded } from './threaded.ts';

// What carries groups out is no matter of either suite; each has one, so that both are seen to keep the promises.
journalConformance(sqliteHarness('sqlite (in its thread)', (path) => new Threaded(path)));
workerJournalConformance(sqliteHarness('sqlite (in process)', (path) => new InProcess(() => openFile(path))));
