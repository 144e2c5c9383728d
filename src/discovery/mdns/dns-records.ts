/** The DNS records that tell of a SIP phone (RFC 6763 §4-6), as the browser reads them from a message. */
import { foldName } from '../phone-name.js';
import type { DnsMessage, DnsRecord } from './dns-message.js';
import { labelsOf, nameOf } from './dns-name.js';

/** SIP over UDP, as the IANA service registry names it: what a browser looks for by default. */
export const SERVICE = '_sip._udp.local';

/** Keys of the TXT record: where the phone takes SIP by other protocols. */
export const PORT_KEYS = { TLS: 'tls', WS: 'ws', WSS: 'wss' } as const;

interface RecordBase {
  /** Folded to lower case. */
  readonly name: string;
  /** Seconds; 0 says goodbye (RFC 6762 §10.1). */
  readonly ttl: number;
  /** The cache-flush bit: this is the whole truth for its name and type (RFC 6762 §10.2). */
  readonly flush: boolean;
}

export type PhoneRecord = RecordBase &
  (
    | { readonly type: 'PTR' /** As sent. */; readonly instance: string }
    | { readonly type: 'SRV'; readonly host: string; readonly port: number }
    | { readonly type: 'TXT'; readonly texts: readonly string[] }
    | { readonly type: 'A' | 'AAAA'; readonly address: string }
  );

/** What a response says of `service` and of hosts, answers and additional records alike; the rest is dropped. */
export function phoneRecords({ answers, additionals }: DnsMessage, service: string): PhoneRecord[] {
  return [...answers, ...additionals].flatMap(record => phoneRecord(record, service) ?? []);
}

function phoneRecord(
  { name, ttl, flush, data }: DnsRecord,
  service: string,
): PhoneRecord | undefined {
  const base = { name: foldName(name), ttl, flush };
  switch (data.type) {
    case 'PTR':
      return base.name === service ? { ...base, type: 'PTR', instance: data.target } : undefined;
    case 'SRV':
      return { ...base, type: 'SRV', host: data.host, port: data.port };
    case 'TXT':
      return {
        ...base,
        type: 'TXT',
        texts: data.texts.map(text => new TextDecoder().decode(text)),
      };
    case 'A':
    case 'AAAA':
      return { ...base, type: data.type, address: data.address };
    default:
      return undefined;
  }
}

/** The value of a TXT key; keys are compared without case and the first one counts (RFC 6763 §6.4). */
export function textValue(texts: readonly string[], key: string): string | undefined {
  const prefix = `${key}=`;
  const text = texts.find(each => foldName(each).startsWith(prefix));
  return text?.slice(prefix.length);
}

/** A port in a TXT value; undefined for anything that is none. */
export function portValue(texts: readonly string[], key: string): number | undefined {
  const text = textValue(texts, key) ?? '';
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : undefined;
}

/** The phone's name in `NAME._sip._udp.local`; undefined for anything else or a name that cannot be shown. */
export function phoneNameOf(instance: string, service: string): string | undefined {
  const [name = '', ...type] = labelsOf(instance);
  if (foldName(nameOf(type)) !== service) return undefined;
  // U+FFFD stands for octets that are no UTF-8.
  return name === '' || /[\p{Cc}\ufffd]/u.test(name) ? undefined : name;
}
