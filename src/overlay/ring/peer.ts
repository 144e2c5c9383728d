/** A member or node: its place, and where it is reached. Never changed, so shared freely. */
import { formatEndpoint, parseEndpoint } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';
import type { Target } from '../../sip/transport/transport.js';
import type { Id } from './ids.js';

export interface Peer {
  readonly id: Id;
  /** `ADDRESS:PORT`, by the protocol of the overlay's links; `ADDRESS:PORT;transport=tcp` by TCP where those go by TLS. */
  readonly address: string;
}

/** By which links go. */
export type LinkProtocol = 'TCP' | 'TLS';

export const BY_TCP = ';transport=tcp';

/** @param usual of the overlay's links */
export function peerAddress(endpoint: Endpoint, by: LinkProtocol, usual: LinkProtocol): string {
  return `${formatEndpoint(endpoint)}${by === usual ? '' : BY_TCP}`;
}

/** @throws {CodedError} `BAD_ENDPOINT` */
export function linkTarget(address: string, usual: LinkProtocol): Target {
  const [place = '', ...params] = address.split(';');
  const endpoint = parseEndpoint(place, { address: '', port: 5060 });
  return { protocol: params.length > 0 ? 'TCP' : usual, endpoint };
}
