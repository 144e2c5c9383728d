/** The caller's side until the call is answered: RFC 3261 §13.2, RFC 3262 §4. */
import { Allow, CSeq, RAck, Require, RSeq, SipRequest, type SipResponse } from '@sip-stack/parser';
import { dialogOfCaller, requestInDialog } from '../dialog.js';
import { isProvisional, isSuccess } from '../transaction/machine.js';
import { dropEarlyDialogs, earlyDialog } from './early.js';
import { bye, end } from './ending.js';
import { RELIABLE } from './reliable-provisional.js';
import { attemptPostponed, startTimer } from './renegotiation.js';
import { acknowledge, ackOf, cancelOf, sdpOf } from './requests.js';
import { agreeTimer, askForTimer, raiseInterval } from './session-timer.js';
import { type EarlyDialog, notify, type Session, type SessionAction } from './state.js';

export function onInviteResponse(session: Session, response: SipResponse): SessionAction[] {
  if (isProvisional(response)) return onProvisional(session, response);
  if (isSuccess(response)) return onSuccess(session, response);
  if (session.phase !== 'inviting' && session.phase !== 'cancelling') return [];
  const { status, reason } = response;
  if (status === 422 && session.phase === 'inviting' && raiseInterval(session.timer, response)) {
    return inviteAgain(session);
  }
  const by = session.phase === 'cancelling' ? 'local' : 'remote';
  return end(session, { by, status, reason, response });
}

/** The interval we asked for was too small: once more, with one that is not (RFC 4028 §7.3). */
function inviteAgain(session: Session): SessionAction[] {
  const { method, uri, body, headers } = session.invite;
  const request = new SipRequest({ method, uri, body, headers: headers.clone() });
  const { sequence } = headers.require(CSeq);
  request.headers.set(CSeq, { sequence: sequence + 1, method });
  askForTimer(session.timer, request);
  session.invite = request;
  session.provisional = false;
  return [...dropEarlyDialogs(session), { type: 'send', request }];
}

/** §9.1: without a provisional response the CANCEL has to wait for one. */
export function giveUp(session: Session): SessionAction[] {
  session.phase = 'cancelling';
  const reason = { by: 'local', status: 487, reason: 'we gave up' } as const;
  const told = notify({ type: 'ended', reason });
  return session.provisional ? [...cancel(session), told] : [told];
}

function cancel(session: Session): SessionAction[] {
  return [
    { type: 'send', request: cancelOf(session) },
    { type: 'set-timer', timer: 'cancel', ms: 64 * session.timers.t1 },
  ];
}

function onProvisional(session: Session, response: SipResponse): SessionAction[] {
  const first = !session.provisional;
  session.provisional = true;
  if (session.phase === 'cancelling') return first ? cancel(session) : [];
  if (session.phase !== 'inviting') return [];
  const actions: SessionAction[] = first ? [notify({ type: 'proceeding' })] : [];
  if (response.status === 100) return actions;
  const begun = earlyDialog(session, response);
  actions.push(...begun.actions);
  if (isReliable(response)) {
    const prack = begun.early && acknowledgeProvisional(session, begun.early, response);
    // Seen before, or one before it is still missing: it will come again.
    if (!prack) return actions;
    actions.push(prack);
  }
  if (response.status !== 183) actions.push(notify({ type: 'ringing' }));
  const sdp = sdpOf(response);
  if (sdp !== undefined) actions.push(notify({ type: 'early-media', sdp }));
  return actions;
}

function isReliable({ headers }: SipResponse): boolean {
  return (
    headers.has(RSeq) && headers.all(Require).some(option => option.toLowerCase() === RELIABLE)
  );
}

/** RFC 3262 §4: in order, once each, within the early dialog it begins. */
function acknowledgeProvisional(
  session: Session,
  early: EarlyDialog,
  response: SipResponse,
): SessionAction | undefined {
  const rseq = response.headers.require(RSeq);
  if (early.lastRSeq !== undefined && rseq !== early.lastRSeq + 1) return undefined;
  early.lastRSeq = rseq;
  early.answer ??= sdpOf(response);
  const prack = requestInDialog(early.dialog, 'PRACK');
  const { sequence, method } = session.invite.headers.require(CSeq);
  prack.headers.set(RAck, { response: rseq, sequence, method });
  return { type: 'send', request: prack };
}

function onSuccess(session: Session, response: SipResponse): SessionAction[] {
  const sequence = response.headers.require(CSeq).sequence;
  const answered = dialogOfCaller(session.invite, response);
  const known = session.dialog;
  if (known) {
    // Our 2xx again: so is our ACK. Another's: another branch of a fork answered too late (§13.2.2.4).
    if (known.remoteTag === answered.remoteTag) {
      const ack = session.acks.get(sequence);
      return ack ? [{ type: 'acknowledge', ack }] : [];
    }
    return [
      { type: 'acknowledge', ack: ackOf(answered, session.invite) },
      { type: 'send', request: requestInDialog(answered, 'BYE') },
    ];
  }
  const tooLate = session.phase !== 'inviting';
  // The early dialog has counted its requests; the target and route of the 2xx count (§13.2.2.4).
  const early = session.early.get(answered.remoteTag);
  answered.localSequence = Math.max(answered.localSequence, early?.dialog.localSequence ?? 0);
  answered.remoteSequence = early?.dialog.remoteSequence;
  session.dialog = answered;
  session.phase = 'established';
  session.peerUpdates = allowsUpdate(response);
  agreeTimer(session.timer, response);
  const actions: SessionAction[] = [
    ...dropEarlyDialogs(session, answered.remoteTag),
    { type: 'cancel-timer', timer: 'cancel' },
    acknowledge(session, answered, session.invite),
    { type: 'dialog', dialog: answered },
  ];
  if (tooLate) return [...actions, ...bye(session)];
  // An answer in a reliable provisional response was the answer; the 2xx may go without (RFC 6337 §2).
  const sdp = early?.renegotiated ? early.answer : (sdpOf(response) ?? early?.answer);
  const told = notify({ type: 'answered', sdp });
  return [...actions, ...startTimer(session), told, ...attemptPostponed(session)];
}

export function allowsUpdate({ headers }: Pick<SipResponse, 'headers'>): boolean {
  return headers.all(Allow).includes('UPDATE');
}
