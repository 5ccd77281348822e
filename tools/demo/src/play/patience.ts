/** How often something is tried again. */
const RETRY_MS = 250;

/**
 * Does work that may be done twice, again and again while it fails for a reason that passes.
 *
 * @param patienceMs since the first try; 0: one try
 * @throws what the last try threw
 */
export async function patiently<T>(
  work: () => Promise<T>,
  patienceMs: number,
  passes: (error: unknown) => boolean,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() >= deadline || !passes(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Waits so long. Rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
