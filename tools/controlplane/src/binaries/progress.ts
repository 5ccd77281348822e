const PROGRESS_INTERVAL_MS = 5_000;

/** Says a line when the work starts, every few seconds, and when it is done, with the time it took. */
export async function withProgress(
  say: (line: string) => void,
  label: () => string,
  work: () => Promise<void>,
): Promise<void> {
  const began = performance.now();
  const elapsed = () => `${Math.round((performance.now() - began) / 1000)} s`;
  say(label());
  const timer = setInterval(() => say(`${label()}, ${elapsed()}`), PROGRESS_INTERVAL_MS);
  try {
    await work();
    say(`${label()}: done in ${elapsed()}`);
  } finally {
    clearInterval(timer);
  }
}
