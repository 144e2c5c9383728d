/** Header fields about bodies: their types, codings and languages, sent and accepted (RFC 3261 §20.1-3, §20.11-15). */
import { lowerCase, TOKEN } from '../chars.js';
import type { Cursor } from '../cursor.js';
import { headerField } from '../field.js';
import { readFieldParams, writeFieldParams } from '../field-params.js';
import type { Params } from '../params.js';
import { tokenWithParams } from './tokens.js';

const SLASH = 0x2f;

export interface MediaType {
  /** Lower case, e.g. `application/sdp`. */
  readonly type: string;
  readonly params: Params;
}

function readMediaType(cursor: Cursor): MediaType {
  const start = cursor.pos;
  cursor.passWhileIn(TOKEN, 'a media type');
  const mainEnd = cursor.pos;
  if (!cursor.skipSeparator(SLASH)) throw cursor.unexpected('"/"');
  const subtype = cursor.pos;
  cursor.passWhileIn(TOKEN, 'a media subtype');
  const { text, pos } = cursor;
  const written =
    subtype === mainEnd + 1
      ? text.slice(start, pos)
      : `${text.slice(start, mainEnd)}/${text.slice(subtype, pos)}`;
  return { type: lowerCase(written), params: readFieldParams(cursor) };
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

export const ContentDisposition = tokenWithParams('Content-Disposition');
/** `gzip;q=1`, `*` */
export const AcceptEncoding = tokenWithParams('Accept-Encoding', { list: true, inline: true });
/** `da, en-gb;q=0.8` */
export const AcceptLanguage = tokenWithParams('Accept-Language', { list: true, inline: true });
