/** Header fields that carry an address: `"Display" <sip:user@host>;param` (RFC 3261 §20.10). */
import { isIn, isSpace, SPACE_CODE, TOKEN } from '../chars.js';
import { type Cursor, quote } from '../cursor.js';
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';
import { formatUri, readUri, type Uri } from '../uri.js';

export interface NameAddr {
  /** Without quotes and escapes. */
  readonly displayName?: string | undefined;
  readonly uri: Uri;
  /** Those of the header field; the URI has its own. */
  readonly params: Params;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const LESS_THAN = 0x3c;
const GREATER_THAN = 0x3e;
const STAR = 0x2a;
const FIRST_NON_ASCII = 0x80;

export function readNameAddr(cursor: Cursor): NameAddr {
  const displayName = readDisplayName(cursor);
  const uri = cursor.peek() === LESS_THAN ? readBracketedUri(cursor) : readBareUri(cursor);
  return { displayName, uri, params: readFieldParams(cursor) };
}

export function formatNameAddr({ displayName, uri, params }: NameAddr): string {
  const name = displayName === undefined || displayName === '' ? '' : `${quote(displayName)} `;
  return `${name}<${formatUri(uri)}>${writeFieldParams(params)}`;
}

/** Leaves the cursor at the `<`, or at the first character of a URI without brackets. */
function readDisplayName(cursor: Cursor): string | undefined {
  const start = cursor.pos;
  const first = cursor.peek();
  if (first === LESS_THAN) return undefined;
  if (first === QUOTE) {
    const name = cursor.takeQuoted();
    cursor.skipSpace();
    if (cursor.peek() !== LESS_THAN) throw cursor.unexpected('"<" after the display name');
    return name;
  }
  while (isDisplayChar(cursor.peek())) cursor.pos++;
  const length = cursor.pos - start;
  if (cursor.peek() === LESS_THAN && length > 0)
    return cursor.text.slice(start, cursor.pos).trimEnd();
  cursor.pos = start;
  return undefined;
}

/** Unquoted names are tokens by the grammar; many phones send UTF-8 there, which harms nobody. */
function isDisplayChar(code: number): boolean {
  return isIn(TOKEN, code) ? code >= 0 : code >= FIRST_NON_ASCII || isSpace(code);
}

function readBracketedUri(cursor: Cursor): Uri {
  const start = ++cursor.pos;
  cursor.skipTo(GREATER_THAN);
  const uri = readUri(cursor.text, start, cursor.pos);
  cursor.expect(GREATER_THAN);
  return uri;
}

/** Without brackets, parameters belong to the field and a `?` or `,` cannot be in the URI (§20). */
function readBareUri(cursor: Cursor): Uri {
  const start = cursor.pos;
  for (; cursor.pos < cursor.end; cursor.pos++) {
    const code = cursor.text.charCodeAt(cursor.pos);
    if (code === SEMICOLON || code === COMMA || code <= SPACE_CODE || code === LESS_THAN) break;
    if (code === 0x3f) throw cursor.unexpected('a URI with "?" to stand in angle brackets');
  }
  return readUri(cursor.text, start, cursor.pos);
}

function addressField(name: string, list: boolean) {
  return headerField<NameAddr>({ name, list, read: readNameAddr, format: formatNameAddr });
}

export const From = addressField('From', false);
export const To = addressField('To', false);
export const ReplyTo = addressField('Reply-To', false);
export const Route = addressField('Route', true);
export const RecordRoute = addressField('Record-Route', true);

/** `*` in a REGISTER stands for all bindings (RFC 3261 §10.2.2). */
export type ContactValue = NameAddr | '*';

export const Contact = headerField<ContactValue>({
  name: 'Contact',
  list: true,
  read(cursor) {
    if (cursor.peek() === STAR && isStarAlone(cursor)) {
      cursor.pos++;
      return '*';
    }
    return readNameAddr(cursor);
  },
  format: value => (value === '*' ? '*' : formatNameAddr(value)),
});

/** A display name may start with a star too. */
function isStarAlone(cursor: Cursor): boolean {
  let pos = cursor.pos + 1;
  while (pos < cursor.end && isSpace(cursor.text.charCodeAt(pos))) pos++;
  return pos === cursor.end;
}
