/** Header fields with one number, identifier or short record. */
import { isIn, WORD } from '../chars.js';
import { type Cursor, quote } from '../cursor.js';
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
const AT = 0x40;

export const CSeq = headerField<CSeqValue>({
  name: 'CSeq',
  read(cursor) {
    const sequence = cursor.takeNumber('a sequence number', HIGHEST_SEQUENCE);
    const gap = cursor.pos;
    cursor.skipSpace();
    if (cursor.pos === gap) throw cursor.unexpected('space before the method');
    return { sequence, method: cursor.takeToken('a method') };
  },
  format: ({ sequence, method }) => `${sequence} ${method}`,
});

/** `word [ "@" word ]` */
export const CallId = headerField<string>({
  name: 'Call-ID',
  read(cursor) {
    const start = cursor.pos;
    let ats = 0;
    for (; cursor.pos < cursor.end; cursor.pos++) {
      const code = cursor.text.charCodeAt(cursor.pos);
      if (!isIn(WORD, code)) break;
      if (code === AT && (++ats > 1 || cursor.pos === start)) throw cursor.unexpected('one "@"');
    }
    if (cursor.pos === start) throw cursor.unexpected('a Call-ID');
    const id = cursor.text.slice(start, cursor.pos);
    if (id.endsWith('@')) throw cursor.unexpected('a word after "@"');
    return id;
  },
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

export interface WarningValue {
  /** Three digits, RFC 3261 §20.43. */
  readonly code: number;
  /** Host or pseudonym of who warns. */
  readonly agent: string;
  readonly text: string;
}

export const Warning = headerField<WarningValue>({
  name: 'Warning',
  list: true,
  read(cursor) {
    const start = cursor.pos;
    const code = cursor.takeNumber('a warn-code', 999);
    if (cursor.pos - start !== 3) {
      cursor.pos = start;
      throw cursor.unexpected('a warn-code of three digits');
    }
    cursor.skipSpace();
    const agentStart = cursor.pos;
    while (cursor.peek() > 0x20 && cursor.peek() !== 0x22) cursor.pos++;
    const agent = cursor.text.slice(agentStart, cursor.pos);
    cursor.skipSpace();
    if (agent === '' || cursor.peek() !== 0x22)
      throw cursor.unexpected('a warn-agent and a quoted text');
    return { code, agent, text: cursor.takeQuoted() };
  },
  format: ({ code, agent, text }) => `${code} ${agent} ${quote(text)}`,
});

export interface MediaType {
  /** Lower case, e.g. `application/sdp`. */
  readonly type: string;
  readonly params: Params;
}

function readMediaType(cursor: Cursor): MediaType {
  const main = cursor.takeToken('a media type');
  if (!cursor.skipSeparator(0x2f)) throw cursor.unexpected('"/"');
  const type = `${main}/${cursor.takeToken('a media subtype')}`.toLowerCase();
  return { type, params: readFieldParams(cursor) };
}

function formatMediaType({ type, params }: MediaType): string {
  return type + writeFieldParams(params);
}

export const ContentType = headerField<MediaType>({
  name: 'Content-Type',
  read: readMediaType,
  format: formatMediaType,
});

export const Accept = headerField<MediaType>({
  name: 'Accept',
  list: true,
  inline: true,
  read: readMediaType,
  format: formatMediaType,
});

export interface TokenWithParams {
  readonly token: string;
  readonly params: Params;
}

function tokenWithParams(name: string) {
  return headerField<TokenWithParams>({
    name,
    read: (cursor: Cursor) => ({ token: cursor.takeToken(), params: readFieldParams(cursor) }),
    format: ({ token, params }) => token + writeFieldParams(params),
  });
}

export const ContentDisposition = tokenWithParams('Content-Disposition');
