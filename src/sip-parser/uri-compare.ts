/** Whether two URIs mean the same (RFC 3261 §19.1.4, RFC 5954 §4.2). Not transitive, by the RFC. */
import { sameIgnoringCase } from './chars.js';
import type { Params } from './params.js';
import { isSipUri, type SipUri, type Uri } from './uri.js';

/** A URI that has one of these never equals one that has not, whatever the default is. */
const TELLING_PARAMS = ['user', 'ttl', 'method', 'maddr', 'transport'];

export function sameUri(a: Uri, b: Uri): boolean {
  if (isSipUri(a) && isSipUri(b)) return sameSipUri(a, b);
  if (isSipUri(a) || isSipUri(b)) return false;
  return a.scheme === b.scheme && a.opaque === b.opaque;
}

function sameSipUri(a: SipUri, b: SipUri): boolean {
  return (
    a.scheme === b.scheme &&
    a.user === b.user &&
    a.password === b.password &&
    a.port === b.port &&
    comparableHost(a.host) === comparableHost(b.host) &&
    sameParams(a.params, b.params) &&
    sameHeaders(a.headers, b.headers)
  );
}

function sameParams(a: Params, b: Params): boolean {
  if (TELLING_PARAMS.some(name => a.has(name) !== b.has(name))) return false;
  const others = lowerCased(b);
  for (const [name, value] of a) {
    const other = others.get(name.toLowerCase());
    if (other !== undefined && !sameIgnoringCase(value, other)) return false;
  }
  return true;
}

/** Header components must all be there on both sides, in any order. */
function sameHeaders(a: Params, b: Params): boolean {
  if (a.size !== b.size) return false;
  const others = lowerCased(b);
  for (const [name, value] of a) {
    if (others.get(name.toLowerCase()) !== value) return false;
  }
  return true;
}

function lowerCased(params: Params): Map<string, string> {
  return new Map([...params].map(([name, value]) => [name.toLowerCase(), value]));
}

/** Lower case; IPv6 addresses in one form, since they can be written in several. */
function comparableHost(host: string): string {
  const lower = host.toLowerCase();
  return lower.includes(':') ? expandIpv6(lower) : lower;
}

/** Eight groups without leading zeros. */
function expandIpv6(address: string): string {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (dotted) {
    const [, lead, ...octets] = dotted;
    const [a, b, c, d] = octets.map(Number) as [number, number, number, number];
    return expandIpv6(`${lead}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
  }
  const [head = '', tail] = address.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map(group => group.replace(/^0+(?=.)/, ''));
  if (tail === undefined) return groups(head).join(':');
  const before = groups(head);
  const after = groups(tail);
  const missing = Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(missing).fill('0'), ...after].join(':');
}
