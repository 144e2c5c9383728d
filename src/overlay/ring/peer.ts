/** A member or node: its place, and where it is reached. Never changed, so shared freely. */
import { formatEndpoint, parseEndpoint, withoutZone } from '../../core/endpoint.js';
import { CodedError } from '../../core/errors.js';
import type { Endpoint } from '../../core/network.js';
import type { Target } from '../../sip/transport/transport.js';
import type { Id } from './ids.js';

export interface Peer {
  readonly id: Id;
  /** `ADDRESS:PORT`, by the protocol of the overlay's links; `ADDRESS:PORT;transport=tcp` by TCP where those go by TLS. */
  readonly address: string;
  /** `ADDRESS:PORT`, literal, by the same protocol: where it takes links too, by an address of the other kind. */
  readonly also?: string;
}

/** By which links go. */
export type LinkProtocol = 'TCP' | 'TLS';

export const BY_TCP = ';transport=tcp';
/** An IPv6 address in brackets, with a zone, and a port. */
const MAX_ENDPOINT = 80;

/** @param usual of the overlay's links */
export function peerAddress(endpoint: Endpoint, by: LinkProtocol, usual: LinkProtocol): string {
  return `${formatEndpoint(endpoint)}${by === usual ? '' : BY_TCP}`;
}

/**
 * Where links to somebody may lead, the way to try first first: whoever has no route there takes the next.
 *
 * @throws {CodedError} `BAD_ENDPOINT`
 */
export function linkTargets({ address, also }: Peer, usual: LinkProtocol): [Target, ...Target[]] {
  const first = linkTarget(address, usual);
  return also === undefined
    ? [first]
    : [first, { ...linkTarget(also, usual), protocol: first.protocol }];
}

/** What others say of a further address; nothing where it is none that a link could lead to. */
export function furtherAddress(told: unknown): Pick<Peer, 'also'> {
  if (typeof told !== 'string' || told.length > MAX_ENDPOINT) return {};
  try {
    const { address, port } = parseEndpoint(told, { address: '', port: 0 });
    if (address === '' || port === 0) return {};
    return { also: formatEndpoint({ address: withoutZone(address), port }) };
  } catch (error) {
    if (error instanceof CodedError) return {};
    throw error;
  }
}

/** Whether a link between two is possible, as far as the kinds of their addresses go. */
export function shareKind(one: Peer, other: Peer): boolean {
  const kinds = kindsOf(one);
  return kindsOf(other).some(kind => kinds.includes(kind));
}

function kindsOf({ address, also }: Peer): ('IPv4' | 'IPv6')[] {
  const all = also === undefined ? [address] : [address, also];
  return all.map(each => (each.startsWith('[') ? 'IPv6' : 'IPv4'));
}

/**
 * Who has answered at `asked`: as it speaks of itself, so that it is one and the same however it was found; where it is
 * behind something, at that.
 */
export function foundAt(asked: string, from: Peer): Peer {
  const [, params = ''] = /(;.*)$/.exec(from.address) ?? [];
  const place = asked.replace(/%[^\]]*/, '');
  const isTold = place === from.address || (from.also && place === `${from.also}${params}`);
  return isTold ? from : { id: from.id, address: asked };
}

/** Whether two say the same of where somebody is reached. */
export function sameWays(one: Peer, other: Peer): boolean {
  return one.address === other.address && one.also === other.also;
}

/** @throws {CodedError} `BAD_ENDPOINT` */
export function linkTarget(address: string, usual: LinkProtocol): Target {
  const [place = '', ...params] = address.split(';');
  const endpoint = parseEndpoint(place, { address: '', port: 5060 });
  return { protocol: params.length > 0 ? 'TCP' : usual, endpoint };
}
