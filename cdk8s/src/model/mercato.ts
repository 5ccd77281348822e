import { boundary, operator, worker } from './services/controllers.ts';
import { inventory } from './services/inventory.ts';
import { order } from './services/order.ts';
import { payment } from './services/payment.ts';
import { shipping } from './services/shipping.ts';
import { acquirer, carrier } from './services/simulators.ts';
import type { Model } from './types.ts';

/** The shop. A new service is a file and a line here. */
export const mercato: Model = {
  services: [operator, worker, boundary, order, inventory, payment, shipping, acquirer, carrier],
};
