/** The addresses of one host, as heard on each of our links. */
import type { PhoneRecord } from './dns-records.js';
import { expireSoon, isOver, LAST_BREATH_MS, type Lifetime } from './record-lifetime.js';

export const MAX_ADDRESSES_PER_HOST = 16;

export interface HostAddress extends Lifetime {
  readonly type: 'A' | 'AAAA';
  readonly address: string;
  readonly link: string;
}

/** By link and address. */
export type HostAddresses = Map<string, HostAddress>;

export function hearAddress(
  addresses: HostAddresses,
  { type, address, ttl, flush }: PhoneRecord & { type: 'A' | 'AAAA' },
  link: string,
  life: Lifetime,
): void {
  const now = life.heardAt;
  for (const old of flush ? addresses.values() : []) {
    // A host with several links says something else on each of them: they do not flush one another.
    const stale = old.type === type && old.link === link && old.heardAt < now - LAST_BREATH_MS;
    if (stale) expireSoon(old, now);
  }
  const key = addressKey(link, address);
  if (!addresses.has(key) && (ttl === 0 || addresses.size >= MAX_ADDRESSES_PER_HOST)) return;
  addresses.set(key, { ...life, type, address, link });
}

export function addressKey(link: string, address: string): string {
  return `${link} ${address}`;
}

export function forgetAddresses(addresses: HostAddresses, now: number): void {
  for (const [key, address] of addresses) if (isOver(address, now)) addresses.delete(key);
}
