/** SIP and SIPS URIs (RFC 3261 §19.1). */
import { HOST, isDigit, isIn, PASSWORD, USER } from './chars.js';
import { endOfEscaped, normalizeEscapes, percentDecode, percentEncode } from './escapes.js';
import { endOfHost, hostAt, writeHost } from './host.js';
import { Params } from './params.js';
import {
  badUri,
  passUriParams,
  readUriHeaders,
  uriHeaders,
  uriParams,
  uriParamsAt,
} from './uri-params.js';

export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  /** Without escapes. */
  readonly user?: string | undefined;
  /** Without escapes. */
  readonly password?: string | undefined;
  /**
   * User and password as received, where that tells more than they do: a reserved character that is
   * escaped though it could stand bare is not the bare one (§19.1.4). Disregarded once they differ.
   */
  readonly escapedUserinfo?: string | undefined;
  /** Name or literal address; IPv6 without brackets, its zone after `%`. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly params: Params;
  /** What follows the `?`. */
  readonly headers: Params;
}

export interface SipUriParts {
  scheme?: 'sip' | 'sips';
  user?: string | undefined;
  host: string;
  port?: number | undefined;
  params?: Readonly<Record<string, string>>;
}

interface Userinfo {
  readonly user: string;
  readonly password: string | undefined;
  readonly escapedUserinfo: string | undefined;
}

const AT = 0x40;
const COLON = 0x3a;
const QUESTION_MARK = 0x3f;
const HIGHEST_PORT = 65535;

/** @throws {SipSyntaxError} `BAD_URI` where the host or port cannot be written */
export function sipUri({ scheme = 'sip', user, host, port, params }: SipUriParts): SipUri {
  const written = host.startsWith('[') ? host : writeHost(host);
  if (written === '' || endOfHost(written, 0, written.length) !== written.length) {
    throw badUri('a host', written, 0, written.length);
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= HIGHEST_PORT)) {
    throw badUri('a port', String(port), 0, 8);
  }
  return {
    scheme,
    user,
    password: undefined,
    escapedUserinfo: undefined,
    host: hostAt(written, 0, written.length),
    port,
    params: Params.from(params ?? {}),
    headers: new Params(),
  };
}

/** Reads what follows the scheme and fills [start, end). */
export function readSipUri(
  scheme: 'sip' | 'sips',
  text: string,
  start: number,
  end: number,
): SipUri {
  let user: string | undefined;
  let password: string | undefined;
  let escapedUserinfo: string | undefined;
  let host = start;
  // What comes first is the host, unless an "@" tells that it was a user.
  let pos = endOfHost(text, start, end);
  const at = find(AT, text, Math.max(pos, start), end);
  if (at >= 0) {
    if (at === pos && isIn(HOST, text.charCodeAt(start))) user = text.slice(start, at);
    else ({ user, password, escapedUserinfo } = readUserinfo(text, start, at));
    host = at + 1;
    pos = endOfHost(text, host, end);
  }
  if (pos <= host) throw badUri('a host', text, host, end);
  const hostEnd = pos;
  let port: number | undefined;
  if (pos < end && text.charCodeAt(pos) === COLON) {
    const portStart = ++pos;
    port = 0;
    while (pos < end && isDigit(text.charCodeAt(pos)) && port <= HIGHEST_PORT) {
      port = port * 10 + text.charCodeAt(pos++) - 0x30;
    }
    if (pos === portStart || port > HIGHEST_PORT) throw badUri('a port', text, portStart, end);
  }
  let params: Params;
  let headers: Params;
  if (pos === end) {
    params = new Params();
    headers = new Params();
  } else {
    const paramsStart = pos;
    const spans = passUriParams(text, pos, end);
    pos = spans.length === 0 ? pos : spans[spans.length - 1]!;
    params = spans.length === 0 ? new Params() : uriParamsAt(text, paramsStart, pos, spans);
    if (pos < end && text.charCodeAt(pos) !== QUESTION_MARK) {
      throw badUri('";", "?" or the end of the URI', text, pos, end);
    }
    headers = pos < end ? readUriHeaders(text, pos, end) : new Params();
  }
  return {
    scheme,
    user,
    password,
    escapedUserinfo,
    host: hostAt(text, host, hostEnd),
    port,
    params,
    headers,
  };
}

/** `user [ ":" password ]` with escapes, which fills [start, end). */
function readUserinfo(text: string, start: number, end: number): Userinfo {
  const colon = find(COLON, text, start, end);
  const userEnd = colon < 0 ? end : colon;
  if (userEnd === start) throw badUri('a user before "@"', text, start, end);
  const user = readUserPart(USER, text, start, userEnd);
  const password = colon < 0 ? undefined : readUserPart(PASSWORD, text, colon + 1, end);
  const escaped = normalizeEscapes(text.slice(start, end));
  const tellsMore = escaped !== encodeUserinfo(user, password);
  return { user, password, escapedUserinfo: tellsMore ? escaped : undefined };
}

function readUserPart(bit: number, text: string, start: number, end: number): string {
  const stop = endOfEscaped(bit, text, start, end);
  if (stop < end) throw badUri('a character of a user part', text, stop, end);
  return percentDecode(text.slice(start, end));
}

export function writeSipUri(uri: SipUri): string {
  const userinfo = writeUserinfo(uri);
  let text = `${uri.scheme}:${userinfo === '' ? '' : `${userinfo}@`}${writeHost(uri.host)}`;
  if (uri.port !== undefined) text += `:${uri.port}`;
  return text + uri.params.write(uriParams) + uri.headers.write(uriHeaders);
}

/** User and password with escapes; `''` without a user. */
export function writeUserinfo({ user, password, escapedUserinfo }: SipUri): string {
  if (user === undefined) return '';
  if (escapedUserinfo !== undefined) {
    const [escapedUser = '', escapedPassword] = escapedUserinfo.split(':');
    const same =
      percentDecode(escapedUser) === user &&
      (escapedPassword === undefined ? undefined : percentDecode(escapedPassword)) === password;
    if (same) return escapedUserinfo;
  }
  return encodeUserinfo(user, password);
}

function encodeUserinfo(user: string, password: string | undefined): string {
  const escaped = percentEncode(USER, user);
  return password === undefined ? escaped : `${escaped}:${percentEncode(PASSWORD, password)}`;
}

function find(code: number, text: string, start: number, end: number): number {
  for (let pos = start; pos < end; pos++) {
    if (text.charCodeAt(pos) === code) return pos;
  }
  return -1;
}
