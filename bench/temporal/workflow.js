import { proxyActivities } from '@temporalio/workflow';

const steps = proxyActivities({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumAttempts: 10 },
});

/**
 * The shop's saga as Temporal's documentation writes one: each step registers its undoing before the next begins, and a failure undoes in reverse. What
 * comes after the pivot is only retried.
 */
export async function checkout(order) {
  const undo = [];
  let authorised;
  try {
    const { reservationId } = await steps.reserveStock(order);
    undo.push(() => steps.releaseStock({ reservationId }));
    authorised = await steps.authorisePayment(order);
    undo.push(() => steps.voidPayment(authorised));
    const { warehouses } = await steps.commitStock({ reservationId });
    const { bookingId } = await steps.bookShipment({ ...order, warehouses });
    undo.push(() => steps.cancelShipment({ bookingId }));
  } catch (error) {
    for (const each of undo.reverse()) await each();
    throw error;
  }
  return steps.capturePayment({ ...authorised, total: order.total, currency: order.currency });
}
