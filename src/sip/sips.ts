/** Addresses that demand security all along: `sips:` (RFC 3261 §26.2.2, RFC 5630). */
import { Contact, isSipUri, RecordRoute, type SipRequest, type Uri } from '@sip-stack/parser';
import type { SipProtocol } from './transport/transport.js';

export function isSips(uri: Uri): boolean {
  return isSipUri(uri) && uri.scheme === 'sips';
}

/** Whether the dialog that a request begins has a `sips:` Contact at its other end too, RFC 3261 §12.1.1. */
export function beginsSipsDialog({ uri, headers }: SipRequest): boolean {
  const [route] = headers.all(RecordRoute);
  const [contact] = headers.all(Contact);
  const caller = route ?? (contact === '*' ? undefined : contact);
  return isSips(uri) || (caller !== undefined && isSips(caller.uri));
}

/** The `transport` parameter of a `sips:` address: TLS is TCP there, secured (RFC 5630 §3.1.3, RFC 7118 §5.3). */
export function sipsTransport(protocol: SipProtocol): string {
  return protocol === 'WS' || protocol === 'WSS' ? 'ws' : 'tcp';
}
