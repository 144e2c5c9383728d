/** DNS messages as multicast DNS uses them (RFC 6762 §18). */

/** A known type, `ANY` (questions alone), or `TYPE` and its number (RFC 3597 §5). */
export type RecordType = 'A' | 'PTR' | 'TXT' | 'AAAA' | 'SRV' | 'NSEC' | 'ANY' | `TYPE${number}`;

export interface DnsQuestion {
  readonly name: string;
  readonly type: RecordType;
  /** The top bit of the class: a unicast answer will do (RFC 6762 §5.4, "QU"). */
  readonly unicast: boolean;
}

export type RecordData =
  | { readonly type: 'A' | 'AAAA' /** A literal without zone. */; readonly address: string }
  | { readonly type: 'PTR'; readonly target: string }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly host: string;
    }
  | { readonly type: 'TXT'; readonly texts: readonly Uint8Array[] }
  | { readonly type: 'NSEC'; readonly next: string; readonly types: readonly RecordType[] }
  | { readonly type: `TYPE${number}`; readonly octets: Uint8Array };

export interface DnsRecord {
  readonly name: string;
  /** Seconds; 0 says goodbye (RFC 6762 §10.1). */
  readonly ttl: number;
  /** The cache-flush bit (RFC 6762 §10.2). */
  readonly flush: boolean;
  readonly data: RecordData;
}

export interface DnsMessage {
  /** 0 but for what is asked by unicast and answered so (RFC 6762 §6.7, §18.1). */
  readonly id: number;
  readonly response: boolean;
  /** Of a query: more known answers follow (RFC 6762 §7.2). */
  readonly truncated: boolean;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

const EMPTY = {
  id: 0,
  truncated: false,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
};

export function queryOf(parts: Partial<DnsMessage>): DnsMessage {
  return { ...EMPTY, ...parts, response: false };
}

export function responseOf(parts: Partial<DnsMessage>): DnsMessage {
  return { ...EMPTY, ...parts, response: true };
}
