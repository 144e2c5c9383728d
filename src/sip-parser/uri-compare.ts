/** Whether two URIs mean the same (RFC 3261 §19.1.4, RFC 5954 §4.2). Not transitive, by the RFC. */
import { normalizeEscapes } from './escapes.js';
import { fieldName } from './field-names.js';
import { From } from './fields/address.js';
import { comparableHost } from './host.js';
import type { Params } from './params.js';
import { type SipUri, writeUserinfo } from './sip-uri.js';
import { sameTelUri } from './tel-uri.js';
import { isSipUri, isTelUri, type Uri } from './uri.js';
import { uriParams } from './uri-params.js';

/** A URI that has one of these never equals one that has not, whatever the default is. */
const TELLING_PARAMS = ['user', 'ttl', 'method', 'maddr', 'transport'];

/** Header components whose values are addresses, and those that are compared letter by letter (§20.8). */
const ADDRESSES = ['from', 'to', 'contact', 'reply-to', 'route', 'record-route', 'refer-to'];
const CASE_SENSITIVE = ['body', 'call-id', 'in-reply-to'];

export function sameUri(a: Uri, b: Uri): boolean {
  if (isSipUri(a)) return isSipUri(b) && sameSipUri(a, b);
  if (isTelUri(a)) return isTelUri(b) && sameTelUri(a, b);
  return !isSipUri(b) && !isTelUri(b) && a.scheme === b.scheme && a.opaque === b.opaque;
}

function sameSipUri(a: SipUri, b: SipUri): boolean {
  return (
    a.scheme === b.scheme &&
    (a.user === undefined) === (b.user === undefined) &&
    normalizeEscapes(writeUserinfo(a)) === normalizeEscapes(writeUserinfo(b)) &&
    a.port === b.port &&
    comparableHost(a.host) === comparableHost(b.host) &&
    sameParams(a.params, b.params) &&
    sameHeaders(a.headers, b.headers)
  );
}

/** Those on one side only do not count, save the telling ones. */
function sameParams(a: Params, b: Params): boolean {
  if (TELLING_PARAMS.some(name => a.has(name) !== b.has(name))) return false;
  if (a.size === 0 || b.size === 0) return true;
  const others = comparableParams(b);
  for (const [name, value] of comparableParams(a)) {
    const other = others.get(name);
    if (other !== undefined && value !== other) return false;
  }
  return true;
}

/** As written, since an escaped reserved character is not the bare one. */
function comparableParams(params: Params): Map<string, string> {
  const written = normalizeEscapes(params.write(uriParams)).toLowerCase();
  return new Map(
    written
      .slice(1)
      .split(';')
      .map(param => {
        const equals = param.indexOf('=');
        return equals < 0 ? [param, ''] : [param.slice(0, equals), param.slice(equals + 1)];
      }),
  );
}

/** Header components must all be there on both sides; of one name, in the same order. */
function sameHeaders(a: Params, b: Params): boolean {
  if (a.size !== b.size) return false;
  const others = headersByName(b);
  for (const [name, values] of headersByName(a)) {
    const otherValues = others.get(name);
    if (otherValues?.length !== values.length) return false;
    if (!values.every((value, index) => sameHeader(name, value, otherValues[index]!))) return false;
  }
  return true;
}

function headersByName(headers: Params): Map<string, string[]> {
  const byName = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const { key } = fieldName(name);
    const values = byName.get(key);
    if (values) values.push(value);
    else byName.set(key, [value]);
  }
  return byName;
}

/** RFC 3261 §7.3.1: without regard to case, except in quotes and where a field says so. */
function sameHeader(name: string, a: string, b: string): boolean {
  if (a === b) return true;
  if (ADDRESSES.includes(name)) return sameAddress(a, b);
  const matters = CASE_SENSITIVE.includes(name) || a.includes('"');
  return !matters && a.toLowerCase() === b.toLowerCase();
}

/** §20.10: the URIs count and the parameters, not the display name. */
function sameAddress(a: string, b: string): boolean {
  try {
    const [one, other] = [From.parse(a), From.parse(b)];
    const params = one.params.toString().toLowerCase() === other.params.toString().toLowerCase();
    return params && sameUri(one.uri, other.uri);
  } catch {
    return false;
  }
}
