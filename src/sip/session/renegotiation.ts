/**
 * Changing a session under way, and keeping it alive: re-INVITE (RFC 3261 §14), UPDATE (RFC 3311),
 * glare, and the refreshes of RFC 4028.
 */
import { CSeq, Params, RetryAfter, type SipRequest, type SipResponse } from '@sip-stack/parser';
import { type Dialog, refreshTarget } from '../dialog.js';
import { isSuccess } from '../transaction/machine.js';
import { earlyDialogOf } from './early.js';
import { bye, end } from './ending.js';
import { acknowledge, respond, sdpOf, targetRefresh } from './requests.js';
import { agreeTimer, grantTimer, raiseInterval, timerDue } from './session-timer.js';
import { notify, type OwnRequest, type Session, type SessionAction } from './state.js';

// ---- ours

/** Offers the other side other media. One offer at a time: a second waits its turn. */
export function offer(session: Session, sdp: string): SessionAction[] {
  if (session.phase !== 'established' || !session.dialog) return [];
  return attempt(session, 'INVITE', sdp, false);
}

function attempt(
  session: Session,
  method: OwnRequest['method'],
  sdp: string | undefined,
  refresh: boolean,
): SessionAction[] {
  const { dialog } = session;
  if (!dialog) return [];
  if (session.ours || session.theirs || session.unacknowledged || session.paused) {
    // What the user wants goes before a refresh, and a later wish before an earlier one.
    if (!refresh || !session.postponed) {
      session.postponed = { method, sequence: 0, offer: sdp, refresh };
    }
    return [];
  }
  session.localSdp = sdp ?? session.localSdp;
  const request = targetRefresh(session, dialog, method, sdp);
  const { sequence } = request.headers.require(CSeq);
  session.ours = { method, sequence, offer: sdp, refresh };
  return [{ type: 'send', request }];
}

/** What was postponed has its turn as soon as nothing else is under way. */
export function attemptPostponed(session: Session): SessionAction[] {
  const { postponed } = session;
  if (!postponed || session.paused || session.phase !== 'established') return [];
  session.postponed = undefined;
  return attempt(session, postponed.method, postponed.offer, postponed.refresh);
}

/** The final response to a re-INVITE or UPDATE of ours. */
export function onOwnResponse(
  session: Session,
  request: SipRequest,
  status: number,
  response: SipResponse | undefined,
): SessionAction[] {
  const { sequence } = request.headers.require(CSeq);
  const { ours, dialog } = session;
  const success = response !== undefined && isSuccess(response);
  if (!dialog || !ours || ours.sequence !== sequence) {
    // A 2xx again: its ACK was lost, or another branch answered.
    const ack = success && request.method === 'INVITE' ? session.acks.get(sequence) : undefined;
    return ack ? [{ type: 'acknowledge', ack }] : [];
  }
  session.ours = undefined;
  if (success) {
    refreshTarget(dialog, response);
    agreeTimer(session.timer, response);
    const actions = ours.method === 'INVITE' ? [acknowledge(session, dialog, request)] : [];
    const told =
      ours.offer === undefined ? [] : [notify({ type: 'reanswered', sdp: sdpOf(response) })];
    return [...actions, ...startTimer(session), ...told, ...attemptPostponed(session)];
  }
  switch (status) {
    case 408:
    case 481:
      return lost(session, status);
    case 422:
      if (!response || !raiseInterval(session.timer, response)) break;
      return attempt(session, ours.method, ours.offer, ours.refresh);
    case 491:
      session.postponed ??= ours;
      session.paused = true;
      return [{ type: 'set-timer', timer: 'glare', ms: glarePause(session) }];
    case 405:
    case 501:
      // It does not know UPDATE after all.
      if (ours.method !== 'UPDATE') break;
      session.peerUpdates = false;
      return refresh(session);
  }
  const told = ours.refresh ? [] : [notify({ type: 'offer-refused', status })];
  return [...startTimer(session), ...told, ...attemptPostponed(session)];
}

/** §14.1: whoever made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms. */
function glarePause({ role, chance }: Session): number {
  const step = Math.floor(chance() * 191) * 10;
  return role === 'caller' ? 2100 + step : Math.floor(chance() * 201) * 10;
}

/** §12.2.1.2: the other side knows of no dialog any more. */
export function lost(session: Session, status: number): SessionAction[] {
  if (session.phase !== 'established') return [];
  const reason = 'the other side knows nothing of this call any more';
  return end(session, { by: 'remote', status, reason });
}

// ---- theirs

/** A re-INVITE or UPDATE comes in. */
export function onTargetRefresh(
  session: Session,
  dialog: Dialog,
  request: SipRequest,
): SessionAction[] {
  const sdp = sdpOf(request);
  const offers = request.method === 'INVITE' || sdp !== undefined;
  if (offers && isOurOfferOpen(session, request)) return [respond(session, request, 491)];
  const answering = session.phase === 'alerting' || session.theirs || session.unacknowledged;
  if (offers && answering) return [comeBack(session, request)];
  refreshTarget(dialog, request);
  if (offers) {
    session.theirs = request;
    return [notify({ type: 'reoffer', sdp })];
  }
  return [...updated(session, request, undefined), ...startTimer(session)];
}

/** Of the INVITE or a later one: until it is answered the other side has to wait (§14.2, RFC 3311 §5.2). */
function isOurOfferOpen(session: Session, request: SipRequest): boolean {
  switch (session.phase) {
    case 'inviting':
      return request.method === 'INVITE' || earlyDialogOf(session, request)?.answer === undefined;
    case 'cancelling':
      return true;
    default:
      // A refresh by UPDATE offers nothing: what the other side offers meanwhile is in nobody's way.
      return session.ours?.offer !== undefined;
  }
}

/** A second offer before the first was answered: §14.2, RFC 3311 §5.2. */
function comeBack(session: Session, request: SipRequest): SessionAction {
  const refusal = respond(session, request, 500);
  const seconds = Math.floor(session.chance() * 11);
  refusal.response.headers.set(RetryAfter, { seconds, params: new Params() });
  return refusal;
}

/** 200 to an UPDATE. */
export function updated(
  session: Session,
  update: SipRequest,
  sdp: string | undefined,
): SessionAction[] {
  const action = respond(session, update, 200, sdp);
  grantTimer(session.timer, update, action.response);
  return [action];
}

// ---- session timer

/** Sets the session timer anew, after each 2xx that carried one. */
export function startTimer(session: Session): SessionAction[] {
  if (session.phase !== 'established') return [];
  const due = timerDue(session.timer);
  const stop: SessionAction[] = [
    { type: 'cancel-timer', timer: 'refresh' },
    { type: 'cancel-timer', timer: 'expire' },
  ];
  return due ? [...stop, { type: 'set-timer', ...due }] : stop;
}

/** Half the interval is over, and refreshing is up to us: by UPDATE where it is known, else by re-INVITE. */
export function refresh(session: Session): SessionAction[] {
  if (session.phase !== 'established') return [];
  if (session.peerUpdates) return attempt(session, 'UPDATE', undefined, true);
  // Our last description again, unchanged, as RFC 4028 §7.4 has it.
  return attempt(session, 'INVITE', session.localSdp, true);
}

/** No refresh came: RFC 4028 §10. */
export function expire(session: Session): SessionAction[] {
  if (session.phase !== 'established') return [];
  const reason = {
    by: 'remote',
    status: 408,
    reason: 'the other side has not been heard of',
  } as const;
  return [...bye(session), notify({ type: 'ended', reason })];
}
