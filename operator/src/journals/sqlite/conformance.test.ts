import { journalConformance } from '../conformance.ts';
import { InProcess } from './in-process.ts';
import { openFile } from './schema.ts';
import { sqliteHarness } from './testing.ts';
import { Threaded } from './threaded.ts';

for (const harness of [
  sqliteHarness('sqlite (in its thread)', (path) => new Threaded(path)),
  sqliteHarness('sqlite (in process)', (path) => new InProcess(() => openFile(path))),
]) {
  journalConformance(harness);
}
