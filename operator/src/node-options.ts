/**
 * What Node.js is told when it runs the operator, as `NODE_OPTIONS`. Its default young generation (three half spaces of 16 MB and more) suits a server
 * that keeps little of what it reads; the operator keeps every object, and a smaller one costs it 90 MB less resident memory (docs/concepts/performance.md).
 */
export const NODE_OPTIONS = '--max-semi-space-size=4';
