/** One datagram, or one framed message of a stream, into a message. */
import { isDigit, isIn, TOKEN } from './chars.js';
import { excerpt } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { contentLengthOf, decodeOctets, endOfLine, readHeaderLines } from './head.js';
import { Headers } from './headers.js';
import { DEFAULT_LIMITS, type ParseLimits, tooLarge } from './limits.js';
import { type SipMessage, SipRequest, SipResponse } from './message.js';
import { readUri } from './uri.js';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const SLASH = 0x2f;
const VERSION = 'SIP/2.0';
const END_OF_HEAD = '\r\n\r\n';

/**
 * Reads one message. Octets after the body are dropped (RFC 3261 §18.3). The body is a view of
 * `data`, not a copy.
 *
 * @throws {SipSyntaxError}
 */
export function parseMessage(data: Uint8Array, limits?: Partial<ParseLimits>): SipMessage {
  const { headerBytes, bodyBytes, headerCount } =
    limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...limits };
  const start = skipLineEnds(data);
  if (start === data.length) throw new SipSyntaxError('EMPTY', 'expected a message, found nothing');
  const { text, headEnd, bodyStart } = splitHead(start === 0 ? data : data.subarray(start));
  if (bodyStart > headerBytes) throw tooLarge('head', headerBytes);

  const lineEnd = endOfLine(text, 0);
  const lines = readHeaderLines(text, lineEnd + 2, headEnd, headerCount);
  const available = data.length - start - bodyStart;
  const length = contentLengthOf(lines) ?? available;
  if (length > bodyBytes) throw tooLarge('body', bodyBytes);
  if (length > available) {
    const message = `expected ${length} octets of body, found ${available}`;
    throw new SipSyntaxError('TRUNCATED_BODY', message, { field: 'Content-Length' });
  }
  const body = data.subarray(start + bodyStart, start + bodyStart + length);
  const headers = new Headers(lines);
  return text.charCodeAt(3) === SLASH && (text.startsWith('SIP') || text.startsWith('sip'))
    ? readResponse(text, lineEnd, headers, body)
    : readRequest(text, lineEnd, headers, body);
}

/** `Method SP Request-URI SP SIP-Version`, with exactly one space between. */
function readRequest(head: string, end: number, headers: Headers, body: Uint8Array): SipRequest {
  let methodEnd = 0;
  while (methodEnd < end && isIn(TOKEN, head.charCodeAt(methodEnd))) methodEnd++;
  if (methodEnd === 0 || head.charCodeAt(methodEnd) !== SPACE) throw badStartLine(head, end);
  const uriStart = methodEnd + 1;
  const uriEnd = head.indexOf(' ', uriStart);
  if (uriEnd < 0 || uriEnd > end || uriEnd === uriStart) throw badStartLine(head, end);
  checkVersion(head, uriEnd + 1, end);
  const uri = readUri(head, uriStart, uriEnd);
  return new SipRequest({ method: head.slice(0, methodEnd), uri, headers, body });
}

/** `SIP-Version SP 3DIGIT SP Reason-Phrase`; the last space is often forgotten before an empty phrase. */
function readResponse(head: string, end: number, headers: Headers, body: Uint8Array): SipResponse {
  const versionEnd = head.indexOf(' ');
  if (versionEnd < 0 || versionEnd > end) throw badStartLine(head, end);
  checkVersion(head, 0, versionEnd);
  const statusEnd = versionEnd + 4;
  for (let pos = versionEnd + 1; pos < statusEnd; pos++) {
    if (!isDigit(head.charCodeAt(pos))) throw badStartLine(head, end);
  }
  const status = Number(head.slice(versionEnd + 1, statusEnd));
  const ends = statusEnd === end || head.charCodeAt(statusEnd) === SPACE;
  if (!ends || status < 100 || status > 699) throw badStartLine(head, end);
  return new SipResponse({ status, reason: head.slice(statusEnd + 1, end), headers, body });
}

function checkVersion(head: string, start: number, end: number): void {
  if (end - start === VERSION.length && head.startsWith(VERSION, start)) return;
  const found = head.slice(start, Math.min(end, start + 16));
  if (found.toUpperCase() === VERSION) return;
  if (!/^SIP\/\d+\.\d+$/i.test(found)) throw badStartLine(head, end);
  throw new SipSyntaxError('BAD_VERSION', `expected ${VERSION}, found ${found}`, {
    position: start,
    status: 505,
  });
}

/** Up to here, decoding a body along with the head costs less than finding the head in the octets. */
const DECODED_WHOLE_OCTETS = 4096;

interface Split {
  /** The head and possibly more. */
  readonly text: string;
  /** After the CRLF of the last header line in `text`. */
  readonly headEnd: number;
  /** In the octets. */
  readonly bodyStart: number;
}

function splitHead(data: Uint8Array): Split {
  if (data.length <= DECODED_WHOLE_OCTETS) {
    const text = decodeOctets(data);
    const end = text.indexOf(END_OF_HEAD);
    // Every octet is at least one unit of the text: equal lengths mean nothing but ASCII.
    if (end >= 0 && text.length === data.length) {
      return { text, headEnd: end + 2, bodyStart: end + END_OF_HEAD.length };
    }
  }
  const bodyStart = findEndOfHead(data);
  const text = decodeOctets(data.subarray(0, bodyStart));
  return { text, headEnd: text.length - 2, bodyStart };
}

function findEndOfHead(data: Uint8Array): number {
  for (let pos = data.indexOf(CR); pos >= 0; pos = data.indexOf(CR, pos + 1)) {
    if (data[pos + 1] === LF && data[pos + 2] === CR && data[pos + 3] === LF) {
      return pos + END_OF_HEAD.length;
    }
  }
  throw new SipSyntaxError(
    'BAD_HEADER_LINE',
    'expected an empty line after the header fields, found none',
  );
}

/** RFC 3261 §7.5: line ends before the start line are passed over. */
function skipLineEnds(data: Uint8Array): number {
  let start = 0;
  while (data[start] === CR || data[start] === LF) start++;
  return start;
}

function badStartLine(head: string, end: number): SipSyntaxError {
  return new SipSyntaxError(
    'BAD_START_LINE',
    `expected a request or status line, found ${excerpt(head, 0, end)}`,
    { position: 0 },
  );
}
