/**
 * What Node.js is told when it runs the operator, as `NODE_OPTIONS`. V8's defaults suit a server on a large machine that keeps little of what it
 * reads: half spaces of 16 MB and more, and an old generation that may grow to four times what is alive before it is collected. The operator keeps every
 * object of its kinds, so it wants neither. At an estimated 2 KB for a finished run, 512 MB hold
 * about 200,000 (docs/concepts/performance.md).
 */
export const NODE_OPTIONS = '--max-semi-space-size=4 --max-old-space-size=512';

/**
 * The same for an operator whose runs live in sqlite or dynamodb. It makes a thousand runs a second, each of which lives some 100 ms: in half spaces of 4 MB
 * they were copied, and moved to the old generation, before they were over, and half of the processor time was the collector's. In half spaces of 64 MB most
 * of them are gone when it comes by.
 */
export const WORKER_NODE_OPTIONS = '--max-semi-space-size=64 --max-old-space-size=1024';
