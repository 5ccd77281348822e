import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { installApi, messageOf } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { type KubernetesObject, render } from '../backends/render.ts';
import { valuesOf } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { at, ofKind } from '../testing/rendered.ts';
import { shopChart } from './shop-chart.ts';

const chart = shopChart(mercato);
const AWS = { enabled: true, accountId: '123456789012', region: 'eu-west-2' };

const participantsWith = (aws: object): KubernetesObject[] =>
  ofKind(render(chart, valuesOf(chart, { global: { aws } })), 'Participant');

/** How each is reached. */
const waysOf = (participants: readonly KubernetesObject[]) =>
  Object.fromEntries(
    participants.map(({ metadata, spec }) => [
      metadata.name,
      ['service', 'url', 'queue'].filter((way) => way in (spec as object)).join(),
    ]),
  );

describe('the chart of the shop', () => {
  const overHttp = { inventory: 'service', payment: 'url', shipping: 'service' };

  it('reaches participants over HTTP, and over queues those outside the card zone where commands go so', () => {
    expect(waysOf(participantsWith(AWS))).to.deep.equal(overHttp);
    expect(waysOf(participantsWith({ ...AWS, enabled: false, commandQueues: true }))).to.deep.equal(overHttp);
    const overQueues = participantsWith({ ...AWS, commandQueues: true });
    expect(waysOf(overQueues)).to.deep.equal({ inventory: 'queue', payment: 'url', shipping: 'queue' });
    expect(
      at(
        overQueues.find(({ metadata }) => metadata.name === 'inventory'),
        'spec.queue',
      ),
    ).to.deep.equal({
      url: 'https://sqs.eu-west-2.amazonaws.com/123456789012/mercato-production-inventory-commands',
      answersUrl: 'https://sqs.eu-west-2.amazonaws.com/123456789012/mercato-production-inventory-answers',
    });
  });

  describe('to the API server', () => {
    let plane: ControlPlane;

    before(async function () {
      this.timeout(120_000);
      plane = await sharedControlPlane();
      await installApi(plane);
    });

    for (const commandQueues of [false, true])
      it(`gives participants ${commandQueues ? 'behind queues' : 'over HTTP'} that it takes`, async () => {
        const namespace = await uniqueNamespace(plane, 'shop-chart');
        for (const participant of participantsWith({ ...AWS, commandQueues })) {
          const answer = await plane.request(
            `/apis/mercato.dev/v1alpha1/namespaces/${namespace}/participants?dryRun=All&fieldValidation=Strict`,
            { method: 'POST', body: { ...participant, metadata: { ...participant.metadata, namespace } } },
          );
          expect(answer.status, `${participant.metadata.name}: ${messageOf(answer)}`).to.equal(201);
        }
      });
  });
});
