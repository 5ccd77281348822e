import { SqliteJournal } from '@mercato/operator/journals/sqlite/journal.ts';
import { Threaded } from '@mercato/operator/journals/sqlite/threaded.ts';
import { paced } from '@mercato/operator/journals/sqlite/groups.ts';
import { INPUT, Rehearsal, revision, success } from '@mercato/operator/saga/rehearsal.ts';
import { rmSync } from 'node:fs';
const REVISION = revision();
for (const s of ['', '-wal', '-shm']) rmSync('/tmp/sq/p.db' + s, { force: true });
const journal = new SqliteJournal({ executor: new Threaded('/tmp/sq/p.db'), defer: paced(Number(process.env['PACE'] ?? 20)), retention: { ended: () => 2000, remembered: 3600_000 } });
await journal.open();
const r = new Rehearsal(REVISION).runTo('capture'); const intent = r.state; r.answer(success('capture')); const end = r.state;
let done = 0;
async function drive(orderId: string) {
  const id = { namespace: 'shop', saga: 'checkout', orderId };
  const made = await journal.create({ id, input: INPUT, revision: REVISION.hash, createdAt: Date.now(), traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
  if (made.type !== 'Created') throw new Error('x');
  const v = await journal.write(id, intent, made.version); await journal.write(id, end, v); done++;
}
const secs = Number(process.env['SECS'] ?? 8);
let n = 0; let c0 = process.cpuUsage(); let n0=0; const t0 = performance.now(); let hk=0;
if (process.env['IDLE']) { while (performance.now()-t0 < secs*1000) { const due=Math.floor(performance.now()-t0); while(n<due) n++; await new Promise(r=>setTimeout(r,5)); } }
else while (performance.now() - t0 < secs * 1000) {
  if (n0===0 && performance.now()-t0 > secs*500) { n0=n; c0=process.cpuUsage(); }
  const due = Math.floor(performance.now() - t0);
  while (n < due) void drive(`${Date.now()}-${n++}`);
  if (hk++ % 10 === 0) { void journal.unannounced(1000).then((a) => a.length ? journal.announced(a.map((x) => x.receipt)) : undefined); void journal.prune(); }
  await new Promise((r) => setTimeout(r, 5));
}
const c = process.cpuUsage(c0);
console.log(process.env['PACE'], n, done, 'us/run', ((c.user + c.system) / (n-n0)).toFixed(1), 'user', (c.user / (n-n0)).toFixed(1), 'sys', (c.system / (n-n0)).toFixed(1));
await new Promise(r=>setTimeout(r,500)); await journal.close();
