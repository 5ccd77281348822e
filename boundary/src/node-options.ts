/**
 * What Node.js is told when it runs the boundary's controller, as `NODE_OPTIONS`. It keeps half a KB of each pod of the cluster and has 150 MB in all, so
 * V8 is told to collect early: its own defaults would let garbage grow to several times what is alive (docs/concepts/performance.md).
 */
export const NODE_OPTIONS = '--max-semi-space-size=2 --max-old-space-size=128';
