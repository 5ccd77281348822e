import { request } from 'undici';

const WAREHOUSE = 'leeds';

/**
 * Puts a warehouse and plenty of each of the goods that the load generator orders into an inventory.
 * @param skus SKU-0 to SKU-(n-1)
 * @throws Error when it is refused
 */
export async function seedStock(inventory: string, skus: number, token?: string): Promise<void> {
  const send = async (method: 'PUT' | 'POST', path: string, body: unknown): Promise<unknown> => {
    const answer = await request(inventory + path, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
    return JSON.parse(text) as unknown;
  };
  await send('PUT', `/warehouses/${WAREHOUSE}`, { location: { country: 'GB' } });
  for (let from = 0; from < skus; from += 500) {
    const items = Array.from({ length: Math.min(500, skus - from) }, (_, n) => ({
      adjustmentId: `seed-${from + n}`,
      warehouse: WAREHOUSE,
      sku: `SKU-${from + n}`,
      type: 'counted',
      quantity: 100_000_000,
      reason: 'stock of a benchmark',
    }));
    const { items: answers } = (await send('POST', '/adjustments/batch', { items })) as { items: { status: number }[] };
    const refused = answers.find(({ status }) => status !== 200);
    if (refused !== undefined) throw new Error(`stock was refused: ${JSON.stringify(refused)}`);
  }
}
