/** What Via says about the way of a request and of its responses (RFC 3261 §18.2, RFC 3581 §4). */
import { isIP } from 'node:net';
import { type SipRequest, Via } from '@sip-stack/parser';
import { withoutZone, withZoneOf } from '../../core/endpoint.js';
import type { Endpoint } from '../../core/network.js';
import { responseTarget as responseTargetOf } from '../resolution/response-path.js';
import type { Source, Target } from './transport.js';

/** Writes where a request really came from into its top Via: RFC 3261 §18.2.1, RFC 3581 §4. */
export function markSource(request: SipRequest, from: Endpoint): void {
  const via = request.headers.require(Via);
  const wantsPort = via.params.has('rport');
  const address = withoutZone(from.address);
  if (!wantsPort && via.host === address) return;
  via.params.set('received', address);
  if (wantsPort) via.params.set('rport', String(from.port));
}

/**
 * Where the response to a request goes (RFC 3261 §18.2.2): back by the connection the request came by;
 * were that gone, by a new one to the port its sender listens at.
 */
export function responseTarget(request: SipRequest, source: Source): Target {
  const via = request.headers.require(Via);
  const { endpoint } = responseTargetOf({ ...via, transport: source.protocol });
  return {
    ...source,
    ...(!isIP(via.host) && { tlsName: via.host }),
    endpoint: { ...endpoint, address: withZoneOf(endpoint.address, source.endpoint.address) },
  };
}
