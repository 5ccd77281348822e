import { expect } from 'chai';
import fc from 'fast-check';
import { batchBody, batchItem, commandHeaders, commandText, ITEM_OVERHEAD_BYTES } from './request.ts';
import { effectOf } from './testing/commands.ts';

const TRACEPARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

describe('commandText', () => {
  it('writes the body as canonical JSON, and its size in bytes', () => {
    const { body, bytes } = commandText(effectOf('o-1', { body: { total: 1530, currency: 'GBP', name: 'Zoë' } }));
    expect(body).to.equal('{"currency":"GBP","name":"Zoë","total":1530}');
    expect(bytes).to.equal(body.length + 1);
  });

  it('says when the run began as RFC 3339', () => {
    expect(commandText(effectOf('o-1')).begun).to.equal('2026-11-22T12:00:00.000Z');
  });
});

describe('commandHeaders', () => {
  it('are those of the contract', () => {
    const list = commandHeaders(commandText(effectOf('o-1', { epoch: 3, traceparent: TRACEPARENT })), 'T');
    const headers = Object.fromEntries(list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1]]] : [])));
    expect(headers).to.include({
      'content-type': 'application/json',
      authorization: 'Bearer T',
      'idempotency-key': 'shop/checkout/o-1/reserve/action',
      'mercato-epoch': '3',
      'mercato-begun': '2026-11-22T12:00:00.000Z',
    });
    expect(headers['traceparent']).to.equal(TRACEPARENT);
  });

  it('have no trace context for a run without a trace', () => {
    expect(commandHeaders(commandText(effectOf('o-1')), 'T')).to.not.include('traceparent');
  });
});

describe('a batch', () => {
  it('is JSON that holds what each command would have sent', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1, maxLength: 5 }), (bodies) => {
        const sent = bodies.map((body, i) =>
          effectOf(`o-${i}`, {
            body: JSON.parse(JSON.stringify(body)),
            ...(i % 2 === 0 ? {} : { traceparent: TRACEPARENT }),
          }),
        );
        const texts = sent.map((effect) => commandText(effect));
        const batch = JSON.parse(batchBody(texts.map((text) => batchItem('reserve-stock', text))));
        expect(batch).to.deep.equal({
          items: texts.map(({ key, epoch, begun, traceparent, body }) => ({
            command: 'reserve-stock',
            key,
            epoch,
            begun,
            ...(traceparent === undefined ? {} : { traceparent }),
            body: JSON.parse(body),
          })),
        });
      }),
    );
  });

  it('takes no more than the overhead that is reckoned with beside the bodies', () => {
    const longest = 'a'.repeat(63);
    const key = `${longest}/${longest}/${longest}/${longest}/compensation`;
    const text = commandText(effectOf('x', { key, epoch: Number.MAX_SAFE_INTEGER, traceparent: TRACEPARENT }));
    expect(Buffer.byteLength(batchItem(longest, text)) + 1 - text.bytes).to.be.at.most(ITEM_OVERHEAD_BYTES);
  });
});
