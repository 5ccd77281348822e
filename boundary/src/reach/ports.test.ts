import { expect } from 'chai';
import fc from 'fast-check';
import {
  ALL_PORTS,
  difference,
  formatPorts,
  includes,
  intersection,
  MAX_PORT,
  type PortSet,
  PROTOCOLS,
  union,
} from './ports.ts';

const port = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(1, MAX_PORT) },
);
const range = fc.record({ protocol: fc.constantFrom(...PROTOCOLS), first: port, last: port });
const set = fc.array(range, { maxLength: 8 }).map(union);
const SAMPLES = PROTOCOLS.flatMap((protocol) =>
  [...Array.from({ length: 13 }, (_, i) => i + 1), MAX_PORT].map((number) => ({ protocol, number })),
);
const within = (ports: PortSet) => SAMPLES.map(({ number, protocol }) => includes(ports, number, protocol));
const law = <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void) =>
  fc.assert(
    fc.property(arbitrary, (value) => {
      holds(value);
    }),
    { seed: 20261122, numRuns: 300 },
  );

describe('sets of ports', () => {
  it('have every port of the ranges that they are made of, in ranges that do not touch', () => {
    law(fc.array(range, { maxLength: 8 }), (ranges) => {
      const made = union(ranges);
      expect(within(made)).to.deep.equal(SAMPLES.map(({ number, protocol }) => includes(ranges, number, protocol)));
      for (const [i, { protocol, first }] of made.entries())
        if (made[i - 1]?.protocol === protocol) expect(first).to.be.above((made[i - 1]?.last ?? 0) + 1);
    });
  });

  it('meet and differ port by port', () => {
    law(fc.tuple(set, set), ([a, b]) => {
      const [inA, inB] = [within(a), within(b)];
      expect(within(intersection(a, b))).to.deep.equal(inA.map((isIn, i) => isIn && inB[i]));
      expect(within(difference(a, b))).to.deep.equal(inA.map((isIn, i) => isIn && !inB[i]));
    });
  });

  it('are written so that two are equal if their texts are', () => {
    expect(formatPorts(ALL_PORTS)).to.equal('all');
    expect(formatPorts([])).to.equal('-');
    expect(
      formatPorts([
        { protocol: 'SCTP', first: 1, last: MAX_PORT },
        { protocol: 'TCP', first: 8080, last: 8080 },
        { protocol: 'UDP', first: 1, last: 9 },
      ]),
    ).to.equal('SCTP, 8080/TCP, 1-9/UDP');
    law(fc.tuple(set, set), ([a, b]) => {
      expect(formatPorts(a) === formatPorts(b)).to.equal(JSON.stringify(a) === JSON.stringify(b));
    });
  });
});
