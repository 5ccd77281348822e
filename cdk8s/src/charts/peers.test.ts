import { expect } from 'chai';
import { ValuesError } from '../backends/values.ts';
import { withSearch } from '../testing/added.ts';
import { rendered } from '../testing/rendered.ts';

const peers = (ipBlock: object) => rendered(withSearch, 'search', { outsidePeers: [{ ipBlock }] });

describe('a peer outside of the cluster', () => {
  const refused: readonly object[] = [
    { cidr: '0.0.0.0/0' },
    { cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] },
    { cidr: '128.0.0.0/1' },
    { cidr: '169.0.0.0/8' },
    { cidr: '169.254.0.0/16' },
    { cidr: '169.254.169.254/32' },
    { cidr: '::/0' },
    { cidr: '::/0', except: ['169.254.0.0/16'] },
    { cidr: 'fd00:ec2::254/128' },
    { cidr: 'fd00::/8' },
  ];
  for (const ipBlock of refused)
    it(`is refused with instance metadata in it: ${JSON.stringify(ipBlock)}`, () =>
      expect(() => peers(ipBlock)).to.throw(ValuesError, 'outsidePeers.0'));

  const taken: readonly object[] = [
    { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] },
    { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '169.254.169.254/32'] },
    { cidr: '10.0.0.0/8' },
    { cidr: '198.51.100.0/24' },
    { cidr: '::/0', except: ['fd00:ec2::/32'] },
    { cidr: '2001:db8::/32' },
  ];
  for (const ipBlock of taken)
    it(`is taken without: ${JSON.stringify(ipBlock)}`, () => expect(() => peers(ipBlock)).not.to.throw());

  it('is taken as it is when it is pods', () => {
    const outsidePeers = [{ namespaceSelector: { matchLabels: { egress: 'yes' } } }];
    expect(() => rendered(withSearch, 'search', { outsidePeers })).not.to.throw();
  });
});
