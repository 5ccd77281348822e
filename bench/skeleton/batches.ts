/**
 * Gathers what is given within one turn of the event loop, or while `width` batches are under way, and hands at most `size` of it at once to `work`,
 * which answers each in its order.
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
          turn();
        });
    }
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (scheduled) return;
      scheduled = true;
      setImmediate(turn);
    });
}
