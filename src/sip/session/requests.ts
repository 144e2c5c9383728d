/** What a session sends within its dialog, and how it answers. */
import {
  Authorization,
  CallId,
  Contact,
  ContentType,
  CSeq,
  From,
  MaxForwards,
  Params,
  ProxyAuthorization,
  Route,
  SipRequest,
  type SipResponse,
  Supported,
  To,
  Via,
} from '@sip-stack/parser';
import { type Dialog, requestInDialog } from '../dialog.js';
import { makeDialogResponse, makeResponse } from '../response.js';
import { RELIABLE } from './reliable-provisional.js';
import { askForTimer } from './session-timer.js';
import type { Session, SessionAction } from './state.js';

/** Options of RFC 3262, 4028, 3891, 3911 and 4488 that every INVITE and UPDATE of ours names. */
export const SESSION_OPTIONS: readonly string[] = [
  RELIABLE,
  'timer',
  'replaces',
  'join',
  'norefersub',
];

/** A re-INVITE or UPDATE: an offer, or a refresh without one (RFC 3261 §14, RFC 3311, RFC 4028 §7.4). */
export function targetRefresh(
  session: Session,
  dialog: Dialog,
  method: 'INVITE' | 'UPDATE',
  sdp: string | undefined,
): SipRequest {
  const request = requestInDialog(dialog, method);
  request.headers.set(Contact, session.contact).set(Supported, ...SESSION_OPTIONS);
  askForTimer(session.timer, request);
  if (sdp !== undefined) addSdp(request, sdp);
  return request;
}

/** The ACK to a 2xx: with the sequence number and the credentials of its INVITE (§13.2.2.4). */
export function ackOf(dialog: Dialog, { headers }: SipRequest): SipRequest {
  const ack = requestInDialog(dialog, 'ACK', headers.require(CSeq).sequence);
  for (const { name } of [Authorization, ProxyAuthorization]) {
    if (headers.has(name)) ack.headers.setText(name, ...headers.texts(name));
  }
  return ack;
}

/** The same, kept to be sent again. */
export function acknowledge(session: Session, dialog: Dialog, invite: SipRequest): SessionAction {
  const ack = ackOf(dialog, invite);
  session.acks.set(ack.headers.require(CSeq).sequence, ack);
  // A 2xx is sent again for 32 s at most; who re-invites more often than this has no claim to more.
  for (const old of session.acks.keys()) {
    if (session.acks.size <= MAX_ACKS) break;
    session.acks.delete(old);
  }
  return { type: 'acknowledge', ack };
}

const MAX_ACKS = 8;

/** CANCEL of the INVITE that began the session, §9.1. */
export function cancelOf({ invite }: Session): SipRequest {
  const { headers, uri } = invite;
  const request = new SipRequest({ method: 'CANCEL', uri });
  request.headers
    .set(Via, headers.require(Via))
    .set(MaxForwards, 70)
    .set(From, headers.require(From))
    .set(To, headers.require(To))
    .set(CallId, headers.require(CallId))
    .set(CSeq, { sequence: headers.require(CSeq).sequence, method: 'CANCEL' });
  if (headers.has(Route)) request.headers.setText(Route.name, ...headers.texts(Route.name));
  return request;
}

/** A response to a request of the other side; those to INVITE and UPDATE below 300 carry our Contact. */
export function respond(
  session: Session,
  request: SipRequest,
  status: number,
  sdp?: string,
): Extract<SessionAction, { type: 'respond' }> {
  const targets = request.method === 'INVITE' || request.method === 'UPDATE';
  const forming = targets && status < 300;
  const response = forming
    ? makeDialogResponse(request, status, session.localTag)
    : makeResponse(request, status, session.localTag);
  if (forming) response.headers.set(Contact, session.contact);
  if (sdp !== undefined) addSdp(response, sdp);
  return { type: 'respond', request, response };
}

function addSdp(message: SipRequest | SipResponse, sdp: string): void {
  message.headers.set(ContentType, { type: 'application/sdp', params: new Params() });
  message.body = new TextEncoder().encode(sdp);
}

/** The session description a message carries, if it does. */
export function sdpOf(message: SipRequest | SipResponse): string | undefined {
  if (message.body.length === 0) return undefined;
  const type = message.headers.first(ContentType)?.type.toLowerCase();
  return type === 'application/sdp' ? new TextDecoder().decode(message.body) : undefined;
}
