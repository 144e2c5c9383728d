/** The callee's side until its answer is acknowledged: RFC 3261 §13.3, RFC 3262 §3. */
import { CSeq, type SipRequest } from '@sip-stack/parser';
import { bye, end } from './ending.js';
import { acknowledges, makeReliable, newReliable, reliability } from './reliable-provisional.js';
import { startTimer } from './renegotiation.js';
import { respond, sdpOf } from './requests.js';
import { grantTimer } from './session-timer.js';
import { notify, type Session, type SessionAction } from './state.js';

/** 180 or 183; one that carries SDP, or that the caller demands it of, must arrive. */
export function progress(
  session: Session,
  status: 180 | 183,
  sdp: string | undefined,
): SessionAction[] {
  if (session.phase !== 'alerting' || session.reliable?.pending) return [];
  const wanted = reliability(session.invite);
  const action = respond(session, session.invite, status, sdp);
  if (wanted === 'none' || (wanted === 'supported' && sdp === undefined)) return [action];
  session.reliable ??= newReliable(session.chance());
  makeReliable(session.reliable, action.response, session.timers.t1);
  return [action, { type: 'set-timer', timer: 'reliable', ms: session.timers.t1 }];
}

/** Sends the provisional response again, or gives up after 64 T1 (RFC 3262 §3). */
export function onReliableTimer(session: Session): SessionAction[] {
  const { reliable, timers } = session;
  const pending = reliable?.pending;
  if (session.phase !== 'alerting' || !reliable || !pending) return [];
  reliable.waitedMs += pending.intervalMs;
  if (reliable.waitedMs >= 64 * timers.t1) {
    const reason = 'a provisional response was never acknowledged';
    return [
      respond(session, session.invite, 504),
      ...end(session, { by: 'local', status: 504, reason }),
    ];
  }
  pending.intervalMs *= 2;
  return [
    { type: 'respond', request: session.invite, response: pending.response },
    { type: 'set-timer', timer: 'reliable', ms: pending.intervalMs },
  ];
}

export function onPrack(session: Session, prack: SipRequest): SessionAction[] {
  const { reliable } = session;
  if (!reliable || !acknowledges(reliable, session.invite, prack)) {
    return [respond(session, prack, 481)];
  }
  reliable.pending = undefined;
  const actions: SessionAction[] = [
    { type: 'cancel-timer', timer: 'reliable' },
    respond(session, prack, 200),
  ];
  const waiting = session.acceptWith;
  session.acceptWith = undefined;
  return waiting === undefined ? actions : [...actions, ...accept(session, waiting)];
}

export function accept(session: Session, sdp: string): SessionAction[] {
  if (session.phase !== 'alerting') return [];
  if (session.reliable?.pending?.hasSdp) {
    // No 2xx while a description of ours may not have arrived (RFC 3262 §3).
    session.acceptWith = sdp;
    return [];
  }
  if (session.reliable) session.reliable.pending = undefined;
  session.phase = 'established';
  return [
    { type: 'cancel-timer', timer: 'reliable' },
    ...succeed(session, session.invite, sdp),
    ...startTimer(session),
  ];
}

/** A 2xx to an INVITE or re-INVITE: sent again until its ACK comes (§13.3.1.4). */
export function succeed(session: Session, invite: SipRequest, sdp: string): SessionAction[] {
  const { t1 } = session.timers;
  const action = respond(session, invite, 200, sdp);
  grantTimer(session.timer, invite, action.response);
  session.unacknowledged = { invite, response: action.response, intervalMs: t1 };
  return [
    action,
    { type: 'set-timer', timer: 'retransmit', ms: t1 },
    { type: 'set-timer', timer: 'acknowledge', ms: 64 * t1 },
  ];
}

export function onAck(session: Session, ack: SipRequest): SessionAction[] {
  const waiting = session.unacknowledged;
  const { sequence } = ack.headers.require(CSeq);
  if (!waiting || waiting.invite.headers.require(CSeq).sequence !== sequence) return [];
  session.unacknowledged = undefined;
  const actions: SessionAction[] = [
    { type: 'cancel-timer', timer: 'retransmit' },
    { type: 'cancel-timer', timer: 'acknowledge' },
  ];
  if (session.byeWanted) return [...actions, ...bye(session)];
  // Where the offer was theirs, it has been answered.
  const sdp = sdpOf(waiting.invite) === undefined ? sdpOf(ack) : undefined;
  return [...actions, notify({ type: 'confirmed', sdp })];
}

export function onRetransmitTimer(session: Session): SessionAction[] {
  const waiting = session.unacknowledged;
  if (!waiting) return [];
  waiting.intervalMs = Math.min(2 * waiting.intervalMs, session.timers.t2);
  return [
    { type: 'respond', request: waiting.invite, response: waiting.response },
    { type: 'set-timer', timer: 'retransmit', ms: waiting.intervalMs },
  ];
}

/** No ACK within 64 T1: the call is over, with a BYE (§13.3.1.4). */
export function onAcknowledgeTimer(session: Session): SessionAction[] {
  if (!session.unacknowledged) return [];
  const reason = { by: 'local', status: 408, reason: 'our answer was never acknowledged' } as const;
  const told = session.byeWanted ? [] : [notify({ type: 'ended', reason })];
  return [...bye(session), ...told];
}
