import { expect } from 'chai';
import fc from 'fast-check';
import { batchBody, batchItem, commandHeaders, commandText, ITEM_OVERHEAD_BYTES, traceparentOf } from './request.ts';
import { effectOf, runOf } from './testing/commands.ts';

const run = runOf('o-1');

describe('commandText', () => {
  it('writes the body as canonical JSON, and its size in bytes', () => {
    const { body, bytes } = commandText(run, effectOf('o-1', { body: { total: 1530, currency: 'GBP', name: 'Zoë' } }));
    expect(body).to.equal('{"currency":"GBP","name":"Zoë","total":1530}');
    expect(bytes).to.equal(body.length + 1);
  });

  it('says when the run began as RFC 3339', () => {
    expect(commandText(run, effectOf('o-1')).begun).to.equal('2026-11-22T12:00:00.000Z');
  });
});

describe('commandHeaders', () => {
  it('are those of the contract', () => {
    const list = commandHeaders(commandText(run, effectOf('o-1', { epoch: 3 })), 'T');
    const headers = Object.fromEntries(list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1]]] : [])));
    expect(headers).to.include({
      'content-type': 'application/json',
      authorization: 'Bearer T',
      'idempotency-key': 'shop/checkout/o-1/reserve/action',
      'mercato-epoch': '3',
      'mercato-begun': '2026-11-22T12:00:00.000Z',
    });
    expect(headers['traceparent']).to.match(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });
});

describe('traceparentOf', () => {
  const parts = (text: string) => text.split('-');

  it('keeps one trace for a run and gives each sending a span of its own', () => {
    const first = parts(traceparentOf(run, effectOf('o-1')));
    const again = parts(traceparentOf(run, effectOf('o-1', { send: 2 })));
    const other = parts(traceparentOf(runOf('o-2'), effectOf('o-2')));
    expect(again[1]).to.equal(first[1]);
    expect(again[2]).to.not.equal(first[2]);
    expect(other[1]).to.not.equal(first[1]);
  });

  it('is the same in a replay', () => {
    expect(traceparentOf(run, effectOf('o-1'))).to.equal(traceparentOf(runOf('o-1'), effectOf('o-1')));
  });
});

describe('a batch', () => {
  it('is JSON that holds what each command would have sent', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1, maxLength: 5 }), (bodies) => {
        const sent = bodies.map((body, i) => effectOf(`o-${i}`, { body: JSON.parse(JSON.stringify(body)) }));
        const texts = sent.map((effect, i) => commandText(runOf(`o-${i}`), effect));
        const batch = JSON.parse(batchBody(texts.map((text) => batchItem('reserve-stock', text))));
        expect(batch).to.deep.equal({
          items: texts.map(({ key, epoch, begun, traceparent, body }) => ({
            command: 'reserve-stock',
            key,
            epoch,
            begun,
            traceparent,
            body: JSON.parse(body),
          })),
        });
      }),
    );
  });

  it('takes no more than the overhead that is reckoned with beside the bodies', () => {
    const longest = 'a'.repeat(63);
    const id = { namespace: longest, saga: longest, orderId: longest };
    const key = `${longest}/${longest}/${longest}/${longest}/compensation`;
    const text = commandText(id, effectOf('x', { key, epoch: Number.MAX_SAFE_INTEGER }));
    expect(Buffer.byteLength(batchItem(longest, text)) + 1 - text.bytes).to.be.at.most(ITEM_OVERHEAD_BYTES);
  });
});
