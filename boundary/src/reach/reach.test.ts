import { expect } from 'chai';
import { denyAll } from '../policy/desired.ts';
import type { EgressRule, IngressRule, LabelSelector, NetworkPolicy, NetworkPolicySpec } from '../policy/types.ts';
import { policyIn, workloadOf } from '../testing/policies.ts';
import { formatPorts } from './ports.ts';
import { reachOf } from './reach.ts';
import { type End, INTERNET, METADATA, type Workload } from './types.ts';

const shop = workloadOf('shop', 'cart');
const card = workloadOf('card', 'payment');
const other = workloadOf('card', 'vault');
const app = (name: string): LabelSelector => ({ matchLabels: { app: name } });
const named = (namespace: string): LabelSelector => ({ matchLabels: { 'kubernetes.io/metadata.name': namespace } });
const toCard = (spec: NetworkPolicySpec) =>
  policyIn('card', 'p', { podSelector: {}, policyTypes: ['Ingress'], ...spec });
const lettingIn = (...ingress: IngressRule[]) => toCard({ ingress });
const lettingOut = (...egress: EgressRule[]) =>
  policyIn('card', 'p', { podSelector: {}, policyTypes: ['Egress'], egress });
const ports = (policies: readonly NetworkPolicy[], from: End, to: End) =>
  formatPorts(reachOf(policies).ports(from, to));

describe('reachability', () => {
  describe('of ends that no policy selects', () => {
    it('is everything, both ways', () => {
      for (const [from, to] of [
        [shop, card],
        [card, INTERNET],
        [INTERNET, card],
        [card, METADATA],
      ] as const)
        expect(ports([], from, to)).to.equal('all');
      expect(ports([denyAll('elsewhere')], shop, card)).to.equal('all');
      expect(ports([toCard({ podSelector: app('vault') })], shop, card)).to.equal('all');
    });
  });

  describe('of a policy that allows nothing', () => {
    it('is nothing, in the directions that it governs', () => {
      expect(ports([denyAll('card')], shop, card)).to.equal('-');
      expect(ports([denyAll('card')], card, shop)).to.equal('-');
      expect(ports([denyAll('card')], card, other)).to.equal('-');
      expect(ports([toCard({})], shop, card)).to.equal('-');
      expect(ports([toCard({})], card, shop)).to.equal('all');
    });

    it('is decided at both ends: each can close the way', () => {
      const [out, into] = [denyAll('shop'), denyAll('card')];
      const open = policyIn('card', 'open', {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{}],
        egress: [{}],
      });
      expect(ports([into, open], shop, card)).to.equal('all');
      expect(ports([out, into, open], shop, card)).to.equal('-');
    });
  });

  describe('of policyTypes that are left out', () => {
    it('governs ingress always, and egress if there is an egress rule', () => {
      const without = policyIn('card', 'p', { podSelector: {} });
      expect(ports([without], shop, card)).to.equal('-');
      expect(ports([without], card, shop)).to.equal('all');
      const withEgress = policyIn('card', 'p', { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] });
      expect(ports([withEgress], shop, card)).to.equal('-');
      expect(ports([withEgress], card, shop)).to.equal('53/TCP');
      expect(ports([policyIn('card', 'p', { podSelector: {}, egress: [] })], card, shop)).to.equal('all');
    });

    it('ignores rules of a direction that is not named', () => {
      const policy = policyIn('card', 'p', { podSelector: {}, policyTypes: ['Ingress'], egress: [{}], ingress: [] });
      expect(ports([policy], card, shop)).to.equal('all');
    });
  });

  describe('of peers', () => {
    it('by namespace and pods in one item needs both', () => {
      const policy = lettingIn({ from: [{ namespaceSelector: named('shop'), podSelector: app('cart') }] });
      expect(ports([policy], shop, card)).to.equal('all');
      expect(ports([policy], workloadOf('shop', 'search'), card)).to.equal('-');
      expect(ports([policy], workloadOf('other', 'cart'), card)).to.equal('-');
    });

    it('by namespace and pods in two items needs either, which opens the namespace', () => {
      const policy = lettingIn({ from: [{ namespaceSelector: named('shop') }, { podSelector: app('cart') }] });
      expect(ports([policy], workloadOf('shop', 'search'), card)).to.equal('all');
      expect(ports([policy], workloadOf('card', 'cart'), card)).to.equal('all');
      expect(ports([policy], workloadOf('other', 'cart'), card)).to.equal('-');
    });

    it('by pods alone are those of the policy’s namespace', () => {
      const policy = lettingIn({ from: [{ podSelector: app('vault') }] });
      expect(ports([policy], other, card)).to.equal('all');
      expect(ports([policy], workloadOf('shop', 'vault'), card)).to.equal('-');
    });

    it('by an empty namespaceSelector are the pods of every namespace, and nobody outside', () => {
      const policy = lettingIn({ from: [{ namespaceSelector: {} }] });
      expect(ports([policy], shop, card)).to.equal('all');
      expect(ports([policy], INTERNET, card)).to.equal('-');
    });

    it('that are none are everyone', () => {
      expect(ports([lettingIn({ from: [] })], INTERNET, card)).to.equal('all');
      expect(ports([lettingIn({})], INTERNET, card)).to.equal('all');
    });

    it('by namespace labels go by the labels, and by its name whatever the labels say', () => {
      const policy = lettingIn({ from: [{ namespaceSelector: { matchLabels: { team: 'a' } } }] });
      expect(ports([policy], { ...shop, namespaceLabels: { team: 'a' } }, card)).to.equal('all');
      expect(ports([policy], shop, card)).to.equal('-');
      const byName = lettingIn({ from: [{ namespaceSelector: named('shop') }] });
      const forged = { ...workloadOf('evil', 'x'), namespaceLabels: { 'kubernetes.io/metadata.name': 'shop' } };
      expect(ports([byName], forged, card)).to.equal('-');
    });
  });

  describe('of label selectors', () => {
    const open = (selector: LabelSelector, labels: Workload['labels']) =>
      ports([lettingIn({ from: [{ namespaceSelector: {}, podSelector: selector }] })], { ...shop, labels }, card) ===
      'all';
    const by = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]): LabelSelector => ({
      matchExpressions: [{ key: 'tier', operator, ...(values && { values }) }],
    });

    it('follow every operator', () => {
      for (const [selector, labels, isOpen] of [
        [by('In', ['a', 'b']), { tier: 'b' }, true],
        [by('In', ['a', 'b']), { tier: 'c' }, false],
        [by('In', ['a']), {}, false],
        [by('NotIn', ['a']), { tier: 'b' }, true],
        [by('NotIn', ['a']), { tier: 'a' }, false],
        // An object without the label is not in the values.
        [by('NotIn', ['a']), {}, true],
        [by('Exists'), { tier: '' }, true],
        [by('Exists'), {}, false],
        [by('DoesNotExist'), {}, true],
        [by('DoesNotExist'), { tier: 'a' }, false],
      ] as const)
        expect(open(selector, labels), JSON.stringify([selector, labels])).to.equal(isOpen);
    });

    it('need all that they say', () => {
      const both: LabelSelector = { matchLabels: { app: 'cart' }, ...by('In', ['a']) };
      expect(open(both, { app: 'cart', tier: 'a' })).to.equal(true);
      expect(open(both, { app: 'cart', tier: 'b' })).to.equal(false);
      expect(open(both, { app: 'x', tier: 'a' })).to.equal(false);
    });

    it('with an empty value need the label to be there', () => {
      expect(open({ matchLabels: { tier: '' } }, {})).to.equal(false);
      expect(open({ matchLabels: { tier: '' } }, { tier: '' })).to.equal(true);
      expect(open({ matchLabels: { constructor: 'a' } }, {})).to.equal(false);
    });
  });

  describe('of blocks of addresses', () => {
    const block = (cidr: string, ...except: string[]) => lettingOut({ to: [{ ipBlock: { cidr, except } }] });
    const at = (address: string) => ({ name: address, address });

    it('holds what lies within and is not excepted, in both families', () => {
      const policy = block('0.0.0.0/0', '169.254.0.0/16');
      expect(ports([policy], card, INTERNET)).to.equal('all');
      expect(ports([policy], card, METADATA)).to.equal('-');
      expect(ports([policy], card, at('2001:db8::1'))).to.equal('-');
      const six = block('fd00::/8', 'fd00:ec2::/32');
      expect(ports([six], card, at('fd12::1'))).to.equal('all');
      expect(ports([six], card, at('fd00:ec2::254'))).to.equal('-');
    });

    it('holds pods too, by the addresses that they have', () => {
      const policy = block('10.0.0.0/8');
      expect(ports([policy], card, { ...shop, addresses: ['10.1.2.3'] })).to.equal('all');
      expect(ports([policy], card, { ...shop, addresses: ['192.168.0.1', '10.1.2.3'] })).to.equal('all');
      expect(ports([policy], card, shop)).to.equal('-');
    });

    it('takes a block that cannot be read for open, and an exception for none', () => {
      expect(ports([block('10.0.0.0/99')], card, METADATA)).to.equal('all');
      expect(ports([block('0.0.0.0/0', 'metadata')], card, METADATA)).to.equal('all');
    });
  });

  describe('of ports', () => {
    const onPorts = (...list: NonNullable<IngressRule['ports']>) => lettingIn({ ports: list });

    it('is TCP where no protocol is said, and all ports where no number is', () => {
      expect(ports([onPorts({ port: 80 }, { protocol: 'UDP', port: 53 })], shop, card)).to.equal('80/TCP, 53/UDP');
      expect(ports([onPorts({ protocol: 'UDP' })], shop, card)).to.equal('UDP');
      expect(ports([onPorts({})], shop, card)).to.equal('TCP');
    });

    it('goes up to endPort', () => {
      expect(ports([onPorts({ port: 80, endPort: 90 })], shop, card)).to.equal('80-90/TCP');
    });

    it('by name is that of the destination’s containers, with its protocol', () => {
      expect(ports([onPorts({ port: 'http' })], shop, card)).to.equal('8080/TCP');
      expect(ports([onPorts({ port: 'http', protocol: 'UDP' })], shop, card)).to.equal('-');
      expect(ports([onPorts({ port: 'grpc' })], shop, card)).to.equal('-');
      const out = lettingOut({ ports: [{ port: 'http' }] });
      expect(ports([out], card, { ...shop, ports: [{ name: 'http', port: 3000 }] })).to.equal('3000/TCP');
      expect(ports([out], card, INTERNET)).to.equal('-');
    });

    it('is what both ends allow', () => {
      const out = policyIn('shop', 'out', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 1, endPort: 10 }] }],
      });
      expect(ports([out, onPorts({ port: 5, endPort: 20 })], shop, card)).to.equal('5-10/TCP');
      expect(ports([out, onPorts({ port: 80 })], shop, card)).to.equal('-');
    });

    it('adds up over rules and policies', () => {
      const more = policyIn('card', 'more', {
        podSelector: app('payment'),
        policyTypes: ['Ingress'],
        ingress: [{ ports: [{ port: 2 }] }],
      });
      expect(ports([onPorts({ port: 1 }), more, denyAll('card')], shop, card)).to.equal('1-2/TCP');
      expect(ports([onPorts({ port: 1 }), more, denyAll('card')], shop, other)).to.equal('1/TCP');
    });
  });

  it('is open from a pod on its node’s network, which may be the destination’s own node', () => {
    const agent = workloadOf('kube-system', 'agent', { hostNetwork: true });
    expect(ports([denyAll('card')], agent, card)).to.equal('all');
    expect(ports([denyAll('kube-system')], agent, shop)).to.equal('all');
  });

  it('says which policies select an end, which rule allows, and why a way is closed', () => {
    const policies = [
      denyAll('card'),
      lettingIn({ ports: [{ port: 1 }] }, { from: [{ namespaceSelector: named('shop') }], ports: [{ port: 8080 }] }),
    ];
    const reach = reachOf(policies);
    expect(reach.ask(shop, card, 8080, 'TCP')).to.deep.equal({
      allowed: true,
      egress: { allowed: true, selectedBy: [] },
      ingress: { allowed: true, selectedBy: ['card/default-deny', 'card/p'], allowedBy: 'card/p ingress[1]' },
      why: 'no policy governs the egress of shop/cart; ingress of card/payment is allowed by card/p ingress[1]',
    });
    expect(reach.ask(card, INTERNET, 443, 'TCP')).to.deep.include({
      allowed: false,
      why: 'egress of card/payment is denied: no rule of card/default-deny allows it; internet is not governed by policies',
    });
    expect(reach.isIsolated(card, 'Egress')).to.equal(true);
    expect(reach.isIsolated(shop, 'Egress')).to.equal(false);
  });
});
