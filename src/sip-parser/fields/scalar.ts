/** Header fields with one number, identifier or short record. */
import { isDigit, isIn, WORD } from '../chars.js';
import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';

export interface CSeqValue {
  /** Below 2^31, RFC 3261 §8.1.1.5. */
  readonly sequence: number;
  readonly method: string;
}

const HIGHEST_SEQUENCE = 2 ** 31 - 1;
/** RFC 3261 §20.19: delta-seconds are below 2^32. */
const HIGHEST_SECONDS = 2 ** 32 - 1;
/** RFC 3261 §20.22 */
const HIGHEST_MAX_FORWARDS = 255;
/** RFC 3262 §7.1 */
const HIGHEST_RESPONSE_NUMBER = 2 ** 32 - 1;
const AT = 0x40;
const DOT = 0x2e;

export const CSeq = headerField<CSeqValue>({
  name: 'CSeq',
  read(cursor) {
    const sequence = cursor.takeNumber('a sequence number', HIGHEST_SEQUENCE);
    cursor.expectSpace();
    return { sequence, method: cursor.takeToken('a method') };
  },
  format: ({ sequence, method }) => `${sequence} ${method}`,
});

/** Reads `word [ "@" word ]`. */
export function readCallId(cursor: Cursor): string {
  const { text, end, pos: start } = cursor;
  let pos = start;
  let at = -1;
  for (; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    if (!isIn(WORD, code)) break;
    if (code !== AT) continue;
    if (at >= 0 || pos === start) {
      cursor.pos = pos;
      throw cursor.unexpected('one "@"');
    }
    at = pos;
  }
  cursor.pos = pos;
  if (pos === start) throw cursor.unexpected('a Call-ID');
  if (at === pos - 1) throw cursor.unexpected('a word after "@"');
  return text.slice(start, pos);
}

export const CallId = headerField<string>({
  name: 'Call-ID',
  read: readCallId,
  format: value => value,
});

/** Call-IDs of the calls this one returns (RFC 3261 §20.21). */
export const InReplyTo = headerField<string>({
  name: 'In-Reply-To',
  list: true,
  inline: true,
  read: readCallId,
  format: value => value,
});

function numberField(name: string, max: number) {
  return headerField<number>({
    name,
    read: (cursor: Cursor) => cursor.takeNumber('a number', max),
    format: value => String(value),
  });
}

export const MaxForwards = numberField('Max-Forwards', HIGHEST_MAX_FORWARDS);
export const ContentLength = numberField('Content-Length', Number.MAX_SAFE_INTEGER);
export const Expires = numberField('Expires', HIGHEST_SECONDS);
export const MinExpires = numberField('Min-Expires', HIGHEST_SECONDS);

/** How often a flow is kept alive, in seconds (RFC 5626 §9). */
export const FlowTimer = numberField('Flow-Timer', HIGHEST_SECONDS);
/** Number of a reliable provisional response (RFC 3262 §7.1). */
export const RSeq = numberField('RSeq', HIGHEST_RESPONSE_NUMBER);

export interface RAckValue {
  /** The RSeq of the response. */
  readonly response: number;
  /** Its CSeq. */
  readonly sequence: number;
  readonly method: string;
}

/** RFC 3262 §7.2 */
export const RAck = headerField<RAckValue>({
  name: 'RAck',
  read(cursor) {
    const response = cursor.takeNumber('a response number', HIGHEST_RESPONSE_NUMBER);
    cursor.expectSpace();
    const sequence = cursor.takeNumber('a sequence number', HIGHEST_SEQUENCE);
    cursor.expectSpace();
    return { response, sequence, method: cursor.takeToken('a method') };
  },
  format: ({ response, sequence, method }) => `${response} ${sequence} ${method}`,
});

export interface SecondsWithParams {
  readonly seconds: number;
  readonly params: Params;
}

function secondsField(name: string) {
  return headerField<SecondsWithParams>({
    name,
    read: cursor => ({
      seconds: cursor.takeNumber('a number of seconds', HIGHEST_SECONDS),
      params: readFieldParams(cursor),
    }),
    format: ({ seconds, params }) => seconds + writeFieldParams(params),
  });
}

/** With `refresher`: `uac` or `uas` (RFC 4028 §4). */
export const SessionExpires = secondsField('Session-Expires');
/** RFC 4028 §5 */
export const MinSE = secondsField('Min-SE');

function tokenField(name: string) {
  return headerField<string>({ name, read: cursor => cursor.takeToken(), format: value => value });
}

/** `emergency`, `urgent`, `normal`, `non-urgent` or another (RFC 3261 §20.26). */
export const Priority = tokenField('Priority');
/** Entity-tag of published state (RFC 3903 §11.3). */
export const SipETag = tokenField('SIP-ETag');
export const SipIfMatch = tokenField('SIP-If-Match');

/** `1.0` (RFC 3261 §20.24) */
export const MimeVersion = headerField<string>({
  name: 'MIME-Version',
  read(cursor) {
    const start = cursor.pos;
    skipDigits(cursor, 'a version');
    cursor.expect(DOT);
    skipDigits(cursor, 'a version');
    return cursor.text.slice(start, cursor.pos);
  },
  format: value => value,
});

/** Both as decimal numbers of seconds, as written: a server echoes `time` to the last digit. */
export interface TimestampValue {
  readonly time: string;
  /** How long the server held the request. */
  readonly delay?: string | undefined;
}

/** RFC 3261 §20.38 */
export const Timestamp = headerField<TimestampValue>({
  name: 'Timestamp',
  read(cursor) {
    const time = takeDecimal(cursor);
    cursor.skipSpace();
    return { time, delay: cursor.pos < cursor.end ? takeDecimal(cursor) : undefined };
  },
  format: ({ time, delay }) => (delay === undefined ? time : `${time} ${delay}`),
});

function takeDecimal(cursor: Cursor): string {
  const start = cursor.pos;
  skipDigits(cursor, 'a number of seconds');
  if (cursor.peek() === DOT) {
    cursor.pos++;
    while (isDigit(cursor.peek())) cursor.pos++;
  }
  return cursor.text.slice(start, cursor.pos);
}

function skipDigits(cursor: Cursor, what: string): void {
  if (!isDigit(cursor.peek())) throw cursor.unexpected(what);
  while (isDigit(cursor.peek())) cursor.pos++;
}

export interface RetryAfterValue {
  readonly seconds: number;
  /** Without its parentheses. */
  readonly comment?: string | undefined;
  /** `duration` */
  readonly params: Params;
}

export const RetryAfter = headerField<RetryAfterValue>({
  name: 'Retry-After',
  read(cursor) {
    const seconds = cursor.takeNumber('a number of seconds', HIGHEST_SECONDS);
    cursor.skipSpace();
    const comment = cursor.peek() === 0x28 ? readComment(cursor) : undefined;
    return { seconds, comment, params: readFieldParams(cursor) };
  },
  format({ seconds, comment, params }) {
    const escaped = comment?.replace(/[()\\]/g, '\\$&');
    return `${seconds}${escaped === undefined ? '' : ` (${escaped})`}${writeFieldParams(params)}`;
  },
});

/** `( … )`, in which comments may be nested. */
function readComment(cursor: Cursor): string {
  let text = '';
  let depth = 0;
  while (cursor.pos < cursor.end) {
    let character = cursor.text[cursor.pos++]!;
    if (character === '\\' && cursor.pos < cursor.end) character = cursor.text[cursor.pos++]!;
    else if (character === '(' && ++depth === 1) continue;
    else if (character === ')' && --depth === 0) return text;
    text += character;
  }
  throw cursor.unexpected('")"');
}
