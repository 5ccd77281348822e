import { type Figure, reaches, save, table } from './figures.ts';

/** `node bench/run.ts [NAME...]`: runs the benchmarks, prints their figures, and writes bench/out/NAME.json. */
const BENCHES: Readonly<Record<string, () => Promise<Figure[]>>> = {
  reconciles: async () => (await import('./reconciles.ts')).reconciles(),
  latency: async () => (await import('./latency.ts')).latency(),
  memory: async () => (await import('./memory.ts')).memory(),
  'kubernetes-journal': async () => (await import('./kubernetes-journal.ts')).kubernetesJournal(),
  'sqlite-journal': async () => (await import('./sqlite-journal.ts')).sqliteJournalBench(),
  'dynamodb-journal': async () => (await import('./dynamodb-journal.ts')).dynamodbJournal(),
  boundary: async () => (await import('./boundary.ts')).boundary(),
  participants: async () => (await import('./participants.ts')).participants(),
  orders: async () => (await import('./orders.ts')).orders(),
  tracing: async () => (await import('./tracing.ts')).tracingBench(),
  temporal: async () => (await import('./temporal.ts')).temporal(),
  workers: async () => (await import('./workers.ts')).workers(),
  soak: async () => (await import('./soak.ts')).soak(),
  skeleton: async () => (await import('./skeleton.ts')).skeleton(),
  synth: async () => (await import('./synth.ts')).synth(),
};

/** Takes as long as a coffee: only by its name. */
const BY_NAME_ONLY: readonly string[] = ['soak'];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(', ')}: there are ${Object.keys(BENCHES).join(', ')}\n`);
  process.exit(2);
}

const missed: string[] = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length > 0 ? !wanted.includes(name) : BY_NAME_ONLY.includes(name)) continue;
  process.stderr.write(`${name} ...\n`);
  const figures = await bench();
  await save(name, figures);
  process.stdout.write(`\n${name}\n${table(figures)}\n`);
  missed.push(...figures.filter((figure) => !reaches(figure)).map((figure) => `${name}: ${figure.name}`));
}
if (missed.length > 0) process.stdout.write(`\nmissed: ${missed.join('; ')}\n`);
process.exit(0);
