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

const NOWHERE: readonly number[] = [];

/** Reads `*( ";" pname [ "=" pvalue ] )` from `start` on; answers the places of names and values. */
export function passUriParams(text: string, start: number, end: number): readonly number[] {
  let spans: number[] | undefined;
  let pos = start;
  while (pos < end && text.charCodeAt(pos) === SEMICOLON) {
    const name = ++pos;
    pos = endOfEscaped(URI_PARAM, text, name, end);
    const nameEnd = pos;
    if (nameEnd === name) throw badUri('a parameter name', text, name, end);
    let value = pos;
    if (pos < end && text.charCodeAt(pos) === EQUALS) {
      value = ++pos;
      pos = endOfEscaped(URI_PARAM, text, value, end);
      if (pos === value) throw badUri('a parameter value', text, value, end);
    }
    if (spans === undefined) spans = [name, nameEnd, value, pos];
    else spans.push(name, nameEnd, value, pos);
  }
  return spans ?? NOWHERE;
}

/** The parameters at `spans`, which fill [start, end). */
export function uriParamsAt(
  text: string,
  start: number,
  end: number,
  spans: readonly number[],
): Params {
  const percent = text.indexOf('%', start);
  const entries = percent >= 0 && percent < end ? decodedEntries(text, spans) : null;
  const repeated =
    entries === null
      ? repeatedName(text, spans) !== undefined
      : new Set(entries.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase())).size <
        entries.length / 2;
  if (repeated) throw badUri('each parameter once', text, start, end);
  return new Params(entries, uriParams, text, start, end, spans);
}

function decodedEntries(text: string, spans: readonly number[]): string[] {
  const entries: string[] = [];
  for (let at = 0; at < spans.length; at += 2) {
    entries.push(percentDecode(text.slice(spans[at]!, spans[at + 1]!)));
  }
  return entries;
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
