/**
 * What Node.js is told when it runs the operator, as `NODE_OPTIONS`. V8's defaults suit a server on a large machine that keeps little of what it
 * reads: half spaces of 16 MB and more, and an old generation that may grow to four times what is alive before it is collected. The operator keeps every
 * object of its kinds, so it wants neither. At an estimated 2 KB for a finished run, 512 MB hold
 * about 200,000 (docs/concepts/performance.md).
 */
export const NODE_OPTIONS = '--max-semi-space-size=4 --max-old-space-size=512';
