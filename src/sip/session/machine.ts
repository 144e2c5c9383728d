/** The session machine: pure, events in, actions out. Via and branches are the driver's business. */
import { Contact, CSeq, type SipRequest, To } from '@sip-stack/parser';
import { admitSequence, dialogOfCallee, requestInDialog } from '../dialog.js';
import {
  accept,
  onAck,
  onAcknowledgeTimer,
  onPrack,
  onReliableTimer,
  onRetransmitTimer,
  progress,
  succeed,
} from './callee.js';
import { allowsUpdate, giveUp, onInviteResponse } from './caller.js';
import { dialogOf, dropEarlyDialogs, earlyDialogOf } from './early.js';
import { bye, end } from './ending.js';
import { move } from './moving.js';
import {
  attemptPostponed,
  expire,
  lost,
  offer,
  onOwnResponse,
  onTargetRefresh,
  refresh,
  relocate,
  startTimer,
  updated,
} from './renegotiation.js';
import { respond, sdpOf } from './requests.js';
import { newSessionTimer } from './session-timer.js';
import {
  type DialogMessage,
  notify,
  type Session,
  type SessionAction,
  type SessionEvent,
  type SessionTimer,
} from './state.js';

/** Requests within the dialog that are the user's business. */
export const USER_METHODS: readonly string[] = ['INFO', 'MESSAGE', 'NOTIFY', 'REFER'];

type SessionOptions = Pick<Session, 'invite' | 'contact' | 'localTag' | 'timers' | 'chance'>;

export function callerSession(options: SessionOptions): Session {
  return {
    ...newSession(options),
    role: 'caller',
    phase: 'inviting',
    localSdp: sdpOf(options.invite),
  };
}

/** @throws {SipSyntaxError} where the INVITE can form no dialog. */
export function calleeSession(options: SessionOptions): Session {
  const dialog = dialogOfCallee(options.invite, options.localTag);
  const peerUpdates = allowsUpdate(options.invite);
  return { ...newSession(options), role: 'callee', phase: 'alerting', dialog, peerUpdates };
}

function newSession(options: SessionOptions): Omit<Session, 'role' | 'phase'> {
  return {
    ...options,
    dialog: undefined,
    provisional: false,
    early: new Map(),
    acks: new Map(),
    unacknowledged: undefined,
    byeWanted: false,
    localSdp: undefined,
    theirs: undefined,
    ours: undefined,
    postponed: undefined,
    paused: false,
    movesFailed: 0,
    reliable: undefined,
    acceptWith: undefined,
    peerUpdates: false,
    timer: newSessionTimer(),
  };
}

export function stepSession(session: Session, event: SessionEvent): SessionAction[] {
  switch (event.type) {
    case 'start':
      return start(session);
    case 'reissued':
      return reissued(session, event.challenged, event.request);
    case 'response':
      return onInviteResponse(session, event.response);
    case 'invite-failed': {
      if (session.phase !== 'inviting' && session.phase !== 'cancelling') return [];
      const { status, reason } = event;
      return end(session, { by: 'remote', status, reason });
    }
    case 'dialog-response': {
      const { request, status, response } = event;
      // The BYE to a branch of a fork that answered too late: not this call's business.
      if (isOfOtherDialog(session, request)) return [];
      const renegotiates = request.method === 'INVITE' || request.method === 'UPDATE';
      if (renegotiates) return onOwnResponse(session, request, status, response);
      const told = USER_METHODS.includes(request.method)
        ? [notify({ type: 'response', request, status })]
        : [];
      // A subscription may be gone without the call being gone (RFC 5057 §5.1).
      const fatal = (status === 481 || status === 408) && request.method !== 'NOTIFY';
      return fatal ? [...told, ...lost(session, status)] : told;
    }
    case 'ring':
      return progress(session, 180, undefined);
    case 'progress':
      session.localSdp = event.sdp ?? session.localSdp;
      return progress(session, 183, event.sdp);
    case 'accept':
      session.localSdp = event.sdp;
      return session.theirs
        ? acceptTheirs(session, session.theirs, event.sdp)
        : accept(session, event.sdp);
    case 'reject':
      return reject(session, event.status);
    case 'cancelled': {
      if (session.phase !== 'alerting') return [];
      const reason = { by: 'remote', status: 487, reason: 'the caller gave up' } as const;
      return [respond(session, session.invite, 487), ...end(session, reason)];
    }
    case 'move':
      return move(session, event.contact, event.sdp);
    case 'relocated':
      return relocate(session, event.to);
    case 'offer':
      return offer(session, event.sdp);
    case 'send':
      return send(session, event.message);
    case 'respond': {
      const answer = respond(session, event.request, event.status);
      for (const [name, value] of Object.entries(event.headers ?? {})) {
        answer.response.headers.setText(name, value);
      }
      return [answer];
    }
    case 'request':
      return onRequest(session, event.request);
    case 'hang-up':
      return hangUp(session);
    case 'timer':
      return onTimer(session, event.timer);
  }
}

function isOfOtherDialog({ dialog }: Session, request: SipRequest): boolean {
  const tag = request.headers.require(To).params.get('tag') ?? '';
  return dialog !== undefined && tag !== dialog.remoteTag;
}

function start(session: Session): SessionAction[] {
  if (session.role === 'caller') return [{ type: 'send', request: session.invite }];
  return session.dialog ? [{ type: 'dialog', dialog: session.dialog }] : [];
}

function reissued(session: Session, challenged: SipRequest, request: SipRequest): SessionAction[] {
  const { ours } = session;
  if (ours?.sequence === challenged.headers.require(CSeq).sequence) {
    session.ours = { ...ours, sequence: request.headers.require(CSeq).sequence };
  }
  if (session.invite !== challenged) return [];
  session.invite = request;
  session.provisional = false;
  return dropEarlyDialogs(session);
}

function acceptTheirs(session: Session, theirs: SipRequest, sdp: string): SessionAction[] {
  session.theirs = undefined;
  const early = earlyDialogOf(session, theirs);
  if (early) {
    early.answer = sdpOf(theirs);
    early.renegotiated = true;
  }
  const answer =
    theirs.method === 'INVITE' ? succeed(session, theirs, sdp) : updated(session, theirs, sdp);
  return [...answer, ...startTimer(session), ...attemptPostponed(session)];
}

function reject(session: Session, status: number): SessionAction[] {
  const { theirs } = session;
  if (theirs) {
    session.theirs = undefined;
    return [respond(session, theirs, status), ...attemptPostponed(session)];
  }
  if (session.phase !== 'alerting') return [];
  const reason = { by: 'local', status, reason: 'rejected' } as const;
  return [respond(session, session.invite, status), ...end(session, reason)];
}

function onRequest(session: Session, request: SipRequest): SessionAction[] {
  const dialog = dialogOf(session, request);
  if (request.method === 'ACK') {
    const actions = onAck(session, request);
    return session.phase === 'established' ? [...actions, ...attemptPostponed(session)] : actions;
  }
  if (!dialog || session.phase === 'ended') return [respond(session, request, 481)];
  if (!admitSequence(dialog, request)) return [respond(session, request, 500)];
  switch (request.method) {
    case 'BYE':
      return onBye(session, request);
    case 'INVITE':
    case 'UPDATE':
      return onTargetRefresh(session, dialog, request);
    case 'PRACK':
      return onPrack(session, request);
    default:
      if (USER_METHODS.includes(request.method)) return [notify({ type: 'request', request })];
      // A subscription has a dialog of its own (RFC 6665 §4.5.2).
      if (request.method === 'SUBSCRIBE') return [respond(session, request, 403)];
      return [respond(session, request, request.method === 'OPTIONS' ? 200 : 405)];
  }
}

function send(session: Session, message: DialogMessage): SessionAction[] {
  const { dialog } = session;
  if (!dialog || session.phase !== 'established') return [];
  const request = requestInDialog(dialog, message.method);
  request.headers.set(Contact, session.contact);
  for (const [name, value] of Object.entries(message.headers)) request.headers.setText(name, value);
  request.body = message.body ?? request.body;
  return [{ type: 'send', request }];
}

function onBye(session: Session, request: SipRequest): SessionAction[] {
  // No callee hangs up like this before it has answered (§15).
  if (!session.dialog) return [respond(session, request, 481)];
  const actions: SessionAction[] = [respond(session, request, 200)];
  if (session.phase === 'alerting') actions.push(respond(session, session.invite, 487));
  const reason = { by: 'remote', status: 200, reason: 'the other side hung up' } as const;
  return [...actions, ...end(session, reason)];
}

function hangUp(session: Session): SessionAction[] {
  switch (session.phase) {
    case 'inviting':
      return giveUp(session);
    case 'alerting':
      return reject(session, 480);
    case 'established': {
      const told = notify({
        type: 'ended',
        reason: { by: 'local', status: 200, reason: 'we hung up' },
      });
      if (!session.unacknowledged) return [...bye(session), told];
      if (session.byeWanted) return [];
      session.byeWanted = true;
      return [told];
    }
    case 'cancelling':
    case 'ended':
      return [];
  }
}

function onTimer(session: Session, timer: SessionTimer): SessionAction[] {
  switch (timer) {
    case 'retransmit':
      return onRetransmitTimer(session);
    case 'acknowledge':
      return onAcknowledgeTimer(session);
    case 'reliable':
      return onReliableTimer(session);
    case 'glare':
      session.paused = false;
      return attemptPostponed(session);
    case 'refresh':
      return refresh(session);
    case 'expire':
      return expire(session);
    case 'cancel':
      // No final response to a cancelled INVITE: over all the same (§9.1).
      if (session.phase !== 'cancelling') return [];
      return end(session, { by: 'local', status: 487, reason: 'cancelled' });
  }
}
