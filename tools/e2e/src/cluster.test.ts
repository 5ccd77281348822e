import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { CARD_NODE } from './capabilities.ts';
import { choose, findCluster, NoClusterError, ROOT, type Surroundings } from './cluster.ts';
import { KIND_CLUSTER, kindClusterExists, NoKindError } from './kind.ts';

describe('which cluster is used', () => {
  const nothing: Surroundings = {
    kubeconfig: undefined,
    hasDocker: false,
    hasKind: false,
    kindRuns: false,
    tool: undefined,
    toolKubeconfig: undefined,
  };
  const docker = { hasDocker: true, hasKind: true };
  const tool = { tool: '/tool', toolKubeconfig: '/tool/kubeconfig' };

  it('is the one of KUBECONFIG, whatever else is there', () => {
    expect(choose({ ...nothing, ...docker, ...tool, kindRuns: true, kubeconfig: '/mine' })).to.deep.equal({
      provider: 'given',
      start: false,
    });
  });

  it("is known for the tool's own, where KUBECONFIG says that", () => {
    const { provider } = choose({ ...nothing, ...tool, kubeconfig: '/tool/kubeconfig' });
    expect(provider).to.equal('tool');
  });

  it('is kind, where Docker is, before the tool for machines without', () => {
    expect(choose({ ...nothing, ...docker, ...tool, kindRuns: true })).to.deep.equal({
      provider: 'kind',
      start: false,
    });
    expect(choose({ ...nothing, ...docker, ...tool })).to.deep.equal({ provider: 'kind', start: true });
    expect(choose({ ...nothing, ...tool })).to.deep.equal({ provider: 'tool', start: true });
  });

  it('is asked for, with what to install, where there is nothing', () => {
    expect(() => choose(nothing)).to.throw(
      NoClusterError,
      /set KUBECONFIG.*install Docker.*Install kind: go install .*make kind-up/,
    );
    expect(() => choose({ ...nothing, hasDocker: true })).to.throw(NoClusterError, /Docker is here and kind is not/);
  });

  it('is named where KUBECONFIG says one that is not there', async () => {
    const failure = await findCluster(() => {}, { KUBECONFIG: '/nowhere/config' }).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(NoClusterError);
    expect(String(failure)).to.include('KUBECONFIG names /nowhere/config');
  });
});

describe('the kind cluster', () => {
  it('cannot be asked for without kind, and how to install that is said', async () => {
    const failure = await kindClusterExists(KIND_CLUSTER, '/nowhere/kind').catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(NoKindError);
    expect(String(failure)).to.match(/Install kind: go install .*make kind-up/);
  });

  interface Node {
    readonly role: string;
    readonly labels?: Record<string, string>;
    readonly kubeadmConfigPatches?: string[];
  }
  const { name, nodes } = parse(readFileSync(join(ROOT, 'kind-config.yaml'), 'utf8')) as {
    name: string;
    nodes: Node[];
  };
  const workers = nodes.filter(({ role }) => role === 'worker');
  const isCard = ({ labels }: Node) => labels?.[CARD_NODE] === 'true';

  it('is the one that make kind-up starts, with a control plane', () => {
    expect(name).to.equal(KIND_CLUSTER);
    expect(nodes.filter(({ role }) => role === 'control-plane')).to.have.length(1);
  });

  it('has three zones, each with a node for everything', () => {
    const zones = workers.filter((node) => !isCard(node)).map(({ labels }) => labels?.['topology.kubernetes.io/zone']);
    expect(new Set(zones)).to.have.length(3);
    expect(zones).to.not.include(undefined);
  });

  it('has a node for card data, in a zone, which bears nothing else', () => {
    const [card, ...more] = workers.filter(isCard);
    expect(more).to.deep.equal([]);
    expect(card?.labels).to.have.property('topology.kubernetes.io/zone');
    const patch = parse(card?.kubeadmConfigPatches?.[0] ?? '') as {
      kind: string;
      nodeRegistration: { taints: unknown[] };
    };
    expect(patch.kind, 'of a node that joins').to.equal('JoinConfiguration');
    expect(patch.nodeRegistration.taints).to.deep.equal([{ key: CARD_NODE, value: 'true', effect: 'NoSchedule' }]);
  });
});
