/** Which of a phone's addresses can be reached from here, and which is best. */
import { isIPv4, isIPv6 } from 'node:net';
import { isLinkLocal } from '../core/endpoint.js';
import type { Endpoint, InterfaceAddress } from '../core/network.js';
import { isInSubnet } from './subnet.js';

/** An address a phone announced, and the interface of ours it was heard on. */
export interface HeardAddress {
  readonly address: string;
  readonly link: string;
}

/** Each address once, best first: IPv4 on one of our links, other IPv4, routable IPv6, link-local IPv6, our own loopback. */
export function reachableEndpoints(
  heard: readonly HeardAddress[],
  port: number,
  own: readonly InterfaceAddress[],
): Endpoint[] {
  const ranked = new Map<string, number>();
  for (const each of heard) {
    const rank = rankOf(each, own);
    if (rank === undefined) continue;
    const address = isLinkLocal(each.address) ? `${each.address}%${each.link}` : each.address;
    ranked.set(address, rank);
  }
  return [...ranked]
    .sort(([a, rankA], [b, rankB]) => rankA - rankB || (a < b ? -1 : 1))
    .map(([address]) => ({ address, port }));
}

function rankOf(
  { address, link }: HeardAddress,
  own: readonly InterfaceAddress[],
): number | undefined {
  if (isLoopback(address))
    return own.some(each => each.internal && each.name === link) ? 4 : undefined;
  if (isIPv4(address) && !isUnicastIPv4(address)) return undefined;
  if (isIPv4(address)) return own.some(each => isInSubnet(address, each)) ? 0 : 1;
  if (!isIPv6(address) || /^(?:::$|ff)/i.test(address)) return undefined;
  return isLinkLocal(address) ? 3 : 2;
}

/** Neither "this network" nor multicast, reserved or broadcast (RFC 6890). */
function isUnicastIPv4(address: string): boolean {
  const first = Number.parseInt(address, 10);
  return first > 0 && first < 224;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
