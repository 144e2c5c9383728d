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
const GROUPS = 8;
const HIGHEST_OCTET = 255;

/** Position after the host that starts at `start`; -1 for a broken IPv6 address. */
export function endOfHost(text: string, start: number, end: number): number {
  if (start < end && text.charCodeAt(start) === BRACKET) return endOfLiteral(text, start + 1, end);
  let pos = start;
  while (pos < end && isIn(HOST, text.charCodeAt(pos))) pos++;
  return pos;
}

function endOfLiteral(text: string, start: number, end: number): number {
  let pos = start;
  while (pos < end && isAddressUnit(text.charCodeAt(pos))) pos++;
  const address = text.slice(start, pos);
  if (pos < end && text.charCodeAt(pos) === PERCENT) {
    const zone = ++pos;
    while (pos < end && isIn(HOST, text.charCodeAt(pos))) pos++;
    if (pos === zone) return -1;
  }
  const closed = pos < end && text.charCodeAt(pos) === CLOSING_BRACKET;
  return closed && expandIpv6(withoutThirdColon(address)) !== undefined ? pos + 1 : -1;
}

function isAddressUnit(code: number): boolean {
  return isHexDigit(code) || code === COLON || code === DOT;
}

/** The host in [start, end), without brackets: `fe80::1%eth0`. */
export function hostAt(text: string, start: number, end: number): string {
  if (text.charCodeAt(start) !== BRACKET) return text.slice(start, end);
  return withoutThirdColon(text.slice(start + 1, end - 1)).replace(/%25(?=.)/, '%');
}

export function writeHost(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
}

/** Lower case, and IPv6 addresses in one form, since they can be written in several. */
export function comparableHost(host: string): string {
  if (!host.includes(':')) return host.toLowerCase();
  const [address = '', ...zone] = host.split('%');
  return [expandIpv6(address) ?? address, ...zone].join('%');
}

/** The grammar of RFC 3261 lets it stand before an IPv4 part (RFC 5118 §4.10). */
function withoutThirdColon(address: string): string {
  return address.replace(':::', '::');
}

/** Eight groups in lower case without leading zeros; undefined for what is no address (RFC 4291 §2.2). */
function expandIpv6(address: string): string | undefined {
  const dotted = /^(.*:)(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (dotted) {
    const [, lead, ...octets] = dotted;
    const [a, b, c, d] = octets.map(Number) as [number, number, number, number];
    if (Math.max(a, b, c, d) > HIGHEST_OCTET) return undefined;
    return expandIpv6(`${lead}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
  }
  const halves = address.split('::').map(half => (half === '' ? [] : half.split(':')));
  const [before = [], after = []] = halves;
  const missing = GROUPS - before.length - after.length;
  if (halves.length > 2 || (halves.length === 1 ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...before, ...Array<string>(missing).fill('0'), ...after];
  if (!groups.every(group => /^[\dA-Fa-f]{1,4}$/.test(group))) return undefined;
  return groups.map(group => group.replace(/^0+(?=.)/, '').toLowerCase()).join(':');
}
