/** A message into octets. */
import { allIn, TOKEN } from './chars.js';
import { SipSyntaxError } from './errors.js';
import type { SipMessage } from './message.js';
import { formatUri } from './uri.js';

const encoder = new TextEncoder();

/**
 * Writes a message, with the Content-Length its body has.
 *
 * @throws {SipSyntaxError} `BAD_VALUE`, `BAD_START_LINE` for values that cannot stand on a line
 */
export function serializeMessage(message: SipMessage): Uint8Array {
  const { body } = message;
  let head = `${startLine(message)}\r\n`;
  for (const [name, value] of message.headers.entries()) {
    if (name !== 'Content-Length') head += `${name}: ${value}\r\n`;
  }
  head += `Content-Length: ${body.length}\r\n\r\n`;
  if (body.length === 0) return encoder.encode(head);
  const octets = new Uint8Array(head.length + body.length);
  const { read, written } = encoder.encodeInto(head, octets);
  if (read === head.length && written === head.length) {
    octets.set(body, written);
    return octets;
  }
  return joined(encoder.encode(head), body);
}

function startLine(message: SipMessage): string {
  switch (message.kind) {
    case 'request': {
      const uri = formatUri(message.uri);
      if (!allIn(TOKEN, message.method) || /[\s<>]/.test(uri)) {
        throw badStartLine(`${message.method} ${uri}`);
      }
      return `${message.method} ${uri} SIP/2.0`;
    }
    case 'response': {
      const { status, reason } = message;
      if (!Number.isInteger(status) || status < 100 || status > 699 || /[\r\n]/.test(reason)) {
        throw badStartLine(`${status} ${reason}`);
      }
      return `SIP/2.0 ${status} ${reason}`;
    }
  }
}

function badStartLine(found: string): SipSyntaxError {
  return new SipSyntaxError(
    'BAD_START_LINE',
    `expected a method and a URI, or a status from 100 to 699 and a phrase, found ${JSON.stringify(found.slice(0, 80))}`,
  );
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
