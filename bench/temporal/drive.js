import { Client, Connection } from '@temporalio/client';

/**
 * Starts workflows and waits for their results, so many at once. Arguments: the server's address, how many to warm up with, how many to measure, how many
 * at once. Prints `{completed, seconds}`.
 */
const [address, warm, count, width] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection, namespace: 'default' });

const order = {
  customer: 'customer-17',
  currency: 'GBP',
  total: 4_130,
  lines: [1, 2, 3].map((n) => ({ sku: `SKU-${n}`, quantity: n, unitPrice: 295 * n })),
  paymentToken: 'tok_visa',
  shipTo: { name: 'Ada Byron', line1: "12 St James's Square", city: 'London', postcode: 'SW1Y 4JH', country: 'GB' },
};

async function play(prefix, total) {
  const began = performance.now();
  let next = 0;
  const one = async () => {
    while (next < total) {
      const workflowId = `${prefix}-${next++}`;
      const { captureId } = await client.workflow.execute('checkout', {
        workflowId,
        taskQueue: 'checkout',
        args: [order],
      });
      if (captureId !== 'c') throw new Error(`${workflowId} captured nothing`);
    }
  };
  await Promise.all(Array.from({ length: Number(width) }, one));
  return { completed: total, seconds: (performance.now() - began) / 1_000 };
}

await play('warm', Number(warm));
process.stdout.write(`${JSON.stringify(await play('order', Number(count)))}\n`);
await connection.close();
