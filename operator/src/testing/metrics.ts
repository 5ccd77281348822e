/** The sum of a metric's samples whose labels include these, over all of these pages. */
export async function metricSum(
  urls: readonly string[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  let sum = 0;
  for (const url of urls) {
    const text = await (await fetch(url)).text();
    for (const line of text.split('\n')) {
      const [, series, given = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const fits = Object.entries(labels).every(([label, wanted]) => given.includes(`${label}="${wanted}"`));
      if (series === name && fits) sum += Number(value);
    }
  }
  return sum;
}
