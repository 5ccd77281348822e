import { type Answer, type CommandRequest, Participant, refused } from '@mercato/kit';
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
  return namesPan(request.traceparent ?? '') || namesPan(request.begun) ? 'a header' : undefined;
}
