/** What a URI says about where it leads, before anyone is asked: RFC 3263 §4.1, §4.2. Pure. */
import { isIP } from 'node:net';
import { formatUri, isSipUri, type SipUri, type Uri } from '@sip-stack/parser';
import { CodedError } from '../../core/errors.js';

/** As it stands in the Via header field; WS and WSS are of RFC 7118. */
export type SipProtocol = 'UDP' | 'TCP' | 'TLS' | 'WS' | 'WSS';

interface ProtocolFacts {
  readonly secure: boolean;
  /** RFC 3261 §19.1.2; RFC 7118 §5.3 */
  readonly defaultPort: number;
  /** What stands before the domain in the name of its SRV records, RFC 3263 §4.2; WebSocket has none. */
  readonly service: string | undefined;
  /** In NAPTR records: RFC 3263 §4.1, RFC 7118 §5.3. */
  readonly naptr: string;
}

export const PROTOCOLS: Readonly<Record<SipProtocol, ProtocolFacts>> = {
  UDP: { secure: false, defaultPort: 5060, service: '_sip._udp', naptr: 'SIP+D2U' },
  TCP: { secure: false, defaultPort: 5060, service: '_sip._tcp', naptr: 'SIP+D2T' },
  TLS: { secure: true, defaultPort: 5061, service: '_sips._tcp', naptr: 'SIPS+D2T' },
  WS: { secure: false, defaultPort: 80, service: undefined, naptr: 'SIP+D2W' },
  WSS: { secure: true, defaultPort: 443, service: undefined, naptr: 'SIPS+D2W' },
};

/** Which of the possible ones an address without further words means, RFC 3263 §4.1. */
const BY_DEFAULT: readonly SipProtocol[] = ['UDP', 'TCP', 'TLS', 'WS', 'WSS'];

export type Plan = {
  /** Where to look: a name without a final dot, or an address. */
  readonly host: string;
  /** The name the other side has to prove over TLS, RFC 5922 §7.1; undefined where the URI has an address. */
  readonly tlsName: string | undefined;
} & (
  | /** The host is an address. */ {
      readonly type: 'literal';
      readonly protocol: SipProtocol;
      readonly port: number;
    }
  | /** The host has addresses. */ {
      readonly type: 'host';
      readonly protocol: SipProtocol;
      readonly port: number;
    }
  | /** The host may have servers for these, most wanted first. */ {
      readonly type: 'services';
      readonly protocols: readonly SipProtocol[];
      /** Whether the domain's NAPTR records have a say. */
      readonly askNaptr: boolean;
      /** For a host that has none. */
      readonly fallback: SipProtocol;
    }
);

/**
 * @param spoken the protocols this side speaks, most wanted first
 * @throws {CodedError} `UNSUPPORTED_URI`, `UNSUPPORTED_TRANSPORT`
 */
export function planFor(uri: Uri, spoken: readonly SipProtocol[]): Plan {
  if (!isSipUri(uri)) {
    throw new CodedError(
      'UNSUPPORTED_URI',
      `expected a sip: or sips: address, found a ${uri.scheme}: one`,
      {
        remedy: 'Call it by a sip: address.',
      },
    );
  }
  const host = withoutDot(uri.params.get('maddr')?.replace(/^\[|\]$/g, '') || uri.host);
  const tlsName = isIP(uri.host) ? undefined : withoutDot(uri.host);
  const named = namedProtocol(uri);
  const possible = named ? [named] : spoken.filter(name => isPossible(uri, name));
  const fallback = BY_DEFAULT.find(name => possible.includes(name));
  if (fallback === undefined || !spoken.includes(fallback)) throw unsupported(uri, spoken);
  const { port } = uri;
  const numeric = isIP(host) !== 0;
  if (numeric || port !== undefined || isLocalName(host)) {
    const type = numeric ? 'literal' : 'host';
    const { defaultPort } = PROTOCOLS[fallback];
    return { type, host, tlsName, protocol: fallback, port: port ?? defaultPort };
  }
  return { type: 'services', host, tlsName, protocols: possible, askNaptr: !named, fallback };
}

export interface DirectPlan {
  readonly host: string;
  readonly tlsName: string | undefined;
  readonly protocol: SipProtocol;
  readonly port: number;
}

/**
 * Where a URI leads if nobody asks the DNS who serves it.
 *
 * @throws {CodedError} `UNSUPPORTED_URI`, `UNSUPPORTED_TRANSPORT`
 */
export function directPlan(uri: Uri): DirectPlan {
  const plan = planFor(uri, BY_DEFAULT);
  if (plan.type !== 'services') return plan;
  const { host, tlsName, fallback: protocol } = plan;
  return { host, tlsName, protocol, port: PROTOCOLS[protocol].defaultPort };
}

/**
 * By which protocol a URI wants to be reached and, over TLS, as whom, where nobody asks the DNS.
 *
 * @throws {CodedError} as `directPlan`
 */
export function describeTarget(uri: Uri): { protocol: SipProtocol; tlsName?: string } {
  const { protocol, tlsName } = directPlan(uri);
  return { protocol, ...(tlsName !== undefined && { tlsName }) };
}

/** Names that are no business of the DNS: those of mDNS (RFC 6762 §3) and of the hosts file. */
export function isLocalName(host: string): boolean {
  return !host.includes('.') || host.toLowerCase().endsWith('.local');
}

function withoutDot(name: string): string {
  return name.replace(/(?<=.)\.$/, '');
}

function isPossible({ scheme }: SipUri, protocol: SipProtocol): boolean {
  return scheme === 'sip' || PROTOCOLS[protocol].secure;
}

/** By the `transport` parameter; for `sips` the secure kind of it (RFC 3261 §26.2.2). */
function namedProtocol(uri: SipUri): SipProtocol | undefined {
  const transport = uri.params.get('transport')?.toUpperCase();
  if (transport === undefined) return undefined;
  const secure = uri.scheme === 'sips';
  switch (transport) {
    case 'TLS':
    case 'WSS':
      return transport;
    case 'TCP':
      return secure ? 'TLS' : 'TCP';
    case 'WS':
      return secure ? 'WSS' : 'WS';
    case 'UDP':
      if (!secure) return 'UDP';
  }
  throw unsupported(uri, []);
}

function unsupported(uri: SipUri, spoken: readonly SipProtocol[]): CodedError {
  const known = spoken.length > 0 ? `; spoken here: ${spoken.join(', ')}` : '';
  return new CodedError(
    'UNSUPPORTED_TRANSPORT',
    `the address ${formatUri(uri)} asks for a transport that cannot carry it from here${known}`,
    { remedy: 'Leave the transport parameter out, or name one that both sides speak.' },
  );
}
