import { expect } from 'chai';
import { createLogger } from './log.ts';

describe('the log', () => {
  it('never has a payment token or an authorization in it', () => {
    const lines: string[] = [];
    const logger = createLogger('test', 'info', { write: (line: string) => void lines.push(line) });
    logger.info(
      {
        paymentToken: 'tok_1',
        body: { paymentToken: 'tok_2', card: { pan: 'tok_3' } },
        request: { headers: { authorization: 'Bearer tok_4' } },
      },
      'hello',
    );
    const text = lines.join('');
    expect(text).not.to.contain('tok_');
    expect(JSON.parse(text)).to.include({ level: 'info', service: 'test', msg: 'hello' });
  });
});
