/** What resolution asks of the DNS. The system's is in `system-dns.ts`; tests bring their own. */

/** RFC 3403 §4.1 */
export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  /** `s`: the replacement has SRV records; `a`: it has addresses. */
  readonly flags: string;
  /** `SIP+D2U`, `SIPS+D2T`, … */
  readonly service: string;
  readonly regexp: string;
  readonly replacement: string;
}

/** RFC 2782 */
export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** `.` or empty: the service is decidedly not available here. */
  readonly name: string;
}

export type DnsAnswer<T> =
  | { readonly type: 'found'; readonly records: readonly T[]; readonly ttlMs: number }
  /** The name does not exist, or has no such record. */
  | { readonly type: 'absent'; readonly ttlMs: number }
  /** Nobody knows: no server, no answer in time, an answer that is none. */
  | { readonly type: 'failed'; readonly reason: string };

/** Every question is answered within a time of its own choosing; none rejects. */
export interface DnsClient {
  naptr(name: string): Promise<DnsAnswer<NaptrRecord>>;
  srv(name: string): Promise<DnsAnswer<SrvRecord>>;
  /** IPv4 addresses. */
  a(name: string): Promise<DnsAnswer<string>>;
  /** IPv6 addresses. */
  aaaa(name: string): Promise<DnsAnswer<string>>;
}
