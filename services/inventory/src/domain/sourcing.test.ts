import { expect } from 'chai';
import fc from 'fast-check';
import { centroidOf } from './countries.ts';
import { distanceKm } from './distance.ts';
import type { Line, Quantity, Sku, WarehouseId } from './names.ts';
import { sumLines } from './names.ts';
import { type Location, type Offer, type Plan, source, strategies } from './sourcing.ts';

const skus = ['apple', 'bread', 'cheese'] as Sku[];
const quantity = (value: number) => value as Quantity;
const offer = (warehouse: string, priority: number, country: string, stock: Record<string, number>): Offer => ({
  warehouse: warehouse as WarehouseId,
  priority,
  location: { country },
  available: new Map(Object.entries(stock) as [Sku, number][]),
});
const lines = (of: Record<string, number>): Line[] =>
  sumLines(Object.entries(of).map(([sku, count]) => ({ sku: sku as Sku, quantity: quantity(count) })));

const anyWanted = fc
  .array(fc.record({ sku: fc.constantFrom(...skus), quantity: fc.integer({ min: 1, max: 8 }).map(quantity) }), {
    minLength: 1,
    maxLength: 4,
  })
  .map(sumLines);
const anyOffers = fc.uniqueArray(
  fc.record({
    warehouse: fc.constantFrom('w1', 'w2', 'w3', 'w4', 'w5', 'w6').map((id) => id as WarehouseId),
    priority: fc.integer({ min: 1, max: 3 }),
    location: fc.record({ country: fc.constantFrom('GB', 'DE', 'US', 'AU') }),
    available: fc
      .tuple(...skus.map(() => fc.integer({ min: 0, max: 6 })))
      .map((counts) => new Map(skus.map((sku, index) => [sku, counts[index]!]))),
  }),
  { selector: ({ warehouse }) => warehouse, maxLength: 6 },
);
const anyShipTo: fc.Arbitrary<Location> = fc.record({ country: fc.constantFrom('FR', 'US', 'NZ') });

const warehousesOf = (plan: Plan): Set<string> =>
  new Set(plan.found ? plan.allocations.map(({ warehouse }) => warehouse) : []);
const sumOf = (offers: readonly Offer[], sku: Sku) =>
  offers.reduce((sum, each) => sum + (each.available.get(sku) ?? 0), 0);

for (const strategy of strategies) {
  describe(`sourcing by ${strategy}`, () => {
    it('gives exactly what is wanted and no more than there is, whenever all together have enough', () => {
      fc.assert(
        fc.property(anyWanted, anyOffers, anyShipTo, (wanted, offers, shipTo) => {
          const plan = source(strategy, wanted, offers, shipTo);
          expect(plan.found).to.equal(wanted.every(({ sku, quantity }) => sumOf(offers, sku) >= quantity));
          if (!plan.found) return;
          for (const { sku, quantity } of wanted) {
            const parts = plan.allocations.filter((part) => part.sku === sku);
            expect(parts.reduce((sum, part) => sum + part.quantity, 0)).to.equal(quantity);
          }
          for (const part of plan.allocations) {
            const there = offers.find(({ warehouse }) => warehouse === part.warehouse)!.available.get(part.sku)!;
            expect(part.quantity).to.be.within(1, there);
          }
          const pairs = plan.allocations.map(({ sku, warehouse }) => `${sku}/${warehouse}`);
          expect(new Set(pairs).size).to.equal(pairs.length);
        }),
      );
    });

    it('says what is missing, and how much there is', () => {
      const plan = source(strategy, lines({ apple: 5, bread: 1 }), [
        offer('a', 1, 'GB', { apple: 2, bread: 9 }),
        offer('b', 1, 'GB', { apple: 2 }),
      ]);
      expect(plan).to.deep.equal({ found: false, missing: [{ sku: 'apple', wanted: 5, available: 4 }] });
    });

    it('does not depend on the order of the offers', () => {
      fc.assert(
        fc.property(anyWanted, anyOffers, anyShipTo, (wanted, offers, shipTo) => {
          expect(source(strategy, wanted, [...offers].reverse(), shipTo)).to.deep.equal(
            source(strategy, wanted, offers, shipTo),
          );
        }),
      );
    });
  });
}

describe('sourcing', () => {
  it('by priority empties the preferred warehouse before it goes on', () => {
    const plan = source('priority', lines({ apple: 5 }), [
      offer('b', 2, 'GB', { apple: 9 }),
      offer('a', 1, 'US', { apple: 3 }),
    ]);
    expect(plan).to.deep.equal({
      found: true,
      allocations: [
        { warehouse: 'a', sku: 'apple', quantity: 3 },
        { warehouse: 'b', sku: 'apple', quantity: 2 },
      ],
    });
  });

  it('by fewest splits takes one warehouse that has all, though a preferred one has some', () => {
    const offers = [
      offer('a', 1, 'GB', { apple: 3 }),
      offer('b', 2, 'GB', { bread: 5 }),
      offer('c', 3, 'GB', { apple: 3, bread: 5 }),
    ];
    expect([...warehousesOf(source('fewest-splits', lines({ apple: 2, bread: 2 }), offers))]).to.deep.equal(['c']);
  });

  it('by fewest splits uses as few warehouses as any choice of them could', () => {
    fc.assert(
      fc.property(anyWanted, anyOffers, (wanted, offers) => {
        const plan = source('fewest-splits', wanted, offers);
        if (!plan.found) return;
        const subsets = Array.from({ length: 2 ** offers.length }, (_, bits) =>
          offers.filter((_offer, index) => bits & (1 << index)),
        );
        const enough = subsets.filter((subset) => wanted.every(({ sku, quantity }) => sumOf(subset, sku) >= quantity));
        expect(warehousesOf(plan).size).to.equal(Math.min(...enough.map(({ length }) => length)));
      }),
    );
  });

  it('by fewest splits copes with more warehouses than it can try all subsets of', () => {
    const offers = Array.from({ length: 200 }, (_, index) =>
      offer(`w${index}`, 1, 'GB', { apple: 1, bread: index === 150 ? 40 : 0 }),
    );
    const plan = source('fewest-splits', lines({ apple: 30, bread: 40 }), offers);
    expect(warehousesOf(plan).size).to.equal(30);
    expect(warehousesOf(plan)).to.include('w150');
  });

  it('by nearest takes nothing from a warehouse while a nearer one has some left', () => {
    fc.assert(
      fc.property(anyWanted, anyOffers, anyShipTo, (wanted, offers, shipTo) => {
        const plan = source('nearest', wanted, offers, shipTo);
        if (!plan.found) return;
        const far = (each: Offer) => distanceKm(centroidOf(each.location.country)!, centroidOf(shipTo.country)!);
        for (const part of plan.allocations) {
          const from = offers.find(({ warehouse }) => warehouse === part.warehouse)!;
          for (const nearer of offers.filter((each) => far(each) < far(from))) {
            const taken = plan.allocations.find(
              ({ warehouse, sku }) => warehouse === nearer.warehouse && sku === part.sku,
            );
            expect(taken?.quantity ?? 0).to.equal(nearer.available.get(part.sku) ?? 0);
          }
        }
      }),
    );
  });

  it('by nearest goes by coordinates where they are known, and by priority where nothing is', () => {
    const precise = (id: string, priority: number, lat: number, lon: number): Offer => ({
      ...offer(id, priority, 'GB', { apple: 5 }),
      location: { country: 'GB', lat, lon },
    });
    const offers = [precise('glasgow', 1, 55.86, -4.25), precise('london', 2, 51.51, -0.13)];
    const wanted = lines({ apple: 1 });
    expect([...warehousesOf(source('nearest', wanted, offers, { country: 'FR' }))]).to.deep.equal(['london']);
    expect([
      ...warehousesOf(source('nearest', wanted, offers, { country: 'GB', lat: 55.95, lon: -3.19 })),
    ]).to.deep.equal(['glasgow']);
    expect([...warehousesOf(source('nearest', wanted, offers, { country: 'ZZ' }))]).to.deep.equal(['glasgow']);
    expect([...warehousesOf(source('nearest', wanted, offers))]).to.deep.equal(['glasgow']);
  });
});

describe('the distance', () => {
  it('from London to New York is 5,570 km', () => {
    expect(distanceKm({ lat: 51.5074, lon: -0.1278 }, { lat: 40.7128, lon: -74.006 })).to.be.closeTo(5570, 5);
  });
  it('between antipodes is half the way around, and to oneself is none', () => {
    expect(distanceKm({ lat: 0, lon: 0 }, { lat: 0, lon: 180 })).to.be.closeTo(20_015, 1);
    expect(distanceKm({ lat: 12, lon: 34 }, { lat: 12, lon: 34 })).to.equal(0);
  });
});
