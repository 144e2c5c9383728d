/** Header fields that carry an address: `"Display" <sip:user@host>;param` (RFC 3261 §20.10). */
import { isIn, isSpace, SPACE_CODE, TOKEN } from '../chars.js';
import { type Cursor, quote } from '../cursor.js';
import { headerField } from '../field.js';
import { fieldParamsDialect, readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params, ParamsDialect } from '../params.js';
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
const STAR = 0x2a;
const FIRST_NON_ASCII = 0x80;

export function readNameAddr(cursor: Cursor, dialect?: ParamsDialect): NameAddr {
  const displayName = readDisplayName(cursor);
  const uri = cursor.peek() === LESS_THAN ? readBracketedUri(cursor) : readBareUri(cursor);
  return { displayName, uri, params: readFieldParams(cursor, dialect) };
}

export function formatNameAddr(value: NameAddr, dialect?: ParamsDialect): string {
  const { displayName, uri, params } = value;
  const name = displayName === undefined || displayName === '' ? '' : `${quote(displayName)} `;
  return `${name}<${formatUri(uri)}>${writeFieldParams(params, dialect)}`;
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
  const { text, end } = cursor;
  let pos = start;
  while (pos < end && isDisplayChar(text.charCodeAt(pos))) pos++;
  if (pos === end || pos === start || text.charCodeAt(pos) !== LESS_THAN) return undefined;
  cursor.pos = pos;
  while (pos > start && isSpace(text.charCodeAt(pos - 1))) pos--;
  return text.slice(start, pos);
}

/** Unquoted names are tokens by the grammar; many phones send UTF-8 there, which harms nobody. */
function isDisplayChar(code: number): boolean {
  return isIn(TOKEN, code) || code >= FIRST_NON_ASCII || isSpace(code);
}

export function readBracketedUri(cursor: Cursor): Uri {
  cursor.expect(LESS_THAN);
  const { text, pos, end } = cursor;
  const closing = text.indexOf('>', pos);
  if (closing < 0 || closing >= end) {
    cursor.pos = end;
    throw cursor.unexpected('">" after the URI');
  }
  cursor.pos = closing + 1;
  return readUri(text, pos, closing);
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

function addressField(name: string, list = false, dialect?: ParamsDialect) {
  return headerField<NameAddr>({
    name,
    list,
    read: cursor => readNameAddr(cursor, dialect),
    format: value => formatNameAddr(value, dialect),
  });
}

function addressList(name: string) {
  return addressField(name, true);
}

export const From = addressField('From');
export const To = addressField('To');
export const ReplyTo = addressField('Reply-To');
/** RFC 3515 §2.1 */
export const ReferTo = addressField('Refer-To');
/** RFC 3892 §3; `cid` is a quoted message identifier. */
export const ReferredBy = addressField(
  'Referred-By',
  false,
  fieldParamsDialect(name => name === 'cid'),
);
export const Route = addressList('Route');
export const RecordRoute = addressList('Record-Route');
/** RFC 3327 §4 */
export const Path = addressList('Path');
/** RFC 3608 §5 */
export const ServiceRoute = addressList('Service-Route');
/** Who diverted the call, latest first, and why (RFC 5806 §5). */
export const Diversion = addressList('Diversion');
/** RFC 3325 §9.1 */
export const PAssertedIdentity = addressList('P-Asserted-Identity');
export const PPreferredIdentity = addressList('P-Preferred-Identity');

/** `*` in a REGISTER stands for all bindings (RFC 3261 §10.2.2). */
export type ContactValue = NameAddr | '*';

/** The base feature tags of RFC 3840 §9, whose values are quoted; all later ones start with `+`. */
export const BASE_FEATURES: readonly string[] = [
  'actor',
  'application',
  'audio',
  'automata',
  'class',
  'control',
  'data',
  'description',
  'duplex',
  'events',
  'extensions',
  'isfocus',
  'language',
  'methods',
  'mobility',
  'priority',
  'schemes',
  'text',
  'type',
  'video',
];
const contactParams = fieldParamsDialect(
  name => name.startsWith('+') || BASE_FEATURES.includes(name),
);

export const Contact = headerField<ContactValue>({
  name: 'Contact',
  list: true,
  read(cursor) {
    if (cursor.peek() === STAR && isStarAlone(cursor)) {
      cursor.pos++;
      return '*';
    }
    return readNameAddr(cursor, contactParams);
  },
  format: value => (value === '*' ? '*' : formatNameAddr(value, contactParams)),
});

/** A display name may start with a star too. */
function isStarAlone(cursor: Cursor): boolean {
  let pos = cursor.pos + 1;
  while (pos < cursor.end && isSpace(cursor.text.charCodeAt(pos))) pos++;
  return pos === cursor.end;
}
