/** To which transaction a message belongs (RFC 3261 §17.1.3, §17.2.3). */
import {
  CSeq,
  From,
  formatUri,
  type SipMessage,
  type SipRequest,
  To,
  Via,
} from '@sip-stack/parser';

/** RFC 3261 §8.1.1.7: a branch that starts so is unique across space and time. */
export const MAGIC_COOKIE = 'z9hG4bK';

/** RFC 3261 §17.1.3: a response belongs to the transaction of its top branch and CSeq method. */
export function clientKey({ headers }: SipMessage, method = headers.require(CSeq).method): string {
  return `${headers.require(Via).params.get('branch') ?? ''} ${method}`;
}

/** RFC 3261 §17.2.3; an ACK shares the key of its INVITE. */
export function serverKey(request: SipRequest): string {
  const { headers } = request;
  const via = headers.require(Via);
  const method = request.method === 'ACK' ? 'INVITE' : request.method;
  const branch = via.params.get('branch') ?? '';
  const sentBy = `${via.host.toLowerCase()}:${via.port ?? 5060}`;
  if (branch.startsWith(MAGIC_COOKIE)) return `${branch} ${sentBy} ${method}`;
  // RFC 2543 peers make no unique branch; the To tag is left out since the ACK brings a new one.
  return [
    '2543',
    formatUri(request.uri),
    headers.require(From).params.get('tag') ?? '',
    headers.text('Call-ID') ?? '',
    headers.require(CSeq).sequence,
    sentBy,
    branch,
    method,
    method === 'INVITE' ? '' : (headers.require(To).params.get('tag') ?? ''),
  ].join(' ');
}
