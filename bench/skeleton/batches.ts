/** How long a batch that is not full gathers while another is under way. */
const GATHER_MS = 5;

/**
 * Gathers what is given within one turn of the event loop, for 5 ms while another batch is under way, and longer while `width` of them are; hands at most
 * `size` of it at once to `work`, which answers each in its order. As the operator does (operator/src/participants/http.ts).
 */
export function batches<T, R>(
  size: number,
  width: number,
  work: (items: T[]) => Promise<R[]>,
): (item: T) => Promise<R> {
  const waiting: { item: T; resolve: (value: R) => void; reject: (error: unknown) => void }[] = [];
  let running = 0;
  let scheduled = false;
  const turn = (): void => {
    scheduled = false;
    while (running < width && waiting.length > 0) {
      const batch = waiting.splice(0, size);
      running++;
      work(batch.map(({ item }) => item))
        .then(
          (answers) => {
            for (const [n, { resolve }] of batch.entries()) resolve(answers[n] as R);
          },
          (error: unknown) => {
            for (const { reject } of batch) reject(error);
          },
        )
        .finally(() => {
          running--;
          if (waiting.length > 0) schedule();
        });
    }
  };
  const schedule = (): void => {
    if (scheduled || running >= width) return;
    scheduled = true;
    if (running === 0 || waiting.length >= size) setImmediate(turn);
    else setTimeout(turn, GATHER_MS);
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}
