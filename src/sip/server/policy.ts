/** Who gets a request that comes in, by where it leads. Pure. */
import { isSipUri, Route, type SipRequest, type SipUri, To, type Uri } from '@sip-stack/parser';
import { consumeRoute, copyRequest, nextUri } from '../proxy/route.js';
import { plainTarget } from '../proxy/target.js';

/** What is known here of those a request may be from or for. */
export interface Circle {
  /** Whether it is an address of somebody here. */
  includes(uri: SipUri): boolean;
  /** Whether a request that is sent by this URI comes to this phone. */
  leadsHere(uri: SipUri): boolean;
  /** Whether the phone itself, or one of its services, goes by this name; empty for none. */
  isPhone(user: string): boolean;
  /** Whether it is the Contact of a device that is registered here. */
  isDevice(uri: Uri): boolean;
  /** Whether it is the address of a user of ours. */
  isUser(uri: Uri): boolean;
}

export type Receiver = 'phone' | 'registrar' | 'proxy';

/** Where a request goes from here, its route being followed. */
export interface Way {
  /** Its Request-URI from here on. */
  readonly uri: Uri;
  /** To whom it is sent. */
  readonly next: Uri;
  /** Whether its sender had it pass here by a Route. */
  readonly routed: boolean;
}

export function wayOf(request: SipRequest, { leadsHere }: Pick<Circle, 'leadsHere'>): Way {
  const { uri } = request;
  // A strict router puts our Record-Route into the Request-URI.
  const strict = isSipUri(uri) && uri.params.has('lr');
  if (!request.headers.has(Route) && !strict) return { uri, next: uri, routed: false };
  const onward = copyRequest(request);
  consumeRoute(onward, leadsHere);
  return { uri: onward.uri, next: nextUri(onward, plainTarget(onward.uri)), routed: true };
}

/** Deterministic for an INVITE, its CANCEL and its ACK. */
export function receiverOf(request: SipRequest, from: Uri, circle: Circle): Receiver {
  if (request.method === 'REGISTER') return 'registrar';
  const { uri, next, routed } = wayOf(request, circle);
  if (!isSipUri(next) || !isSipUri(uri)) return 'phone';
  // Who has a GRUU of ours is elsewhere, though our name stands in it (RFC 5627 §3.1).
  if (circle.includes(next) && !circle.isDevice(next)) {
    // Within a dialog that passes here the other side is named; who names us means the phone.
    return isInDialog(request) || circle.isPhone(uri.user ?? '') ? 'phone' : 'proxy';
  }
  return routed || circle.isDevice(next) || circle.isUser(from) ? 'proxy' : 'phone';
}

export function isInDialog({ headers }: SipRequest): boolean {
  return headers.require(To).params.has('tag');
}
