/** SIP and SIPS URIs (RFC 3261 §19.1), and any other kind of URI as it comes. */
import { HOST, isDigit, isHexDigit, isIn, PASSWORD, URI_HEADER, URI_PARAM, USER } from './chars.js';
import { excerpt } from './cursor.js';
import { SipSyntaxError } from './errors.js';
import { findUnescaped, percentDecode, percentEncode } from './escapes.js';
import { Params, type ParamsDialect } from './params.js';

export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  /** Without escapes. */
  readonly user?: string | undefined;
  /** Without escapes. */
  readonly password?: string | undefined;
  /** Name or literal address; IPv6 without brackets. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly params: Params;
  /** What follows the `?`. */
  readonly headers: Params;
}

/** `tel:`, `http:`, … */
export interface OtherUri {
  /** Lower case. */
  readonly scheme: string;
  /** Everything after the colon, untouched. */
  readonly opaque: string;
}

export type Uri = SipUri | OtherUri;

export interface SipUriParts {
  scheme?: 'sip' | 'sips';
  user?: string | undefined;
  host: string;
  port?: number | undefined;
  params?: Readonly<Record<string, string>>;
}

const AT = 0x40;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const QUESTION_MARK = 0x3f;
const BRACKET = 0x5b;
const HIGHEST_PORT = 65535;

export function isSipUri(uri: Uri): uri is SipUri {
  return 'host' in uri;
}

/** @throws {SipSyntaxError} `BAD_URI` where the host or port cannot be written */
export function sipUri({ scheme = 'sip', user, host, port, params }: SipUriParts): SipUri {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const literal = bare.includes(':') ? `[${bare}]` : bare;
  const hostEnd = endOfHost(literal, 0, literal.length);
  if (literal === '' || hostEnd !== literal.length) {
    throw badUri('a host', literal, 0, literal.length);
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT)) {
    throw badUri('a port', String(port), 0, 8);
  }
  return {
    scheme,
    user,
    password: undefined,
    host: bare,
    port,
    params: Params.from(params ?? {}),
    headers: new Params(),
  };
}

/** @throws {SipSyntaxError} `BAD_URI` */
export function parseUri(text: string): Uri {
  return readUri(text, 0, text.length);
}

export function formatUri(uri: Uri): string {
  if (!isSipUri(uri)) return `${uri.scheme}:${uri.opaque}`;
  let text = `${uri.scheme}:`;
  if (uri.user !== undefined) {
    text += percentEncode(USER, uri.user);
    if (uri.password !== undefined) text += `:${percentEncode(PASSWORD, uri.password)}`;
    text += '@';
  }
  text += uri.host.includes(':') ? `[${uri.host}]` : uri.host;
  if (uri.port !== undefined) text += `:${uri.port}`;
  return text + uri.params.write(uriParams) + uri.headers.write(uriHeaders);
}

/**
 * Reads the URI that fills [start, end) of `text`.
 *
 * @throws {SipSyntaxError} `BAD_URI`
 */
export function readUri(text: string, start: number, end: number): Uri {
  // Nearly all begin like this; the long way reads them too.
  if (text.startsWith('sip:', start)) return readSipUri('sip', text, start + 4, end);
  let colon = start;
  while (colon < end && isSchemeChar(text.charCodeAt(colon))) colon++;
  if (colon === start || colon === end || text.charCodeAt(colon) !== COLON) {
    throw badUri('a scheme and a colon', text, start, end);
  }
  const scheme = text.slice(start, colon).toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return readSipUri(scheme, text, colon + 1, end);
  const stop = findNotPrintable(text, colon + 1, end);
  if (stop >= 0 || colon + 1 === end) throw badUri('a URI', text, stop < 0 ? colon : stop, end);
  return { scheme, opaque: text.slice(colon + 1, end) };
}

function readSipUri(scheme: 'sip' | 'sips', text: string, start: number, end: number): SipUri {
  let user: string | undefined;
  let password: string | undefined;
  let host = start;
  const at = find(AT, text, start, end);
  if (at >= 0) {
    let userEnd = find(COLON, text, start, at);
    if (userEnd >= 0) password = readUserPart(PASSWORD, text, userEnd + 1, at);
    else userEnd = at;
    if (userEnd === start) throw badUri('a user before "@"', text, start, end);
    user = readUserPart(USER, text, start, userEnd);
    host = at + 1;
  }
  let pos = endOfHost(text, host, end);
  if (pos < 0 || pos === host) throw badUri('a host', text, host, end);
  const bracketed = text.charCodeAt(host) === BRACKET ? 1 : 0;
  const hostText = text.slice(host + bracketed, pos - bracketed);
  let port: number | undefined;
  if (pos < end && text.charCodeAt(pos) === COLON) {
    const portStart = ++pos;
    port = 0;
    while (pos < end && isDigit(text.charCodeAt(pos)) && port <= HIGHEST_PORT) {
      port = port * 10 + text.charCodeAt(pos++) - 0x30;
    }
    if (pos === portStart || port > HIGHEST_PORT) throw badUri('a port', text, portStart, end);
  }
  const paramsEnd = endOfParams(text, pos, end);
  const params = paramsEnd === pos ? new Params() : new Params(text, pos, paramsEnd, uriParams);
  let headers: Params;
  if (paramsEnd === end) {
    headers = new Params();
  } else {
    checkHeaders(text, paramsEnd, end);
    headers = new Params(text, paramsEnd, end, uriHeaders);
  }
  return { scheme, user, password, host: hostText, port, params, headers };
}

function readUserPart(bit: number, text: string, start: number, end: number): string {
  const bad = findUnescaped(bit, text, start, end);
  if (bad >= 0) throw badUri('a character of a user part', text, bad, end);
  return percentDecode(text.slice(start, end));
}

/**
 * Position after the host that starts at `start`: a name, an IPv4 address or an IPv6 address in
 * brackets; -1 for a broken IPv6 address.
 */
export function endOfHost(text: string, start: number, end: number): number {
  let pos = start;
  if (pos < end && text.charCodeAt(pos) === BRACKET) {
    pos++;
    let colons = 0;
    for (; pos < end; pos++) {
      const code = text.charCodeAt(pos);
      if (code === COLON) colons++;
      else if (!isHexDigit(code) && code !== 0x2e) break;
    }
    return pos < end && text.charCodeAt(pos) === 0x5d && colons >= 2 ? pos + 1 : -1;
  }
  while (pos < end && isIn(HOST, text.charCodeAt(pos))) pos++;
  return pos;
}

/** Checks `*( ";" pname [ "=" pvalue ] )` and answers where it ends: at the `?` or the end. */
function endOfParams(text: string, start: number, end: number): number {
  let pos = start;
  while (pos < end) {
    const code = text.charCodeAt(pos);
    if (code === QUESTION_MARK) break;
    if (code !== SEMICOLON) throw badUri('";", "?" or the end of the URI', text, pos, end);
    const name = ++pos;
    pos = endOfEscaped(URI_PARAM, text, pos, end);
    if (pos === name) throw badUri('a parameter name', text, name, end);
    if (pos < end && text.charCodeAt(pos) === 0x3d) {
      const value = ++pos;
      pos = endOfEscaped(URI_PARAM, text, pos, end);
      if (pos === value) throw badUri('a parameter value', text, value, end);
    }
  }
  return pos;
}

/** Checks `"?" hname "=" hvalue *( "&" hname "=" hvalue )`; the value may be empty. */
function checkHeaders(text: string, start: number, end: number): void {
  let pos = start;
  while (pos < end) {
    const name = ++pos;
    pos = endOfEscaped(URI_HEADER, text, pos, end);
    if (pos === name) throw badUri('a header name', text, name, end);
    if (pos === end || text.charCodeAt(pos) !== 0x3d) throw badUri('"="', text, pos, end);
    pos = endOfEscaped(URI_HEADER, text, pos + 1, end);
    if (pos < end && text.charCodeAt(pos) !== 0x26) throw badUri('"&"', text, pos, end);
  }
}

function endOfEscaped(bit: number, text: string, start: number, end: number): number {
  const stop = findUnescaped(bit, text, start, end);
  return stop < 0 ? end : stop;
}

function find(code: number, text: string, start: number, end: number): number {
  for (let pos = start; pos < end; pos++) {
    if (text.charCodeAt(pos) === code) return pos;
  }
  return -1;
}

function findNotPrintable(text: string, start: number, end: number): number {
  for (let pos = start; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    if (code <= 0x20 || code >= 0x7f || code === 0x3c || code === 0x3e || code === 0x22) return pos;
  }
  return -1;
}

function isSchemeChar(code: number): boolean {
  const lower = code | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    isDigit(code) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e
  );
}

function badUri(expected: string, text: string, position: number, end: number): SipSyntaxError {
  const at = Math.max(position, 0);
  const found = at < end ? excerpt(text, at, end) : 'its end';
  return new SipSyntaxError('BAD_URI', `expected ${expected} in the URI, found ${found}`, {
    position: at,
  });
}

function escapedDialect(bit: number, lead: string, separator: string): ParamsDialect {
  return {
    read(text, start, end) {
      const entries: string[] = [];
      for (const part of text.slice(start + 1, end).split(separator)) {
        const equals = part.indexOf('=');
        entries.push(percentDecode(equals < 0 ? part : part.slice(0, equals)));
        entries.push(equals < 0 ? '' : percentDecode(part.slice(equals + 1)));
      }
      return entries;
    },
    write(entries) {
      let written = '';
      for (let index = 0; index < entries.length; index += 2) {
        written += index === 0 ? lead : separator;
        written += percentEncode(bit, entries[index]!);
        const value = entries[index + 1]!;
        if (value !== '' || separator === '&') written += `=${percentEncode(bit, value)}`;
      }
      return written;
    },
  };
}

const uriParams = escapedDialect(URI_PARAM, ';', ';');
const uriHeaders = escapedDialect(URI_HEADER, '?', '&');
