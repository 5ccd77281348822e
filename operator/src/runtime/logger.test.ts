import { expect } from 'chai';
import { createLogger } from './logger.ts';

function capture(level: 'debug' | 'info' = 'info') {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ level, now: () => 0, write: (line) => lines.push(JSON.parse(line)) });
  return { logger, lines };
}

describe('logger', () => {
  it('writes one JSON object a line with time, level, message and fields, its own and those bound', () => {
    const { logger, lines } = capture();
    logger.with({ controller: 'run' }).info('done', { key: 'a/b' });
    logger.debug('not written');
    expect(lines).to.deep.equal([
      { time: '1970-01-01T00:00:00.000Z', level: 'info', msg: 'done', controller: 'run', key: 'a/b' },
    ]);
  });

  it('keeps secrets out, by key at any depth and by the shape of a bearer credential in text', () => {
    const { logger, lines } = capture();
    const error = Object.assign(new Error('refused: authorization: Bearer abcdefghijk.123'), { token: 's3cret' });
    logger.info('Bearer abcdefghijk.123', {
      headers: { Authorization: 'Bearer abcdefghijk.123', accept: 'x' },
      paymentToken: 'tok_1',
      list: [{ 'client-key': 'pem' }],
      pan: '4111111111111111',
      timespan: 'kept',
      error,
    });
    const text = JSON.stringify(lines);
    for (const secret of ['abcdefghijk', 's3cret', 'tok_1', '"pem"', '41111']) expect(text).not.to.include(secret);
    expect(lines[0]).to.have.nested.property('headers.accept', 'x');
    expect(lines[0]).to.have.property('timespan', 'kept');
  });

  it('writes errors with name, stack and causes, and survives cycles, bigints and getters that throw', () => {
    const { logger, lines } = capture();
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    logger.error('failed', { error: new Error('outer', { cause: new TypeError('inner') }), cycle, big: 2n });
    logger.error('bad field', {
      get field(): string {
        throw new Error('no');
      },
    });
    expect(lines[0]).to.have.nested.property('error.cause.name', 'TypeError');
    expect(lines[0]).to.have.property('big', '2');
    expect(lines[1]).to.include({ msg: 'bad field', level: 'error' });
    expect(lines[1]).to.have.property('logError');
  });

  it('does not let a field pose as the level or the message', () => {
    const { logger, lines } = capture();
    logger.warn('true message', { msg: 'forged', level: 'debug' });
    expect(lines[0]).to.include({ msg: 'true message', level: 'warn' });
  });
});
