/** The eleven messages of RFC 2608 §8 and §10. Lists are lists of plain strings: escapes are the codec's. */

/** RFC 2608 §9.1. */
export interface Extension {
  readonly id: number;
  readonly data: Uint8Array;
}

/** RFC 2608 §9.2. Read and written as it is; nothing here verifies a signature. */
export interface AuthenticationBlock {
  /** Block structure descriptor; 2 is DSA with SHA-1. */
  readonly descriptor: number;
  /** Seconds since 1970, when the signature expires. */
  readonly timestamp: number;
  readonly spi: string;
  readonly data: Uint8Array;
}

/** RFC 2608 §4.3. */
export interface UrlEntry {
  /** In s, up to 65535. */
  readonly lifetime: number;
  readonly url: string;
  readonly authentication?: readonly AuthenticationBlock[];
}

export interface MessageHeader {
  /** 0 only in unsolicited DAAdverts. */
  readonly xid: number;
  /** A language tag, e.g. `en` or `de-AT`. */
  readonly language: string;
  /** There was more than fits into a datagram. */
  readonly overflow?: boolean;
  /** SrvReg: not an update of what is registered. */
  readonly fresh?: boolean;
  /** A request that was multicast. */
  readonly multicast?: boolean;
  readonly extensions?: readonly Extension[];
}

export interface SrvRqst extends MessageHeader {
  readonly kind: 'SrvRqst';
  /** IPv4 addresses of who has answered already. */
  readonly previousResponders: readonly string[];
  readonly serviceType: string;
  readonly scopes: readonly string[];
  /** A search filter, or empty; see `parseFilter`. */
  readonly predicate: string;
  readonly spi: string;
}

export interface SrvRply extends MessageHeader {
  readonly kind: 'SrvRply';
  readonly error: number;
  readonly urls: readonly UrlEntry[];
}

export interface SrvReg extends MessageHeader {
  readonly kind: 'SrvReg';
  readonly url: UrlEntry;
  readonly serviceType: string;
  readonly scopes: readonly string[];
  /** An attribute list; see `parseAttributes`. Kept as it was written: signatures are about these octets. */
  readonly attributes: string;
  readonly authentication?: readonly AuthenticationBlock[];
}

export interface SrvDeReg extends MessageHeader {
  readonly kind: 'SrvDeReg';
  readonly scopes: readonly string[];
  readonly url: UrlEntry;
  /** Only these attributes are taken back; empty: the service. May hold wildcards. */
  readonly tags: readonly string[];
}

export interface SrvAck extends MessageHeader {
  readonly kind: 'SrvAck';
  readonly error: number;
}

export interface AttrRqst extends MessageHeader {
  readonly kind: 'AttrRqst';
  readonly previousResponders: readonly string[];
  /** A URL, or a service type. */
  readonly url: string;
  readonly scopes: readonly string[];
  /** May hold wildcards; empty: all. */
  readonly tags: readonly string[];
  readonly spi: string;
}

export interface AttrRply extends MessageHeader {
  readonly kind: 'AttrRply';
  readonly error: number;
  readonly attributes: string;
  readonly authentication?: readonly AuthenticationBlock[];
}

export interface DAAdvert extends MessageHeader {
  readonly kind: 'DAAdvert';
  readonly error: number;
  /** Seconds since 1970 at which it knew nothing; 0: it is going down. */
  readonly bootTimestamp: number;
  /** `service:directory-agent://ADDRESS` */
  readonly url: string;
  readonly scopes: readonly string[];
  readonly attributes: string;
  readonly spis: readonly string[];
  readonly authentication?: readonly AuthenticationBlock[];
}

export interface SrvTypeRqst extends MessageHeader {
  readonly kind: 'SrvTypeRqst';
  readonly previousResponders: readonly string[];
  /** Empty: IANA's; absent: every one. */
  readonly namingAuthority: string | undefined;
  readonly scopes: readonly string[];
}

export interface SrvTypeRply extends MessageHeader {
  readonly kind: 'SrvTypeRply';
  readonly error: number;
  readonly serviceTypes: readonly string[];
}

export interface SAAdvert extends MessageHeader {
  readonly kind: 'SAAdvert';
  /** `service:service-agent://ADDRESS` */
  readonly url: string;
  readonly scopes: readonly string[];
  readonly attributes: string;
  readonly authentication?: readonly AuthenticationBlock[];
}

export type SlpMessage =
  | SrvRqst
  | SrvRply
  | SrvReg
  | SrvDeReg
  | SrvAck
  | AttrRqst
  | AttrRply
  | DAAdvert
  | SrvTypeRqst
  | SrvTypeRply
  | SAAdvert;

export type MessageKind = SlpMessage['kind'];

/** Requests that can be multicast, and grow by the list of who has answered. */
export type QueryMessage = SrvRqst | AttrRqst | SrvTypeRqst;

/** RFC 2608 §8: the function-ID of each. */
export const FUNCTION_ID: Readonly<Record<MessageKind, number>> = {
  SrvRqst: 1,
  SrvRply: 2,
  SrvReg: 3,
  SrvDeReg: 4,
  SrvAck: 5,
  AttrRqst: 6,
  AttrRply: 7,
  DAAdvert: 8,
  SrvTypeRqst: 9,
  SrvTypeRply: 10,
  SAAdvert: 11,
};

/** Nobody understands the extensions that one must understand (RFC 2608 §9.1): the first such, if there is one. */
export function mandatoryExtension({ extensions = [] }: MessageHeader): Extension | undefined {
  return extensions.find(({ id }) => id >= 0x4000 && id <= 0x7fff);
}
