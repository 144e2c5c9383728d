/** Messages, as the commands print them. */
import type { TextMessage } from '../services/messages/inbox-machine.js';
import type { Messages } from '../services/messages/messages.js';
import type { Output } from './output.js';
import { printable } from './text.js';

/** Prints each message that comes in. */
export function tellMessages(messages: Messages, output: Output): void {
  messages.listen(message => tellMessage(message, output));
}

export function tellMessage(message: TextMessage, output: Output): void {
  const { id, from, name, text } = message;
  const receivedAt = new Date(message.receivedAt).toISOString();
  output.event(
    { event: 'message', id, from, name, text, receivedAt },
    `${printable(name)} (${printable(from)}) wrote: ${printable(text)}`,
  );
}
