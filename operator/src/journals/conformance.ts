export { byWorkers, type JournalHarness, type JournalPlace, type Leaving } from './conformance/harness.ts';
export { journalConformance } from './conformance/rules.ts';
