/**
 * Changing a session under way, and keeping it alive: re-INVITE (RFC 3261 §14), UPDATE (RFC 3311),
 * glare, and the refreshes of RFC 4028.
 */
import {
  CSeq,
  isSipUri,
  Params,
  RetryAfter,
  type SipRequest,
  type SipResponse,
} from '@sip-stack/parser';
import type { Endpoint } from '../../core/network.js';
import { contactUri, type Dialog, refreshTarget } from '../dialog.js';
import { isSuccess } from '../transaction/machine.js';
import { earlyDialogOf } from './early.js';
import { bye, end } from './ending.js';
import { acknowledge, respond, sdpOf, targetRefresh } from './requests.js';
import { agreeTimer, grantTimer, raiseInterval, timerDue } from './session-timer.js';
import { notify, type OwnRequest, type Session, type SessionAction } from './state.js';

/** Before a move is told again: a network is mostly there a moment after its address. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4000;

// ---- ours

/** Offers the other side other media. One offer at a time: a second waits its turn. */
export function offer(session: Session, sdp: string): SessionAction[] {
  if (session.phase !== 'established' || !session.dialog) return [];
  // What waits to tell of a move tells of it with this.
  const moves = session.postponed?.moves ?? false;
  return attempt(session, { method: 'INVITE', offer: sdp, refresh: false, moves });
}

/** A request that may have to wait before it has its sequence number. */
export type Attempt = Omit<OwnRequest, 'sequence'>;

export function attempt(session: Session, wanted: Attempt): SessionAction[] {
  const { dialog } = session;
  if (!dialog) return [];
  if (session.ours || session.theirs || session.unacknowledged || session.paused) {
    // What the user wants goes before a refresh, and a later wish before an earlier one.
    if (!wanted.refresh || !session.postponed) session.postponed = { ...wanted, sequence: 0 };
    return [];
  }
  const { method, offer: sdp } = wanted;
  session.localSdp = sdp ?? session.localSdp;
  const request = targetRefresh(session, dialog, method, sdp);
  const { sequence } = request.headers.require(CSeq);
  session.ours = { ...wanted, sequence };
  return [{ type: 'send', request }];
}

/** What was postponed has its turn as soon as nothing else is under way. */
export function attemptPostponed(session: Session): SessionAction[] {
  const { postponed } = session;
  if (!postponed || session.paused || session.phase !== 'established') return [];
  session.postponed = undefined;
  return attempt(session, postponed);
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
    if (!success || request.method !== 'INVITE') return [];
    // A 2xx again: its ACK was lost, or another branch answered.
    const ack = session.acks.get(sequence);
    if (ack) return [{ type: 'acknowledge', ack }];
    // Taken back, and answered all the same: who answers waits for the ACK.
    return dialog && session.phase === 'established' ? [acknowledge(session, dialog, request)] : [];
  }
  session.ours = undefined;
  if (success) {
    refreshTarget(dialog, response);
    agreeTimer(session.timer, response);
    const actions = ours.method === 'INVITE' ? [acknowledge(session, dialog, request)] : [];
    if (ours.moves) session.movesFailed = 0;
    const type = ours.refresh && ours.moves ? 'moved' : 'reanswered';
    const told = ours.offer === undefined ? [] : [notify({ type, sdp: sdpOf(response) })];
    return [...actions, ...startTimer(session), ...told, ...attemptPostponed(session)];
  }
  switch (status) {
    case 408:
    case 481:
      return lost(session, status);
    case 422:
      if (!response || !raiseInterval(session.timer, response)) break;
      return attempt(session, ours);
    case 491:
      return tryAgain(session, ours, glarePause(session));
    case 405:
    case 501:
      // It does not know UPDATE after all.
      if (ours.method !== 'UPDATE') break;
      session.peerUpdates = false;
      return refresh(session);
  }
  if (ours.moves && status >= 500) return moveAgain(session, ours);
  const told = ours.refresh ? [] : [notify({ type: 'offer-refused', status })];
  return [...startTimer(session), ...told, ...attemptPostponed(session)];
}

/** §14.1: whoever made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms. */
function glarePause({ role, chance }: Session): number {
  const step = Math.floor(chance() * 191) * 10;
  return role === 'caller' ? 2100 + step : Math.floor(chance() * 201) * 10;
}

/** The network is not there yet, or the other side is busy with an offer of its own: once more, after a pause. */
function moveAgain(session: Session, ours: OwnRequest): SessionAction[] {
  const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** session.movesFailed);
  session.movesFailed++;
  return tryAgain(session, ours, ms);
}

/** After a pause; what the user has wanted since goes out in its place, and tells of a move too. */
function tryAgain(session: Session, ours: OwnRequest, ms: number): SessionAction[] {
  const { postponed } = session;
  session.postponed = postponed ? { ...postponed, moves: postponed.moves || ours.moves } : ours;
  session.paused = true;
  return [{ type: 'set-timer', timer: 'glare', ms }];
}

/** §12.2.1.2: the other side knows of no dialog any more. */
export function lost(session: Session, status: number): SessionAction[] {
  if (session.phase !== 'established') return [];
  const reason =
    status === 408
      ? 'the other side does not respond any more'
      : 'the other side knows nothing of this call any more';
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
  if (offers && hasMoved(dialog, request)) takeBack(session);
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

/** Whether it comes from elsewhere than where we have sent what awaits its answer. */
function hasMoved(dialog: Dialog, request: SipRequest): boolean {
  const before = dialog.remoteTarget;
  const now = contactUri(request);
  if (!now || !isSipUri(now) || !isSipUri(before)) return false;
  return now.host !== before.host || now.port !== before.port;
}

/** What was sent to where the other side is no more has met nothing: it is sent again, to where it is. */
function takeBack(session: Session): void {
  const { ours, postponed } = session;
  if (session.phase !== 'established' || !ours) return;
  session.ours = undefined;
  session.postponed = postponed ? { ...postponed, moves: postponed.moves || ours.moves } : ours;
}

/** The other side has moved too, and was found elsewhere by other means than this dialog. */
export function relocate(session: Session, { address: host, port }: Endpoint): SessionAction[] {
  const { dialog, ours } = session;
  if (session.phase !== 'established' || !dialog || !ours?.moves) return [];
  const { remoteTarget: before } = dialog;
  if (dialog.routeSet.length > 0 || !isSipUri(before)) return [];
  dialog.remoteTarget = { ...before, host, port };
  takeBack(session);
  return attemptPostponed(session);
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
  const wanted = { refresh: true, moves: false } as const;
  if (session.peerUpdates)
    return attempt(session, { ...wanted, method: 'UPDATE', offer: undefined });
  // Our last description again, unchanged, as RFC 4028 §7.4 has it.
  return attempt(session, { ...wanted, method: 'INVITE', offer: session.localSdp });
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
