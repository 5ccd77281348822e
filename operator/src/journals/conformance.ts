export { byWorkers, type JournalHarness, type JournalPlace, type Leaving } from './conformance/harness.ts';
