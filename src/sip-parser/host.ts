/**
 * Hosts: names, IPv4 addresses, IPv6 addresses in brackets (RFC 3986 §3.2.2) with or without a zone.
 * A zone is written as RFC 6874 has it, `[fe80::1%25eth0]`, and read without the `25` too.
 */
import { HOST, isHexDigit, isIn } from './chars.js';

const BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const COLON = 0x3a;
const DOT = 0x2e;
const PERCENT = 0x25;

/** Position after the host that starts at `start`; -1 for a broken IPv6 address. */
export function endOfHost(text: string, start: number, end: number): number {
  if (start < end && text.charCodeAt(start) === BRACKET) return endOfLiteral(text, start + 1, end);
  let pos = start;
  while (pos < end && isIn(HOST, text.charCodeAt(pos))) pos++;
  return pos;
}

function endOfLiteral(text: string, start: number, end: number): number {
  let pos = start;
  let colons = 0;
  for (; pos < end; pos++) {
    const code = text.charCodeAt(pos);
    if (code === COLON) colons++;
    else if (!isHexDigit(code) && code !== DOT) break;
  }
  if (pos < end && text.charCodeAt(pos) === PERCENT) {
    const zone = ++pos;
    while (pos < end && isIn(HOST, text.charCodeAt(pos))) pos++;
    if (pos === zone) return -1;
  }
  const closed = pos < end && text.charCodeAt(pos) === CLOSING_BRACKET;
  return closed && colons >= 2 ? pos + 1 : -1;
}

/** The host in [start, end), without brackets: `fe80::1%eth0`. */
export function hostAt(text: string, start: number, end: number): string {
  if (text.charCodeAt(start) !== BRACKET) return text.slice(start, end);
  return text.slice(start + 1, end - 1).replace(/%25(?=.)/, '%');
}

export function writeHost(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
}

/** Lower case, and IPv6 addresses in one form, since they can be written in several. */
export function comparableHost(host: string): string {
  if (!host.includes(':')) return host.toLowerCase();
  const [address = '', ...zone] = host.split('%');
  // The grammar of RFC 3261 lets a third colon stand before an IPv4 part (RFC 5118 §4.10).
  return [expandIpv6(address.toLowerCase().replace(':::', '::')), ...zone].join('%');
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
