/** What is meant as a request but cannot be read as one still deserves its answer (RFC 3261 §8.2, RFC 4475 §3.1.2). */
import { parseMessage, type SipRequest, SipSyntaxError } from '@sip-stack/parser';

/**
 * The header fields of a datagram whose start line or body is malformed, on a start line that says nothing.
 * Enough to make a response of; undefined for responses, ACK, and what names no Via to answer to.
 */
export function readableRequest(data: Uint8Array): SipRequest | undefined {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
  const head = text.slice(0, endOfHead(text));
  const firstLineEnd = head.search(/\r?\n/);
  const firstLine = head.slice(0, firstLineEnd);
  if (firstLineEnd < 0 || /^(SIP\/|ACK\s)/i.test(firstLine)) return undefined;
  const fields = head.slice(firstLineEnd).replace(/\r?\n(?:content-length|l)[ \t]*:[^\r\n]*/gi, '');
  try {
    const message = parseMessage(
      Buffer.from(`UNREADABLE sip:unreadable SIP/2.0${fields}\r\n\r\n`, 'latin1'),
    );
    return message.kind === 'request' && message.headers.has('Via') ? message : undefined;
  } catch (error) {
    if (error instanceof SipSyntaxError) return undefined;
    throw error;
  }
}

function endOfHead(text: string): number {
  const blank = /\r?\n\r?\n/.exec(text);
  return blank ? blank.index : text.trimEnd().length;
}
