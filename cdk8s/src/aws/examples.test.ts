import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { messageOf } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { parse } from 'yaml';
import { overridesOf } from '../backends/environments.ts';
import { objectsOf } from '../backends/manifests.ts';
import { merge, type Overrides } from '../backends/values.ts';
import { packagesOf } from '../charts/index.ts';
import { environments } from '../model/environments.ts';
import { mercato } from '../model/mercato.ts';
import { at } from '../testing/rendered.ts';
import { isAck, parsed } from './testing.ts';

const FOLDER = join(import.meta.dirname, '../../../examples/eks');
const read = (file: string) => parse(readFileSync(join(FOLDER, file), 'utf8')) as Record<string, unknown>;

describe('the examples for EKS', () => {
  it('have values that the umbrella takes, over those of production', () => {
    const umbrella = packagesOf(mercato).find(({ definition }) => definition.name === 'mercato');
    if (umbrella === undefined) throw new Error('there is no umbrella');
    const overrides = merge(overridesOf(umbrella, environments.production), read('values.yaml')) as Overrides;
    const objects = objectsOf(umbrella, overrides);
    expect(objects.filter(isAck)).not.to.be.empty;
    const boundary = objects.find(({ kind }) => kind === 'PciBoundary');
    const ways = (at(boundary, 'spec.egress') as { name: string }[]).map(({ name }) => name);
    expect(ways).to.include.members(['payment-to-aws', 'payment-to-processor']);
  });

  it('taint and label the card nodes as payment expects them', () => {
    const groups = read('cluster.yaml')['managedNodeGroups'] as Record<string, unknown>[];
    const card = groups.find(({ name }) => name === 'card');
    expect(card?.['labels']).to.deep.equal({ 'mercato.dev/card-data': 'true' });
    expect(card?.['taints']).to.deep.equal([{ key: 'mercato.dev/card-data', value: 'true', effect: 'NoSchedule' }]);
  });

  it('trust ACK’s controllers and nobody else', () => {
    const { Statement } = parsed(readFileSync(join(FOLDER, 'pod-identity-trust.json'), 'utf8'));
    expect(Statement.map(({ Principal }) => Principal)).to.deep.equal([{ Service: 'pods.eks.amazonaws.com' }]);
    expect(at(Statement[0], ['Condition', 'StringEquals', 'aws:RequestTag/kubernetes-namespace'])).to.equal(
      'ack-system',
    );
  });

  it('are what the API server takes', async function () {
    this.timeout(120_000);
    const plane = await sharedControlPlane();
    const namespace = await uniqueNamespace(plane, 'eks');
    const paths = {
      'allow-all.yaml': `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`,
      'storageclass.yaml': '/apis/storage.k8s.io/v1/storageclasses',
    };
    for (const [file, path] of Object.entries(paths)) {
      const answer = await plane.request(`${path}?dryRun=All&fieldValidation=Strict`, {
        method: 'POST',
        body: read(file),
      });
      expect(answer.status, `${file}: ${messageOf(answer)}`).to.equal(201);
    }
  });
});
