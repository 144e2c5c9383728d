/** Endpoints as text. */
import { isIP, isIPv6 } from 'node:net';
import { CodedError } from './errors.js';
import type { Endpoint } from './network.js';

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

/** A link-local address without its zone, which means nothing to anybody else (RFC 4007 §6). */
export function withoutZone(address: string): string {
  const zone = address.indexOf('%');
  return zone < 0 ? address : address.slice(0, zone);
}

/** A link-local IPv6 address heard of on the link of `neighbour`, with the zone that makes it usable. */
export function withZoneOf(address: string, neighbour: string): string {
  const zone = neighbour.indexOf('%');
  const linkLocal = /^fe[89ab][0-9a-f]:/i.test(address); // fe80::/10, RFC 4291 §2.5.6
  return zone < 0 || !linkLocal || address.includes('%')
    ? address
    : address + neighbour.slice(zone);
}
