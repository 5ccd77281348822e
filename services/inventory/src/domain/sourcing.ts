import { centroidOf } from './countries.ts';
import { type Coordinates, distanceKm } from './distance.ts';
import type { Allocation, Line, Quantity, Sku, WarehouseId } from './names.ts';

/** What one warehouse can give to an order. */
export interface Offer {
  readonly warehouse: WarehouseId;
  /** The lowest is preferred. */
  readonly priority: number;
  readonly location: Location;
  /** What can be promised, per SKU; absent is none. */
  readonly available: ReadonlyMap<Sku, number>;
}

/** A country, and more exactly where in it if that is known. */
export interface Location {
  readonly country: string;
  readonly lat?: number | undefined;
  readonly lon?: number | undefined;
}

/** Not enough of a SKU in all warehouses together. */
export interface Missing {
  readonly sku: Sku;
  readonly wanted: number;
  readonly available: number;
}

export type Plan =
  | { readonly found: true; readonly allocations: readonly Allocation[] }
  | { readonly found: false; readonly missing: readonly Missing[] };

/**
 * Which warehouses an order's goods come from.
 * - `priority`: the warehouse of the lowest number first.
 * - `fewest-splits`: as few warehouses as possible, so as few parcels; among equally few, the preferred ones.
 * - `nearest`: the warehouse nearest to the customer first; without coordinates the country's middle counts.
 */
export type Strategy = 'priority' | 'fewest-splits' | 'nearest';

export const strategies: readonly Strategy[] = ['priority', 'fewest-splits', 'nearest'];

/**
 * Decides where goods come from. Pure: the same goods, offers and address give the same plan, in whatever order the offers come. Finds a plan
 * whenever all warehouses together have enough, whatever the strategy. `wanted` has each SKU once (sumLines).
 */
export function source(strategy: Strategy, wanted: readonly Line[], offers: readonly Offer[], shipTo?: Location): Plan {
  const missing = wanted.flatMap(({ sku, quantity }) => {
    const sum = offers.reduce((total, offer) => total + availableOf(offer, sku), 0);
    return sum < quantity ? [{ sku, wanted: quantity, available: sum }] : [];
  });
  if (missing.length > 0) return { found: false, missing };
  const preferred = rank(strategy, offers, shipTo);
  return {
    found: true,
    allocations: fill(wanted, strategy === 'fewest-splits' ? fewest(wanted, preferred) : preferred),
  };
}

const availableOf = (offer: Offer, sku: Sku): number => Math.max(0, offer.available.get(sku) ?? 0);

/** Most preferred first; ties go by priority, then by name, so that the outcome depends on nothing else. */
function rank(strategy: Strategy, offers: readonly Offer[], shipTo: Location | undefined): Offer[] {
  const customer = shipTo === undefined ? undefined : coordinatesOf(shipTo);
  const far = (offer: Offer): number => {
    const there = coordinatesOf(offer.location);
    return customer === undefined || there === undefined ? Number.MAX_VALUE : distanceKm(there, customer);
  };
  const distances = strategy === 'nearest' ? new Map(offers.map((offer) => [offer, far(offer)])) : undefined;
  return [...offers].sort(
    (a, b) =>
      (distances === undefined ? 0 : distances.get(a)! - distances.get(b)!) ||
      a.priority - b.priority ||
      (a.warehouse < b.warehouse ? -1 : 1),
  );
}

const coordinatesOf = ({ country, lat, lon }: Location): Coordinates | undefined =>
  lat === undefined || lon === undefined ? centroidOf(country) : { lat, lon };

/** Takes as much as there is from each warehouse in turn. Sorted by SKU, then in the order of preference. */
function fill(wanted: readonly Line[], preferred: readonly Offer[]): Allocation[] {
  return wanted.flatMap(({ sku, quantity }) => {
    const parts: Allocation[] = [];
    let open: number = quantity;
    for (const offer of preferred) {
      const taken = Math.min(open, availableOf(offer, sku));
      if (taken > 0) parts.push({ warehouse: offer.warehouse, sku, quantity: taken as Quantity });
      open -= taken;
      if (open === 0) break;
    }
    return parts;
  });
}

/** Up to so many warehouses the fewest are found exactly: 2^12 subsets at most. */
const exactUpTo = 12;

function fewest(wanted: readonly Line[], preferred: readonly Offer[]): readonly Offer[] {
  const useful = preferred.filter((offer) => wanted.some(({ sku }) => availableOf(offer, sku) > 0));
  if (useful.length > exactUpTo) return greedy(wanted, useful);
  for (let size = 1; size <= useful.length; size += 1) {
    const found = firstCover(wanted, useful, size);
    if (found !== undefined) return found;
  }
  return useful;
}

/** The first subset of `size` that has enough, where subsets of more preferred warehouses come first. */
function firstCover(wanted: readonly Line[], offers: readonly Offer[], size: number): readonly Offer[] | undefined {
  const search = (from: number, chosen: readonly Offer[]): readonly Offer[] | undefined => {
    if (chosen.length === size) return covers(wanted, chosen) ? chosen : undefined;
    for (let index = from; index <= offers.length - (size - chosen.length); index += 1) {
      const found = search(index + 1, [...chosen, offers[index]!]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(0, []);
}

const covers = (wanted: readonly Line[], chosen: readonly Offer[]): boolean =>
  wanted.every(({ sku, quantity }) => chosen.reduce((sum, offer) => sum + availableOf(offer, sku), 0) >= quantity);

/** Adds, again and again, the warehouse that covers most of what is still open (greedy set cover: within ln n of the fewest). */
function greedy(wanted: readonly Line[], offers: readonly Offer[]): readonly Offer[] {
  const open = new Map(wanted.map(({ sku, quantity }) => [sku, quantity as number]));
  const chosen: Offer[] = [];
  const rest = [...offers];
  const gain = (offer: Offer): number => {
    let sum = 0;
    for (const [sku, quantity] of open) sum += Math.min(quantity, availableOf(offer, sku));
    return sum;
  };
  while ([...open.values()].some((quantity) => quantity > 0) && rest.length > 0) {
    const gains = rest.map(gain);
    const best = gains.indexOf(Math.max(...gains));
    const [offer] = rest.splice(best, 1);
    for (const [sku, quantity] of open) open.set(sku, quantity - Math.min(quantity, availableOf(offer!, sku)));
    chosen.push(offer!);
  }
  return offers.filter((offer) => chosen.includes(offer));
}
