/** The way back of a response: RFC 3261 §18.2.2, RFC 3581 §4, RFC 3263 §5. */
import { type SipUri, sipUri, type ViaValue } from '@sip-stack/parser';
import { PROTOCOLS, type SipProtocol } from './plan.js';
import type { Target } from './target-resolver.js';

/**
 * Where a response goes first: where its request came from, as `received` and `rport` tell.
 * Over a connection it goes back on that while it stands; this is where a new one is opened.
 *
 * `maddr` counts only where nobody noted the source, so that a stranger cannot turn answers on others.
 *
 * @param via the topmost of the request, marked with its source
 */
export function responseTarget(via: ViaValue): Target {
  const protocol = protocolOf(via);
  const rport = protocol === 'UDP' ? Number(via.params.get('rport') || 0) : 0;
  const address = via.params.get('received') ?? via.params.get('maddr') ?? via.host;
  return { protocol, endpoint: { address, port: rport || portOf(via) } };
}

/**
 * Where a response goes when that failed: resolving this URI asks what RFC 3263 §5 has to be asked of
 * the host in `sent-by`, that is its addresses where a port is given, its SRV records where none is.
 */
export function sentByUri(via: ViaValue): SipUri {
  const transport = protocolOf(via).toLowerCase();
  return sipUri({ host: via.host, port: via.port, params: { transport } });
}

function portOf(via: ViaValue): number {
  // RFC 3261 §18.2.2; a WebSocket client has no port to come back to, so this one is never listened on.
  return via.port ?? PROTOCOLS[protocolOf(via)].defaultPort;
}

function protocolOf({ transport }: ViaValue): SipProtocol {
  return transport in PROTOCOLS ? (transport as SipProtocol) : 'UDP';
}
