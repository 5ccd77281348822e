export { byWorkers, type JournalHarness, type JournalPlace, type Leaving } from './conformance/harness.ts';
export { journalConformance } from './conformance/rules.ts';
export { KEPT_MILLIS, workerJournalConformance } from './conformance/workers.ts';
