/** What a proxy does to a request on its way: RFC 3261 §16.4 and §16.6. */
import {
  CallId,
  CSeq,
  From,
  headerField,
  isSipUri,
  MaxForwards,
  type NameAddr,
  Params,
  Path,
  RecordRoute,
  Route,
  SipRequest,
  type SipUri,
  sipUri,
  To,
  type Uri,
  Via,
} from '@sip-stack/parser';
import type { Target } from './target.js';

/** How this proxy is reached from one side: what stands in Via and Record-Route there. */
export interface OwnAddress {
  /** As in Via: `UDP`, `TCP`, … */
  readonly transport: string;
  readonly host: string;
  readonly port: number;
}

/** RFC 5393 §5.3.3: how many branches there may be at the same time, all proxies taken together. */
export const MaxBreadth = headerField<number>({
  name: 'Max-Breadth',
  read: cursor => cursor.takeNumber('a number of branches', 2 ** 31 - 1),
  format: String,
});

const DEFAULT_MAX_FORWARDS = 70; // RFC 3261 §16.6 step 3
export const DEFAULT_MAX_BREADTH = 60; // RFC 5393 §5.3.3.2

/** A copy whose fields can be changed, with the same body. */
export function copyRequest({ method, uri, headers, body }: SipRequest): SipRequest {
  return new SipRequest({ method, uri, headers: headers.clone(), body });
}

/** Takes the proxy's own entries off the route, in `request` itself (§16.4). */
export function consumeRoute(request: SipRequest, isSelf: (uri: SipUri) => boolean): void {
  const { headers } = request;
  const isOwn = (uri: Uri) => isSipUri(uri) && isSelf(uri);
  const last = headers.all(Route).at(-1);
  // A strict router before us put our Record-Route into the Request-URI, and the target last.
  if (last && isOwn(request.uri) && isSipUri(request.uri) && request.uri.params.has('lr')) {
    request.uri = last.uri;
    headers.set(Route, ...headers.all(Route).slice(0, -1));
  }
  for (let top = headers.first(Route); top && isOwn(top.uri); top = headers.first(Route)) {
    headers.removeFirst(Route);
  }
}

export interface ForwardOptions {
  readonly target: Target;
  readonly maxBreadth: number;
  /** Our addresses to stay on the path by, those nearest to the target first; empty for none. */
  readonly recordRoute: readonly OwnAddress[];
}

/** The request as it goes to a target, but for its Via (§16.6 steps 1 to 6). */
export function forwardedRequest(received: SipRequest, options: ForwardOptions): SipRequest {
  const { target, maxBreadth, recordRoute } = options;
  const request = copyRequest(received);
  const { headers } = request;
  request.uri = target.uri;
  countHop(request);
  headers.set(MaxBreadth, maxBreadth);
  // A REGISTER forms no dialog: what later requests to the contact pass through is its Path (RFC 3327).
  const field = request.method === 'REGISTER' ? Path : RecordRoute;
  for (const address of [...recordRoute].reverse()) headers.prepend(field, routeValue(address));
  for (const value of [...target.route].reverse()) headers.prepend(Route, value);
  yieldToStrictRouter(request);
  return request;
}

/** Lowers Max-Forwards, or sets it where there is none (§16.6 step 3). */
export function countHop({ headers }: SipRequest): void {
  const hops = headers.first(MaxForwards);
  headers.set(MaxForwards, hops === undefined ? DEFAULT_MAX_FORWARDS : hops - 1);
}

/** Whom a request with this route is sent to, strict router or not (§16.6 step 7). */
export function nextUri(request: SipRequest, target: Target): Uri {
  return target.route[0]?.uri ?? request.headers.first(Route)?.uri ?? target.uri;
}

/** A next hop without `lr` wants its own address as Request-URI and the target last (§16.6 step 6). */
export function yieldToStrictRouter(request: SipRequest): void {
  const { headers } = request;
  const first = headers.first(Route);
  if (!first || (isSipUri(first.uri) && first.uri.params.has('lr'))) return;
  headers.removeFirst(Route).append(Route, { uri: request.uri, params: new Params() });
  request.uri = first.uri;
}

/** Puts our Via on top (§16.6 step 8); asks for the way back by the real source (RFC 3581). */
export function addVia(request: SipRequest, address: OwnAddress, branch: string): void {
  const { transport, host, port } = address;
  const params = new Params().set('branch', branch).set('rport');
  request.headers.prepend(Via, { transport, host, port, params });
}

/** The CANCEL to a request that was sent (§9.1). */
export function cancelOf({ uri, headers }: SipRequest, reason: string | undefined): SipRequest {
  const cancel = new SipRequest({ method: 'CANCEL', uri });
  cancel.headers
    .set(Via, headers.require(Via))
    .set(MaxForwards, DEFAULT_MAX_FORWARDS)
    .set(From, headers.require(From))
    .set(To, headers.require(To))
    .set(CallId, headers.require(CallId))
    .set(CSeq, { sequence: headers.require(CSeq).sequence, method: 'CANCEL' });
  const routes = headers.all(Route);
  if (routes.length > 0) cancel.headers.set(Route, ...routes);
  if (reason !== undefined) cancel.headers.setText('Reason', reason);
  return cancel;
}

function routeValue({ transport, host, port }: OwnAddress): NameAddr {
  const uri = sipUri({ host, port, params: { lr: '' } });
  if (transport !== 'UDP') uri.params.set('transport', transport.toLowerCase());
  return { uri, params: new Params() };
}
