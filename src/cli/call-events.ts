/** Calls, as the commands print them. */
import type { Call } from '../calling/call.js';
import { isOrdinaryEnd } from '../calling/call-end.js';
import type { DivertedBy } from '../calling/caller.js';
import type { Calls } from '../calling/calls.js';
import type { DigitRoute } from '../calling/digits-machine.js';
import { formatEndpoint } from '../core/endpoint.js';
import type { Output } from './output.js';
import { printable } from './text.js';

/** Prints every call of a phone as it goes. */
export function tellCalls(calls: Calls, output: Output): void {
  calls.on('call', call => tellCall(call, output));
}

/** Prints what becomes of one call, its end left out. */
export function tellPhases(call: Call, output: Output): void {
  const { target, direction } = call;
  tellTransfers(call, output);
  call.on('digit', (digit, by) => tellDigit(call.target, { id: call.callId, digit, by }, output));
  call.on('phase', phase => {
    const fields = { direction, with: target, id: call.callId };
    switch (phase) {
      case 'trying': {
        const at = call.location && formatEndpoint(call.location.endpoint);
        output.event({ event: 'trying', ...fields, at }, `Calling ${target} at ${at} …`);
        return;
      }
      case 'ringing':
        output.event(
          {
            event: 'ringing',
            ...fields,
            ...(call.divertedBy.length > 0 && { divertedBy: call.divertedBy }),
          },
          direction === 'incoming'
            ? `${target} is calling${diversionText(call.divertedBy)}; \`ringline answer\` takes the call.`
            : `Ringing at ${target} …`,
        );
        return;
      case 'connected': {
        const codec = call.format?.name;
        const { encryption } = call;
        output.event(
          { event: 'connected', ...fields, codec, encryption },
          `Connected with ${target} (${codec}${encryption ? ', encrypted' : ''}).`,
        );
        return;
      }
      case 'locating':
      case 'answering':
      case 'ended':
        return;
    }
  });
}

/** Prints a key that the other side pressed. */
export function tellDigit(
  who: string,
  { id, digit, by }: { readonly id: string; readonly digit: string; readonly by: DigitRoute },
  output: Output,
): void {
  output.event({ event: 'digit', with: who, id, digit, by }, `${printable(who)} pressed ${digit}.`);
}

function tellTransfers(call: Call, output: Output): void {
  const { direction } = call;
  call.on('transferred', target => {
    const fields = { event: 'transferred', direction, with: target, id: call.callId };
    output.event(fields, `The call goes on with ${target}.`);
  });
}

function tellCall(call: Call, output: Output): void {
  tellPhases(call, output);
  call.once('ended', (end, statistics) => {
    const { target, direction } = call;
    const failure = isOrdinaryEnd(end) ? '' : `: ${end.message}`;
    output.event(
      { event: 'ended', direction, with: target, id: call.callId, ...end, statistics },
      `The call with ${target} has ended${failure}.`,
    );
  });
}

/** ` (sent on by anna: no-answer)`; nothing where nobody did. */
export function diversionText(divertedBy: readonly DivertedBy[] = []): string {
  const told = divertedBy.map(({ name, reason }) => `${printable(name)}: ${printable(reason)}`);
  return told.length > 0 ? ` (sent on by ${told.join(', ')})` : '';
}
