import { type Answer, type CommandRequest, Participant, refused } from '@mercato/kit';
import { traceparentOf } from '@mercato/kit/traceparent.ts';
import { findPan, namesPan } from './domain/pan.ts';

/**
 * A Participant that refuses a command with 400 when anything in it looks like a card number, before anything of it is stored,
 * fingerprinted or logged. The answer names the place, never the value. Whatever transport a command comes over, it passes here.
 */
export class CardFreeParticipant extends Participant {
  override execute(request: CommandRequest): Promise<Answer> {
    const place = findPan(request.body, 'body') ?? placeInHeaders(request);
    if (place === undefined) return super.execute(request);
    return Promise.resolve(
      refused(
        400,
        'CardNumberRefused',
        `${place} looks like a card number: this service takes tokens only; send the card to the vault and its token here`,
      ),
    );
  }
}

function placeInHeaders(request: CommandRequest): string | undefined {
  if (namesPan(request.key)) return 'Idempotency-Key';
  if (namesPan(request.command)) return 'the command';
  return namesPan(strangeTrace(request)) || namesPan(request.begun) ? 'a header' : undefined;
}

/**
 * A traceparent in its form is 48 random hex digits: of some 50,000 one holds what a card number could be, and each command of its order would be refused
 * for ever. One that has another form may hold anything.
 */
function strangeTrace({ traceparent }: CommandRequest): string {
  return traceparentOf(traceparent) === undefined ? (traceparent ?? '') : '';
}
