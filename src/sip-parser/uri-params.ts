/** Parameters and headers of URIs, whose values carry percent escapes (RFC 3261 §19.1.1). */
import { URI_HEADER, URI_PARAM } from './chars.js';
import { excerpt } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { endOfEscaped, percentDecode, percentEncode } from './escapes.js';
import { Params, type ParamsDialect, repeatedName } from './params.js';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const AMPERSAND = 0x26;

export const uriParams: ParamsDialect = {
  write(entries) {
    let written = '';
    for (let index = 0; index < entries.length; index += 2) {
      written += `;${percentEncode(URI_PARAM, entries[index]!)}`;
      const value = entries[index + 1]!;
      if (value !== '') written += `=${percentEncode(URI_PARAM, value)}`;
    }
    return written;
  },
};

export const uriHeaders: ParamsDialect = {
  write(entries) {
    let written = '';
    for (let index = 0; index < entries.length; index += 2) {
      written += index === 0 ? '?' : '&';
      written += percentEncode(URI_HEADER, entries[index]!);
      written += `=${percentEncode(URI_HEADER, entries[index + 1]!)}`;
    }
    return written;
  },
};

/** Reads `*( ";" pname [ "=" pvalue ] )` into `entries` and answers where it ends. */
export function readUriParams(text: string, start: number, end: number, entries: string[]): number {
  let pos = start;
  while (pos < end && text.charCodeAt(pos) === SEMICOLON) {
    const name = ++pos;
    pos = endOfEscaped(URI_PARAM, text, name, end);
    if (pos === name) throw badUri('a parameter name', text, name, end);
    entries.push(percentDecode(text.slice(name, pos)));
    if (pos < end && text.charCodeAt(pos) === EQUALS) {
      const value = ++pos;
      pos = endOfEscaped(URI_PARAM, text, value, end);
      if (pos === value) throw badUri('a parameter value', text, value, end);
      entries.push(percentDecode(text.slice(value, pos)));
    } else {
      entries.push('');
    }
  }
  if (repeatedName(entries) !== undefined) throw badUri('each parameter once', text, start, end);
  return pos;
}

/** Reads `"?" hname "=" hvalue *( "&" hname "=" hvalue )`, which fills [start, end); the value may be empty. */
export function readUriHeaders(text: string, start: number, end: number): Params {
  const entries: string[] = [];
  let pos = start;
  while (pos < end) {
    const name = ++pos;
    pos = endOfEscaped(URI_HEADER, text, name, end);
    if (pos === name) throw badUri('a header name', text, name, end);
    if (pos === end || text.charCodeAt(pos) !== EQUALS) throw badUri('"="', text, pos, end);
    entries.push(percentDecode(text.slice(name, pos)));
    const value = ++pos;
    pos = endOfEscaped(URI_HEADER, text, value, end);
    if (pos < end && text.charCodeAt(pos) !== AMPERSAND) throw badUri('"&"', text, pos, end);
    entries.push(percentDecode(text.slice(value, pos)));
  }
  return new Params(entries, uriHeaders, text, start, end);
}

export function badUri(
  expected: string,
  text: string,
  position: number,
  end: number,
): SipSyntaxError {
  const at = Math.max(position, 0);
  const found = at < end ? excerpt(text, at, end) : 'its end';
  return new SipSyntaxError('BAD_URI', `expected ${expected} in the URI, found ${found}`, {
    position: at,
  });
}
