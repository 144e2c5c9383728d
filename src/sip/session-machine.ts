/**
 * A session set up by INVITE, as each of its two sides sees it: RFC 3261 §13 to §15.
 * Pure: events in, actions out. Via and branches are the driver's business, SDP the user's.
 */
import {
  CallId,
  Contact,
  ContentType,
  CSeq,
  From,
  MaxForwards,
  type NameAddr,
  Params,
  SipRequest,
  type SipResponse,
  To,
  Via,
} from '@sip-stack/parser';
import {
  admitSequence,
  type Dialog,
  dialogOfCallee,
  dialogOfCaller,
  refreshTarget,
  requestInDialog,
} from './dialog.js';
import { makeDialogResponse, makeResponse } from './response.js';
import { isProvisional, isSuccess, type TransactionTimers } from './transaction/machine.js';

/**
 * - `inviting`: caller, no final response yet; - `cancelling`: caller, gave up, final response awaited;
 * - `alerting`: callee, no final response sent; - `established`: 2xx sent or received;
 * - `ended`: nothing but the driver's clean-up is left.
 */
export type SessionPhase = 'inviting' | 'cancelling' | 'alerting' | 'established' | 'ended';

export interface Session {
  phase: SessionPhase;
  readonly role: 'caller' | 'callee';
  /** The INVITE that began it. */
  readonly invite: SipRequest;
  readonly contact: NameAddr;
  readonly localTag: string;
  readonly timers: TransactionTimers;
  dialog: Dialog | undefined;
  /** Caller: a provisional response has come, so that CANCEL is allowed (§9.1). */
  provisional: boolean;
  /** The ACK to the 2xx of our last INVITE, sent again whenever that 2xx is (§13.2.2.4). */
  ack: SipRequest | undefined;
  /** A 2xx of ours whose ACK has not come; sent again until then (§13.3.1.4). */
  unacknowledged: { invite: SipRequest; response: SipResponse; intervalMs: number } | undefined;
  /** Hang-up waits for the ACK: a callee sends no BYE before it (§15). */
  byeWanted: boolean;
  /** A re-INVITE that the user has not answered yet. */
  reinvite: SipRequest | undefined;
}

export interface EndReason {
  readonly by: 'local' | 'remote';
  /** Final response that ended it; 487 for a cancelled call, 408 for no answer, 200 after BYE. */
  readonly status: number;
  readonly reason: string;
}

export type SessionTimer = 'retransmit' | 'acknowledge' | 'cancel';

export type SessionEvent =
  | { readonly type: 'start' }
  /** A response to the INVITE that began the session. */
  | { readonly type: 'response'; readonly response: SipResponse }
  /** The INVITE got no final response: `status` says why, 408 or 503 (§8.1.3.1). */
  | { readonly type: 'invite-failed'; readonly status: number; readonly reason: string }
  /** A BYE of ours, or any request within the dialog, was answered so. */
  | { readonly type: 'dialog-response'; readonly status: number }
  | { readonly type: 'ring' }
  | { readonly type: 'accept'; readonly sdp: string }
  | { readonly type: 'reject'; readonly status: number }
  | { readonly type: 'cancelled' }
  /** A request within the dialog. */
  | { readonly type: 'request'; readonly request: SipRequest }
  | { readonly type: 'hang-up' }
  | { readonly type: 'timer'; readonly timer: SessionTimer };

export type SessionNotice =
  /** The first provisional response: somebody is there and at work. */
  | { readonly type: 'proceeding' }
  | { readonly type: 'ringing' }
  | { readonly type: 'answered'; readonly sdp: string | undefined }
  /** The ACK came; with SDP where our 2xx carried the offer. */
  | { readonly type: 'confirmed'; readonly sdp: string | undefined }
  /** The other side wants other media; answer with `accept` or `reject`. */
  | { readonly type: 'reoffer'; readonly sdp: string | undefined }
  | { readonly type: 'ended'; readonly reason: EndReason };

export type SessionAction =
  /** Send by a client transaction of its own. A CANCEL carries its Via already. */
  | { readonly type: 'send'; readonly request: SipRequest }
  /** Send outside any transaction. */
  | { readonly type: 'acknowledge'; readonly ack: SipRequest }
  | { readonly type: 'respond'; readonly request: SipRequest; readonly response: SipResponse }
  | { readonly type: 'set-timer'; readonly timer: SessionTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: SessionTimer }
  | { readonly type: 'notify'; readonly notice: SessionNotice }
  /** The dialog exists from now on: requests that match it belong to this session. */
  | { readonly type: 'dialog'; readonly dialog: Dialog }
  /** Nothing more will come of this session. */
  | { readonly type: 'release' };

interface Common {
  readonly invite: SipRequest;
  readonly contact: NameAddr;
  readonly localTag: string;
  readonly timers: TransactionTimers;
}

export function callerSession(common: Common): Session {
  return newSession('caller', 'inviting', common);
}

/** @throws {SipSyntaxError} where the INVITE can form no dialog. */
export function calleeSession(common: Common): Session {
  const session = newSession('callee', 'alerting', common);
  session.dialog = dialogOfCallee(common.invite, common.localTag);
  return session;
}

function newSession(role: Session['role'], phase: SessionPhase, common: Common): Session {
  return {
    ...common,
    role,
    phase,
    dialog: undefined,
    provisional: false,
    ack: undefined,
    unacknowledged: undefined,
    byeWanted: false,
    reinvite: undefined,
  };
}

export function stepSession(session: Session, event: SessionEvent): SessionAction[] {
  switch (event.type) {
    case 'start':
      return start(session);
    case 'response':
      return onInviteResponse(session, event.response);
    case 'invite-failed':
      if (session.phase !== 'inviting' && session.phase !== 'cancelling') return [];
      return end(session, 'remote', event.status, event.reason);
    case 'dialog-response':
      return onDialogResponse(session, event.status);
    case 'ring':
      return session.phase === 'alerting' ? [respond(session, session.invite, 180)] : [];
    case 'accept':
      return accept(session, event.sdp);
    case 'reject':
      return reject(session, event.status);
    case 'cancelled':
      if (session.phase !== 'alerting') return [];
      return [
        respond(session, session.invite, 487),
        ...end(session, 'remote', 487, 'the caller gave up'),
      ];
    case 'request':
      return onRequest(session, event.request);
    case 'hang-up':
      return hangUp(session);
    case 'timer':
      return onTimer(session, event.timer);
  }
}

function start(session: Session): SessionAction[] {
  if (session.role === 'caller') return [{ type: 'send', request: session.invite }];
  return session.dialog ? [{ type: 'dialog', dialog: session.dialog }] : [];
}

// ---- caller

function onInviteResponse(session: Session, response: SipResponse): SessionAction[] {
  if (isProvisional(response)) return onProvisional(session, response);
  if (isSuccess(response)) return onInviteSuccess(session, response);
  if (session.phase === 'inviting' || session.phase === 'cancelling') {
    const gaveUp = session.phase === 'cancelling';
    return end(session, gaveUp ? 'local' : 'remote', response.status, response.reason);
  }
  return [];
}

function onProvisional(session: Session, response: SipResponse): SessionAction[] {
  const first = !session.provisional;
  session.provisional = true;
  if (session.phase === 'cancelling') return first ? cancel(session) : [];
  if (session.phase !== 'inviting') return [];
  const actions: SessionAction[] = first ? [notify({ type: 'proceeding' })] : [];
  if (response.status > 100) actions.push(notify({ type: 'ringing' }));
  return actions;
}

function onInviteSuccess(session: Session, response: SipResponse): SessionAction[] {
  const dialog = dialogOfCaller(session.invite, response);
  const known = session.dialog;
  if (known) {
    // Our 2xx again: so is our ACK. Another's: another branch of a fork answered too late.
    if (known.remoteTag === dialog.remoteTag) {
      return session.ack ? [{ type: 'acknowledge', ack: session.ack }] : [];
    }
    return [
      { type: 'acknowledge', ack: acknowledgement(dialog, session) },
      { type: 'send', request: requestInDialog(dialog, 'BYE') },
    ];
  }
  const tooLate = session.phase !== 'inviting';
  session.dialog = dialog;
  session.ack = acknowledgement(dialog, session);
  const actions: SessionAction[] = [
    { type: 'cancel-timer', timer: 'cancel' },
    { type: 'acknowledge', ack: session.ack },
    { type: 'dialog', dialog },
  ];
  session.phase = 'established';
  if (tooLate) return [...actions, ...bye(session)];
  return [...actions, notify({ type: 'answered', sdp: sdpOf(response) })];
}

function acknowledgement(dialog: Dialog, { invite }: Session): SipRequest {
  return requestInDialog(dialog, 'ACK', invite.headers.require(CSeq).sequence);
}

/** §9.1. */
function cancel(session: Session): SessionAction[] {
  const { headers, uri } = session.invite;
  const request = new SipRequest({ method: 'CANCEL', uri });
  request.headers
    .set(Via, headers.require(Via))
    .set(MaxForwards, 70)
    .set(From, headers.require(From))
    .set(To, headers.require(To))
    .set(CallId, headers.require(CallId))
    .set(CSeq, { sequence: headers.require(CSeq).sequence, method: 'CANCEL' });
  return [
    { type: 'send', request },
    { type: 'set-timer', timer: 'cancel', ms: 64 * session.timers.t1 },
  ];
}

// ---- callee

function accept(session: Session, sdp: string): SessionAction[] {
  const invite = session.phase === 'alerting' ? session.invite : session.reinvite;
  if (!invite || session.phase === 'ended') return [];
  session.reinvite = undefined;
  session.phase = 'established';
  const response = makeDialogResponse(invite, 200, session.localTag);
  response.headers
    .set(Contact, session.contact)
    .set(ContentType, { type: 'application/sdp', params: new Params() });
  response.body = new TextEncoder().encode(sdp);
  session.unacknowledged = { invite, response, intervalMs: session.timers.t1 };
  return [
    { type: 'respond', request: invite, response },
    { type: 'set-timer', timer: 'retransmit', ms: session.timers.t1 },
    { type: 'set-timer', timer: 'acknowledge', ms: 64 * session.timers.t1 },
  ];
}

function reject(session: Session, status: number): SessionAction[] {
  if (session.phase === 'alerting') {
    return [respond(session, session.invite, status), ...end(session, 'local', status, 'rejected')];
  }
  const { reinvite } = session;
  session.reinvite = undefined;
  return reinvite ? [respond(session, reinvite, status)] : [];
}

// ---- both

function onRequest(session: Session, request: SipRequest): SessionAction[] {
  const { dialog } = session;
  if (!dialog) return [];
  if (request.method === 'ACK') return onAck(session, request);
  if (!admitSequence(dialog, request)) return [respond(session, request, 500)];
  if (session.phase === 'ended') return [respond(session, request, 481)];
  switch (request.method) {
    case 'BYE':
      return onBye(session, request);
    case 'INVITE':
      // Glare, or an answer of ours still awaits its ACK: §14.2.
      if (session.phase !== 'established' || session.reinvite || session.unacknowledged) {
        return [respond(session, request, 491)];
      }
      refreshTarget(dialog, request);
      session.reinvite = request;
      return [notify({ type: 'reoffer', sdp: sdpOf(request) })];
    default:
      return [respond(session, request, request.method === 'OPTIONS' ? 200 : 405)];
  }
}

function onBye(session: Session, request: SipRequest): SessionAction[] {
  const actions: SessionAction[] = [respond(session, request, 200)];
  if (session.phase === 'alerting') actions.push(respond(session, session.invite, 487));
  if (session.reinvite) actions.push(respond(session, session.reinvite, 487));
  return [...actions, ...end(session, 'remote', 200, 'the other side hung up')];
}

function onAck(session: Session, ack: SipRequest): SessionAction[] {
  const waiting = session.unacknowledged;
  const sequence = ack.headers.require(CSeq).sequence;
  if (!waiting || waiting.invite.headers.require(CSeq).sequence !== sequence) return [];
  session.unacknowledged = undefined;
  const actions: SessionAction[] = [
    { type: 'cancel-timer', timer: 'retransmit' },
    { type: 'cancel-timer', timer: 'acknowledge' },
  ];
  if (session.byeWanted) return [...actions, ...bye(session)];
  return [...actions, notify({ type: 'confirmed', sdp: sdpOf(ack) })];
}

function hangUp(session: Session): SessionAction[] {
  switch (session.phase) {
    case 'inviting': {
      session.phase = 'cancelling';
      // Without a provisional response the CANCEL has to wait for one (§9.1).
      const told = notify({ type: 'ended', reason: gaveUp });
      return session.provisional ? [...cancel(session), told] : [told];
    }
    case 'alerting':
      return reject(session, 480);
    case 'established': {
      const told = notify({ type: 'ended', reason: hungUp });
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

const gaveUp: EndReason = { by: 'local', status: 487, reason: 'we gave up' };
const hungUp: EndReason = { by: 'local', status: 200, reason: 'we hung up' };

/** Sends BYE and forgets the dialog at once (§15.1.1). */
function bye(session: Session): SessionAction[] {
  const { dialog } = session;
  session.phase = 'ended';
  const actions: SessionAction[] = [
    { type: 'cancel-timer', timer: 'retransmit' },
    { type: 'cancel-timer', timer: 'acknowledge' },
  ];
  if (dialog) actions.push({ type: 'send', request: requestInDialog(dialog, 'BYE') });
  return [...actions, { type: 'release' }];
}

/** §12.2.1.2: these answers mean that the other side knows of no dialog. */
function onDialogResponse(session: Session, status: number): SessionAction[] {
  if (session.phase !== 'established' || (status !== 481 && status !== 408)) return [];
  return end(session, 'remote', status, 'the other side knows nothing of this call any more');
}

function onTimer(session: Session, timer: SessionTimer): SessionAction[] {
  const waiting = session.unacknowledged;
  switch (timer) {
    case 'retransmit':
      if (!waiting) return [];
      waiting.intervalMs = Math.min(2 * waiting.intervalMs, session.timers.t2);
      return [
        { type: 'respond', request: waiting.invite, response: waiting.response },
        { type: 'set-timer', timer: 'retransmit', ms: waiting.intervalMs },
      ];
    case 'acknowledge': {
      if (!waiting) return [];
      session.unacknowledged = undefined;
      const reason: EndReason = {
        by: 'local',
        status: 408,
        reason: 'the answer was never acknowledged',
      };
      const told = session.byeWanted ? [] : [notify({ type: 'ended', reason })];
      return [...bye(session), ...told];
    }
    case 'cancel':
      // No final response to a cancelled INVITE: over all the same (§9.1).
      return session.phase === 'cancelling' ? end(session, 'local', 487, 'cancelled') : [];
  }
}

/** Ends without a BYE: there never was, or is no longer, a dialog on the other side. */
function end(
  session: Session,
  by: EndReason['by'],
  status: number,
  reason: string,
): SessionAction[] {
  // Who hung up or gave up was told already.
  const told = session.phase === 'cancelling' || session.byeWanted;
  session.phase = 'ended';
  session.unacknowledged = undefined;
  const timers: readonly SessionTimer[] = ['retransmit', 'acknowledge', 'cancel'];
  const actions = timers.map((timer): SessionAction => ({ type: 'cancel-timer', timer }));
  if (!told) actions.push(notify({ type: 'ended', reason: { by, status, reason } }));
  return [...actions, { type: 'release' }];
}

function respond(session: Session, request: SipRequest, status: number): SessionAction {
  const forming = request.method === 'INVITE' && status < 300;
  const response = forming
    ? makeDialogResponse(request, status, session.localTag)
    : makeResponse(request, status, session.localTag);
  if (forming) response.headers.set(Contact, session.contact);
  return { type: 'respond', request, response };
}

function notify(notice: SessionNotice): SessionAction {
  return { type: 'notify', notice };
}

/** The session description a message carries, if it does. */
export function sdpOf(message: SipRequest | SipResponse): string | undefined {
  if (message.body.length === 0) return undefined;
  const type = message.headers.first(ContentType)?.type.toLowerCase();
  return type === 'application/sdp' ? new TextDecoder().decode(message.body) : undefined;
}
