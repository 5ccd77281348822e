import { expect } from 'chai';
import fc from 'fast-check';
import { MAX_OUTPUT_BYTES } from '../saga/output.ts';
import type { Answer } from '../saga/types.ts';
import { type Expected, parseRetryAfter, type RawAnswer, readAnswer, readBatch, readItem } from './answer.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const where = 'POST http://inventory:8080/saga/reserve-stock';
const expected: Expected = { where, command: 'reserve-stock', reasons: ['OutOfStock', 'UnknownSku'] };

const raw = (
  status: number,
  contentType: string | undefined,
  body: string | Buffer,
  more: Partial<RawAnswer> = {},
): RawAnswer => ({
  status,
  contentType,
  body: Buffer.from(body),
  receivedAt: NOW,
  ...more,
});
const json = (status: number, value: unknown): RawAnswer => raw(status, 'application/json', JSON.stringify(value));
const problem = (status: number, value: unknown): RawAnswer =>
  raw(status, 'application/problem+json', JSON.stringify(value));
const read = (answer: RawAnswer): Answer => readAnswer(answer, expected);
const unknownOf = (answer: Answer): { reason: string; message: string } => {
  if (answer.type !== 'Unknown') throw new Error(`expected Unknown, got ${JSON.stringify(answer)}`);
  return answer;
};

describe('readAnswer', () => {
  describe('of 200', () => {
    it('takes an object as the output', () => {
      const output = { reservationId: 'r-1', expiresAt: '2026-11-22T12:15:00Z' };
      expect(read(json(200, output))).to.deep.equal({ type: 'Success', output });
    });

    it('takes parameters and capitals in the content type', () => {
      expect(read(raw(200, 'Application/JSON ; charset=UTF-8', '{}')).type).to.equal('Success');
    });

    it('does not take an HTML page for a success', () => {
      const { reason, message } = unknownOf(read(raw(200, 'text/html; charset=utf-8', '<html><title>Sign in</title>')));
      expect(reason).to.equal('Html');
      expect(message).to.include(where).and.include('Sign in').and.include('proxy');
    });

    for (const [what, body] of [
      ['broken JSON', '{"reservationId":'],
      ['an empty body', ''],
      ['a byte order mark', '\uFEFF{}'],
      ['broken UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
      ['a number beyond doubles', '{"a":1e999}'],
    ] as const) {
      it(`does not take ${what} for JSON`, () => {
        expect(unknownOf(read(raw(200, 'application/json', body))).reason).to.equal('NotJson');
      });
    }

    for (const value of [[], [{}], null, 'ok', 17, true]) {
      it(`does not take ${JSON.stringify(value)} for an output`, () => {
        expect(unknownOf(read(json(200, value))).reason).to.equal('NotAnObject');
      });
    }

    for (const contentType of ['text/plain', 'application/problem+json', 'application/jsonp', undefined]) {
      it(`refuses the content type ${contentType}`, () => {
        const { reason, message } = unknownOf(read(raw(200, contentType, '{}')));
        expect(reason).to.equal('WrongContentType');
        expect(message).to.include('must be application/json');
      });
    }

    it('measures the output as canonical JSON, in bytes', () => {
      const filler = (bytes: number) => `{ "a" : "${'x'.repeat(bytes - '{"a":""}'.length)}" }`;
      expect(read(raw(200, 'application/json', filler(MAX_OUTPUT_BYTES))).type).to.equal('Success');
      const { reason, message } = unknownOf(read(raw(200, 'application/json', filler(MAX_OUTPUT_BYTES + 1))));
      expect(reason).to.equal('OutputTooLarge');
      expect(message).to.include('1025 bytes').and.include('1024');
      expect(unknownOf(read(json(200, { a: 'é'.repeat(510) }))).reason).to.equal('OutputTooLarge');
    });

    it('bears an output that is nested deeper than any stack', () => {
      const deep = `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
      expect(unknownOf(read(raw(200, 'application/json', deep))).reason).to.equal('OutputTooLarge');
    });

    it('does not read an answer that was cut off, even where the rest is JSON', () => {
      const { reason, message } = unknownOf(read(raw(200, 'application/json', '{}', { truncated: true })));
      expect(reason).to.equal('AnswerTooLarge');
      expect(message).to.include('maxAnswerBytes');
    });
  });

  describe('of 422', () => {
    it('takes a declared reason for a business failure', () => {
      const answer = read(
        problem(422, {
          type: 'about:blank',
          title: 'Unprocessable Content',
          reason: 'OutOfStock',
          detail: 'no tea is left',
        }),
      );
      expect(answer).to.deep.equal({ type: 'BusinessFailure', reason: 'OutOfStock', message: 'no tea is left' });
    });

    it('tells the title where there is no detail, and the reason where there is neither', () => {
      expect(read(problem(422, { title: 'No stock', reason: 'OutOfStock' }))).to.have.property('message', 'No stock');
      expect(read(problem(422, { reason: 'OutOfStock' }))).to.have.property('message', 'OutOfStock');
    });

    it('retries a reason that is not declared, and says which are', () => {
      const { reason, message } = unknownOf(read(problem(422, { reason: 'Moonphase', detail: 'x' })));
      expect(reason).to.equal('ReasonNotDeclared');
      expect(message).to.include('"Moonphase"').and.include('OutOfStock, UnknownSku').and.include('spec.commands');
    });

    it('says so when no reason is declared', () => {
      const { message } = unknownOf(readAnswer(problem(422, { reason: 'X' }), { ...expected, reasons: [] }));
      expect(message).to.include('declared are: none');
    });

    it('does not take the members of Object.prototype for declared', () => {
      expect(unknownOf(read(problem(422, { reason: 'constructor' }))).reason).to.equal('ReasonNotDeclared');
    });

    it('retries a problem without a reason', () => {
      expect(unknownOf(read(problem(422, { detail: 'no' }))).reason).to.equal('ReasonMissing');
      expect(unknownOf(read(problem(422, ['OutOfStock']))).reason).to.equal('ReasonMissing');
      expect(unknownOf(read(problem(422, { reason: 7 }))).reason).to.equal('ReasonMissing');
    });

    it('does not believe what is no problem+json', () => {
      expect(unknownOf(read(json(422, { reason: 'OutOfStock' }))).reason).to.equal('WrongContentType');
      expect(unknownOf(read(raw(422, 'text/html', 'OutOfStock'))).reason).to.equal('Html');
      expect(unknownOf(read(raw(422, 'application/problem+json', 'OutOfStock'))).reason).to.equal('NotJson');
    });
  });

  describe('of 409 and 410', () => {
    for (const reason of ['FingerprintMismatch', 'Fenced'] as const) {
      it(`reads ${reason}`, () => {
        expect(read(problem(409, { reason, detail: 'why' }))).to.deep.equal({
          type: 'Refused',
          reason,
          message: 'why',
        });
      });
    }

    it('reads StaleEpoch with the epoch that is known', () => {
      const answer = read(problem(409, { reason: 'StaleEpoch', detail: 'why', epoch: 4 }));
      expect(answer).to.deep.equal({ type: 'Refused', reason: 'StaleEpoch', message: 'why', epoch: 4 });
    });

    for (const epoch of [0, -1, 1.5, '4', null, 1_000_000, 2 ** 60]) {
      it(`does not take ${JSON.stringify(epoch)} for an epoch`, () => {
        expect(read(problem(409, { reason: 'StaleEpoch', epoch }))).to.deep.equal({
          type: 'Refused',
          reason: 'StaleEpoch',
          message: 'StaleEpoch',
        });
      });
    }

    it('reads KeyExpired', () => {
      expect(read(problem(410, { reason: 'KeyExpired', detail: 'too old' }))).to.deep.equal({
        type: 'Refused',
        reason: 'KeyExpired',
        message: 'too old',
      });
    });

    it('retries refusals that the contract does not know', () => {
      expect(unknownOf(read(problem(409, { reason: 'KeyExpired' }))).reason).to.equal('HttpStatus409');
      expect(unknownOf(read(problem(410, { reason: 'Fenced' }))).reason).to.equal('HttpStatus410');
      expect(unknownOf(read(problem(409, { reason: 'OutOfStock' }))).reason).to.equal('HttpStatus409');
      expect(unknownOf(read(json(409, { reason: 'Fenced' }))).reason).to.equal('WrongContentType');
      expect(unknownOf(read(raw(410, 'text/html', '<h1>Gone</h1>'))).reason).to.equal('Html');
    });
  });

  describe('of 202, 425 and 429', () => {
    it('reads the wait', () => {
      expect(read(raw(202, undefined, '', { retryAfter: '0.2' }))).to.deep.equal({ type: 'Accepted', retryAfter: 200 });
      const exact = raw(202, undefined, '', { retryAfter: '1', retryAfterMs: '200' });
      expect(read(exact), 'exactly').to.deep.equal({ type: 'Accepted', retryAfter: 200 });
      for (const retryAfterMs of ['', '-1', '0.2', '1e3', 'soon'])
        expect(read(raw(202, undefined, '', { retryAfter: '1', retryAfterMs }))).to.include({ retryAfter: 1000 });
      expect(read(raw(202, 'application/json', '{}'))).to.deep.equal({ type: 'Accepted' });
      expect(read(raw(425, undefined, '', { retryAfter: '2' }))).to.include({
        type: 'NotNow',
        reason: 'InFlight',
        retryAfter: 2000,
      });
      expect(read(raw(429, 'text/html', 'slow down')))
        .to.include({ type: 'NotNow', reason: 'Overloaded' })
        .and.not.have.property('retryAfter');
    });

    it('counts a date from when the answer came', () => {
      const retryAfter = new Date(NOW + 7000).toUTCString();
      expect(read(raw(429, undefined, '', { retryAfter }))).to.have.property('retryAfter', 7000);
    });
  });

  describe('of anything else', () => {
    for (const status of [201, 204, 301, 307, 400, 401, 403, 404, 405, 408, 413, 415, 500, 502, 503, 504]) {
      it(`is unknown: ${status}`, () => {
        const { reason, message } = unknownOf(read(raw(status, 'text/plain', 'some text')));
        expect(reason).to.equal(`HttpStatus${status}`);
        expect(message).to.include(where).and.include(String(status)).and.include('some text');
      });
    }

    it('says what to do about it', () => {
      const told = (status: number) => unknownOf(read(raw(status, undefined, ''))).message;
      expect(told(401)).to.include('audience');
      expect(told(404)).to.include('basePath');
      expect(told(302)).to.include('redirects are not followed');
    });

    it("tells a problem's detail, or the start of a text", () => {
      expect(unknownOf(read(problem(503, { detail: 'the store is full' }))).message).to.include('the store is full');
      expect(unknownOf(read(raw(502, 'text/html', '<h1>Bad\n  Gateway</h1>'))).message).to.include(
        '<h1>Bad Gateway</h1>',
      );
      expect(
        unknownOf(read(raw(500, 'text/plain', 'x'.repeat(60_000).replaceAll('xxxxx', 'hello '), { truncated: true })))
          .message.length,
      ).to.be.lessThan(400);
    });

    it('tells no secrets', () => {
      const page =
        'denied: Authorization: Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0 for card 4242 4242 4242 4242, "paymentToken":"tok_visa"';
      const { message } = unknownOf(read(raw(500, 'text/plain', page)));
      expect(message)
        .to.include('denied')
        .and.not.match(/eyJ|4242|tok_visa/);
    });
  });

  it('never throws, and takes nothing but 200 and a problem with a declared reason as final', () => {
    const body = fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .record({
          reason: fc.constantFrom('OutOfStock', 'Fenced', 'StaleEpoch', 'KeyExpired', 'X'),
          epoch: fc.anything(),
        })
        .map((value) => {
          try {
            return Buffer.from(JSON.stringify(value));
          } catch {
            return Buffer.from('{}');
          }
        }),
    );
    const status = fc.oneof(fc.constantFrom(200, 202, 409, 410, 422, 425, 429), fc.integer({ min: 200, max: 599 }));
    const contentType = fc.constantFrom(
      'application/json',
      'application/problem+json',
      'text/html',
      '',
      ';',
      undefined,
    );
    const header = fc.oneof(fc.string(), fc.constant(undefined));
    fc.assert(
      fc.property(status, contentType, body, header, fc.boolean(), (s, c, b, retryAfter, truncated) => {
        const answer = readAnswer(
          { status: s, contentType: c, body: b, retryAfter, truncated, receivedAt: NOW },
          expected,
        );
        if (answer.type === 'Success') expect([s, c, truncated]).to.deep.equal([200, 'application/json', false]);
        if (answer.type === 'BusinessFailure')
          expect([s, c, truncated]).to.deep.equal([422, 'application/problem+json', false]);
        if (answer.type === 'Refused') expect([409, 410]).to.include(s);
        if ('message' in answer) expect(answer.message.length).to.be.lessThan(800);
      }),
    );
  });
});

describe('parseRetryAfter', () => {
  for (const [header, millis] of [
    ['3', 3000],
    [' 0.2 ', 200],
    ['0', 0],
    ['0.0004', 1],
    ['999999999', 86_400_000],
    ['Sun, 22 Nov 2026 12:01:00 GMT', 60_000],
    ['Sun, 22 Nov 2026 11:00:00 GMT', 0],
    ['Sunday, 22-Nov-26 12:00:05 GMT', 5000],
    ['-5', undefined],
    ['2026', 2_026_000],
    ['soon', undefined],
    ['Tomorrow, please', undefined],
    ['1e9', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    it(`reads ${JSON.stringify(header)}`, () => {
      expect(parseRetryAfter(header, NOW)).to.equal(millis);
    });
  }
});

describe('readItem', () => {
  it('reads what the contract shows', () => {
    expect(readItem({ status: 200, body: { reservationId: 'r' } }, expected)).to.deep.equal({
      type: 'Success',
      output: { reservationId: 'r' },
    });
    expect(readItem({ status: 422, body: { reason: 'OutOfStock', detail: 'none' } }, expected)).to.include({
      type: 'BusinessFailure',
    });
    expect(readItem({ status: 425, retryAfter: 0.2, body: {} }, expected)).to.include({
      type: 'NotNow',
      retryAfter: 200,
    });
    expect(readItem({ status: 202 }, expected)).to.deep.equal({ type: 'Accepted' });
    expect(readItem({ status: 409, body: { reason: 'StaleEpoch', epoch: 2 } }, expected)).to.include({
      type: 'Refused',
      epoch: 2,
    });
  });

  for (const item of [
    null,
    7,
    'x',
    [],
    {},
    { status: '200', body: {} },
    { status: 200 },
    { status: 200, body: [] },
    { status: 500 },
  ]) {
    it(`leaves ${JSON.stringify(item)} unknown`, () => {
      expect(readItem(item, expected).type).to.equal('Unknown');
    });
  }

  it('reads a retryAfter that is no number as none', () => {
    for (const retryAfter of ['1', -1, null, {}]) {
      expect(readItem({ status: 202, retryAfter }, expected)).to.deep.equal({ type: 'Accepted' });
    }
  });
});

describe('readBatch', () => {
  it('gives as many items as were sent', () => {
    expect(readBatch(json(200, { items: [1, 2] }), 2, where)).to.deep.equal({ items: [1, 2] });
  });

  for (const value of [{ items: [1] }, { items: [1, 2, 3] }, { items: {} }, {}, [1, 2]]) {
    it(`believes no item of ${JSON.stringify(value)} as the answer to two`, () => {
      const reading = readBatch(json(200, value), 2, where);
      expect(reading).to.have.nested.property('whole.type', 'Unknown');
    });
  }

  it('costs nothing when the service has too much to do', () => {
    const reading = readBatch(raw(429, undefined, '', { retryAfter: '1' }), 2, where);
    expect(reading).to.have.property('whole').that.includes({ type: 'NotNow', retryAfter: 1000 });
  });

  it('takes no business failure or refusal of the whole for one of each', () => {
    for (const status of [202, 409, 410, 422, 425, 503]) {
      const reading = readBatch(problem(status, { reason: 'Fenced' }), 2, where);
      expect(reading).to.have.nested.property('whole.type', 'Unknown');
    }
  });
});
