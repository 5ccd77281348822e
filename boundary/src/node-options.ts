/**
 * What the process of the boundary's controller is told about memory, as variables of its environment. It keeps about a KB of each pod of the cluster and
 * has 150 MB in all; most of those are Node.js itself.
 *
 * V8 is told to collect early: its defaults suit a server on a large machine, and would let garbage grow to several times what is alive. glibc is told to
 * give memory back: each piece of a watch that TLS decrypts is 64 KB, and with an arena for every thread and thresholds that grow, 30 MB of
 * what was freed stayed with the process (docs/concepts/performance.md).
 */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=64',
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_MMAP_THRESHOLD_: '65536',
};
