/** IP addresses as octets, and which lie in which subnet: asked for every packet, so it makes no objects of the system's. */
import { isIPv4 } from 'node:net';
import { withoutZone } from '../core/endpoint.js';
import type { InterfaceAddress } from '../core/network.js';

/** 4 or 16 octets of a literal address; its zone is left out. */
export function addressOctets(literal: string): Uint8Array {
  return isIPv4(literal) ? ipv4Octets(literal) : ipv6Octets(withoutZone(literal));
}

/** Whether `address` lies in the subnet of one of our own addresses. */
export function isInSubnet(address: string, own: Pick<InterfaceAddress, 'address' | 'prefix'>) {
  const [octets, network] = [addressOctets(address), addressOctets(own.address)];
  if (octets.length !== network.length) return false;
  for (let bit = 0; bit < own.prefix; bit += 8) {
    const mask = 0xff & (0xff << Math.max(0, 8 - (own.prefix - bit)));
    const difference = (octets[bit >> 3] ?? 0) ^ (network[bit >> 3] ?? 0);
    if ((difference & mask) !== 0) return false;
  }
  return true;
}

function ipv4Octets(address: string): Uint8Array {
  return Uint8Array.from(address.split('.'), Number);
}

/** RFC 4291 §2.2 */
function ipv6Octets(address: string): Uint8Array {
  const [head = '', tail] = address.split('::');
  const [first, last] = [words(head), words(tail ?? '')];
  const octets = new Uint8Array(16);
  const write = (list: readonly number[], from: number) => {
    for (const [i, word] of list.entries()) {
      octets[2 * (from + i)] = word >> 8;
      octets[2 * (from + i) + 1] = word & 0xff;
    }
  };
  write(first, 0);
  write(last, 8 - last.length);
  return octets;
}

function words(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap(each => {
    if (!isIPv4(each)) return [Number.parseInt(each, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = ipv4Octets(each);
    return [(a << 8) | b, (c << 8) | d];
  });
}
