/** Endpoints as text. */
import { isIP, isIPv6 } from 'node:net';
import { CodedError } from './errors.js';
import type { Endpoint, InterfaceAddress } from './network.js';

/** All of IPv4. */
export const ANY_IPV4 = '0.0.0.0';
/** All addresses, of both kinds. */
export const ANY = '::';

/** Whether who listens there does so at more than one address. */
export function isWildcard(address: string): boolean {
  return address === ANY || address === ANY_IPV4;
}

/** Whether a socket bound to `address` reaches `remote`, as far as their kinds go. */
export function canReach(address: string, remote: string): boolean {
  return address === ANY || isIPv6(address) === isIPv6(remote);
}

/** Those of our addresses at which a socket bound to `bound` hears: those that most others reach first. */
export function heardAt(
  bound: string,
  own: readonly InterfaceAddress[],
): readonly InterfaceAddress[] {
  const rank = ({ address }: InterfaceAddress) =>
    isLinkLocal(address) ? 2 : Number(isIPv6(address));
  const [literal, zone] = bound.toLowerCase().split('%');
  const isBound = ({ address, name }: InterfaceAddress) =>
    isWildcard(bound)
      ? canReach(bound, address)
      : withoutZone(address).toLowerCase() === literal && (zone ?? name) === name;
  return own.filter(isBound).sort((a, b) => rank(a) - rank(b));
}

/** `192.0.2.1:5060`, `[2001:db8::1]:5060`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

/**
 * Reads `HOST:PORT`, `HOST`, `[V6]:PORT` or `:PORT`, where HOST is a literal address.
 *
 * @throws {CodedError} `BAD_ENDPOINT`
 */
export function parseEndpoint(text: string, defaults: Endpoint): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = match?.[3] === undefined ? defaults.port : Number(match[3]);
  if (!match || port > 65535 || (address !== '' && isIP(address) === 0)) {
    throw new CodedError('BAD_ENDPOINT', `expected ADDRESS:PORT, found "${text}"`, {
      remedy:
        'Write a literal address of this machine and a port from 0 to 65535, e.g. 192.0.2.7:5060 or [::]:5060.',
    });
  }
  return { address: address === '' ? defaults.address : address, port };
}

/** How IPv4 addresses are written where both kinds come together (RFC 4291 §2.5.5.2). */
export const MAPPED = '::ffff:';

/** An address as its own kind writes it. */
export function withoutMapping(address: string): string {
  return address.startsWith(MAPPED) && address.includes('.')
    ? address.slice(MAPPED.length)
    : address;
}

/** A link-local address without its zone, which means nothing to anybody else (RFC 4007 §6). */
export function withoutZone(address: string): string {
  const zone = address.indexOf('%');
  return zone < 0 ? address : address.slice(0, zone);
}

/** Of IPv6: fe80::/10, RFC 4291 §2.5.6. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}

/** A link-local IPv6 address heard of on the link of `neighbour`, with the zone that makes it usable. */
export function withZoneOf(address: string, neighbour: string): string {
  const zone = neighbour.indexOf('%');
  return zone < 0 || !isLinkLocal(address) || address.includes('%')
    ? address
    : address + neighbour.slice(zone);
}
