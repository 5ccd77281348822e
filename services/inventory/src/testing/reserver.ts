import { parentPort, workerData } from 'node:worker_threads';
import { openDatabase } from '@mercato/kit';
import { InventoryBench } from './bench.ts';

/** What a rival is told: reserve one of each SKU for so many orders, naming the SKUs in this order. */
export interface RivalTask {
  readonly path: string;
  readonly name: string;
  readonly orders: number;
  readonly skus: readonly string[];
}

/** A thread with an inventory of its own on a shared file: it really runs at the same time as others. Posts how many orders got goods. */
const { path, name, orders, skus } = workerData as RivalTask;
const database = openDatabase(path);
// Nobody queues for SQLite's lock: on a slow disk one may find it taken each time that it looks, for as long as the others have orders.
database.exec('PRAGMA busy_timeout = 60000');
const bench = new InventoryBench({ database });
parentPort!.postMessage('ready');
parentPort!.once('message', async () => {
  let reserved = 0;
  for (let index = 0; index < orders; index += 1) {
    const lines = skus.map((sku) => ({ sku, quantity: 1 }));
    const { status } = await bench.reserve(`${name}-${index}`, lines);
    if (status === 200) reserved += 1;
  }
  await bench.store.close();
  parentPort!.postMessage(reserved);
});
