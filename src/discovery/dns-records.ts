/** The DNS records that tell of a SIP phone (RFC 6763 §4-6), as the browser reads them from a packet. */
import type { Answer, Packet, TxtData } from 'dns-packet';
import { foldName } from './phone-name.js';

/** SIP over UDP, as the IANA service registry names it. */
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

/** What a response says of phones and hosts, answers and additional records alike; the rest is dropped. */
export function phoneRecords(response: Packet): PhoneRecord[] {
  const records = [...(response.answers ?? []), ...(response.additionals ?? [])];
  return records.flatMap(record => phoneRecord(record) ?? []);
}

function phoneRecord(answer: Answer): PhoneRecord | undefined {
  switch (answer.type) {
    case 'PTR': {
      const base = baseOf(answer);
      return base.name === SERVICE ? { ...base, type: 'PTR', instance: answer.data } : undefined;
    }
    case 'SRV':
      return { ...baseOf(answer), type: 'SRV', host: answer.data.target, port: answer.data.port };
    case 'TXT':
      return { ...baseOf(answer), type: 'TXT', texts: textsOf(answer.data) };
    case 'A':
    case 'AAAA':
      return { ...baseOf(answer), type: answer.type, address: answer.data };
    default:
      return undefined;
  }
}

function baseOf(answer: { name: string; ttl?: number; flush?: boolean }): RecordBase {
  return { name: foldName(answer.name), ttl: answer.ttl ?? 0, flush: answer.flush ?? false };
}

function textsOf(data: TxtData): string[] {
  return (Array.isArray(data) ? data : [data]).map(String);
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

/** The phone's name in `NAME._sip._udp.local`; undefined for anything else or a name with control characters. */
export function phoneNameOf(instance: string): string | undefined {
  const suffix = `.${SERVICE}`;
  if (!foldName(instance).endsWith(suffix)) return undefined;
  const name = instance.slice(0, -suffix.length);
  return name === '' || /\p{Cc}/u.test(name) ? undefined : name;
}
