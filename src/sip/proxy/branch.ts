/** Branches of a proxy: they tell a request that came back unchanged, a loop, from one that spirals. */
import { createHash } from 'node:crypto';
import { CallId, CSeq, From, formatUri, type SipRequest, To, Via } from '@sip-stack/parser';

/** Half of a SHA-256 is plenty: nobody but this proxy can make one. */
const DIGEST_DIGITS = 16;

/** Everything that decides where a request goes (RFC 5393 §4.2.1). */
const DECIDING_FIELDS = [
  'Route',
  'Proxy-Require',
  'Proxy-Authorization',
  'Accept-Contact',
  'Reject-Contact',
  'Request-Disposition',
];

/**
 * A digest of what decides where the request goes from here. Taken after Route was processed, so that
 * a loop looks the same in every round.
 *
 * @param secret this proxy's own, so that its branches can be told from those of others
 */
export function loopDigest(request: SipRequest, secret: string): string {
  const { headers } = request;
  return digest([
    secret,
    formatUri(request.uri),
    headers.require(From).params.get('tag') ?? '',
    headers.require(To).params.get('tag') ?? '',
    headers.require(CallId),
    String(headers.require(CSeq).sequence),
    request.method,
    ...DECIDING_FIELDS.map(name => headers.texts(name).join(', ')),
  ]);
}

/** @param branch fresh, from the transaction layer */
export function loopAwareBranch(branch: string, loop: string): string {
  return `${branch}-${loop}`;
}

/** Whether the request was here before and would go the same way again: 482. */
export function isLoop({ headers }: SipRequest, loop: string): boolean {
  return headers.all(Via).some(({ params }) => params.get('branch')?.endsWith(`-${loop}`));
}

/** The branch of a request forwarded without state: the same for each retransmission (§16.11). */
export function statelessBranch(request: SipRequest, secret: string): string {
  const via = Via.format(request.headers.require(Via));
  return `z9hG4bK${digest([secret, via, formatUri(request.uri)])}`;
}

function digest(parts: readonly string[]): string {
  return createHash('sha256')
    .update(parts.join('\n'))
    .digest('hex')
    .slice(0, 2 * DIGEST_DIGITS);
}
