/** The records a host announces (RFC 6763 §4-6, RFC 6762 §6.1): what it is, and on which link it is where. */

import { withoutZone } from '../../core/endpoint.js';
import type { InterfaceAddress } from '../../core/network.js';
import { foldName } from '../phone-name.js';
import type { DnsRecord, RecordType } from './dns-message.js';
import { instanceName } from './dns-name.js';

/** RFC 6762 §10: records that hold a host name or an address, and all others. */
export const HOST_TTL_S = 120;
export const OTHER_TTL_S = 75 * 60;

/** RFC 6763 §9 */
export const META_QUERY = '_services._dns-sd._udp.local';

export interface ServiceSpec {
  /** E.g. `_sip._udp`. */
  readonly type: string;
  readonly port: number;
  /** `key=value`, each at most 255 octets. */
  readonly texts: readonly string[];
  /** E.g. `_room`, announced as `_room._sub._sip._udp` (RFC 6763 §7.1). */
  readonly subtypes?: readonly string[];
}

/** What one name, host or instance, stands for; it has to be nobody else's. */
export interface Claimed {
  readonly name: string;
  /** No other host may have records of this name and these types. */
  readonly unique: readonly DnsRecord[];
  /** Pointers that lead to it, of which others have more. */
  readonly shared: readonly DnsRecord[];
}

export function serviceClaim(label: string, host: string, service: ServiceSpec): Claimed {
  const type = `${service.type}.local`;
  const name = instanceName(label, type);
  const { port } = service;
  const texts = service.texts.map(text => new TextEncoder().encode(text));
  const pointers = [
    [type, name],
    ...(service.subtypes ?? []).map(subtype => [`${subtype}._sub.${type}`, name]),
    [META_QUERY, type],
  ] as const;
  return {
    name,
    unique: [
      record(name, HOST_TTL_S, { type: 'SRV', priority: 0, weight: 0, port, host }),
      record(name, OTHER_TTL_S, { type: 'TXT', texts }),
    ],
    shared: pointers.map(([from = '', target = '']) => ({
      name: from,
      ttl: OTHER_TTL_S,
      flush: false,
      data: { type: 'PTR', target },
    })),
  };
}

/** Never an address of another link: who hears of it could not reach it. */
export function hostClaim(name: string, addresses: readonly InterfaceAddress[]): Claimed {
  const unique = addresses.map(({ family, address }) => {
    const type = family === 'IPv4' ? 'A' : 'AAAA';
    return record(name, HOST_TTL_S, { type, address: withoutZone(address).toLowerCase() });
  });
  return { name, unique, shared: [] };
}

/** "Of this name there is nothing but …" (RFC 6762 §6.1). */
export function denial({ name, unique }: Claimed): DnsRecord {
  const types = [...new Set(unique.map(({ data }) => data.type as RecordType))];
  return record(name, HOST_TTL_S, { type: 'NSEC', next: name, types });
}

/** What goes along with a record, lest it be asked for next (RFC 6763 §12). */
export function companions(answer: DnsRecord, claims: readonly Claimed[]): DnsRecord[] {
  const claimOf = (name: string) => claims.find(each => foldName(each.name) === foldName(name));
  switch (answer.data.type) {
    case 'PTR': {
      const records = claimOf(answer.data.target)?.unique ?? [];
      return [...records, ...records.flatMap(each => companions(each, claims))];
    }
    case 'SRV': {
      const host = claimOf(answer.data.host);
      return host ? [...host.unique, denial(host)] : [];
    }
    case 'A':
    case 'AAAA': {
      const host = claimOf(answer.name);
      return host ? [...host.unique, denial(host)] : [];
    }
    default:
      return [];
  }
}

function record(name: string, ttl: number, data: DnsRecord['data']): DnsRecord {
  return { name, ttl, flush: true, data };
}
