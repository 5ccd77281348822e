/** Activities that do nothing, as the participants on the other side do (bench/noop-participant.ts). */
const nothing = async () => ({
  reservationId: 'r',
  expiresAt: '2100-01-01T00:00:00Z',
  authorisationId: 'a',
  warehouses: 'leeds',
  bookingId: 'b',
  captureId: 'c',
});

export const reserveStock = nothing;
export const releaseStock = nothing;
export const authorisePayment = nothing;
export const voidPayment = nothing;
export const commitStock = nothing;
export const bookShipment = nothing;
export const cancelShipment = nothing;
export const capturePayment = nothing;
