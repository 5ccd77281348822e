import { isIPv4 } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { contains, edges, formatAddress, parseAddress, parseCidr } from './cidr.ts';

const inside = (cidr: string, address: string): boolean => contains(parseCidr(cidr)!, parseAddress(address)!);

describe('addresses', () => {
  it('are read in every way that they are written', () => {
    expect(parseAddress('10.0.0.1')).to.deep.equal({ family: 4, value: 0x0a00_0001n });
    expect(parseAddress('::')).to.deep.equal({ family: 6, value: 0n });
    expect(parseAddress('fd00:ec2::254')?.value).to.equal(0xfd00_0ec2_0000_0000_0000_0000_0000_0254n);
    expect(parseAddress('1:2:3:4:5:6:7:8')?.value).to.equal(0x0001_0002_0003_0004_0005_0006_0007_0008n);
    expect(parseAddress('64:ff9b::10.0.0.1')?.value).to.equal(0x0064_ff9b_0000_0000_0000_0000_0a00_0001n);
  });

  it('in IPv6’s clothes are IPv4', () => {
    expect(parseAddress('::ffff:169.254.169.254')).to.deep.equal(parseAddress('169.254.169.254'));
    expect(inside('::ffff:169.254.0.0/112', '169.254.169.254')).to.equal(true);
    expect(inside('169.254.0.0/16', '::ffff:169.254.169.254')).to.equal(true);
  });

  it('that are none are refused', () => {
    for (const text of ['', '10.0.0', '10.0.0.256', '010.0.0.1', 'fe80::1%eth0', 'example.com', '10.0.0.0/8'])
      expect(parseAddress(text), text).to.equal(undefined);
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '::/129',
      '10.0.0.0/8/8',
      '::ffff:10.0.0.0/95',
    ])
      expect(parseCidr(text), text).to.equal(undefined);
  });

  it('lie within a CIDR by its first bits, and in none of the other family', () => {
    expect(inside('10.0.0.0/8', '10.255.255.255')).to.equal(true);
    expect(inside('10.0.0.0/8', '11.0.0.0')).to.equal(false);
    expect(inside('10.1.2.3/8', '10.0.0.0')).to.equal(true);
    expect(inside('0.0.0.0/0', '::1')).to.equal(false);
    expect(inside('::/0', '127.0.0.1')).to.equal(false);
    expect(inside('fd00:ec2::254/128', 'fd00:ec2::254')).to.equal(true);
    expect(inside('fd00:ec2::254/128', 'fd00:ec2::255')).to.equal(false);
  });

  it('are the same after writing and reading', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text)!;
        expect(parseAddress(formatAddress(address))).to.deep.equal(address);
        expect(isIPv4(formatAddress(address))).to.equal(address.family === 4);
      }),
      { seed: 20261122 },
    );
  });

  it('at the edges of a CIDR are the last within and the first without', () => {
    expect(edges(parseCidr('10.0.0.0/30')!).map(formatAddress)).to.deep.equal([
      '10.0.0.0',
      '10.0.0.3',
      '9.255.255.255',
      '10.0.0.4',
    ]);
    expect(edges(parseCidr('0.0.0.0/0')!).map(formatAddress)).to.deep.equal(['0.0.0.0', '255.255.255.255']);
    expect(edges(parseCidr('10.0.0.1/32')!)).to.have.length(3);
  });
});
