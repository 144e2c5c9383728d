/** The INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2. */
import {
  CSeq,
  From,
  MaxForwards,
  Route,
  SipRequest,
  type SipResponse,
  To,
  Via,
} from '@sip-stack/parser';
import {
  type ClientAction,
  type ClientEvent,
  isProvisional,
  isSuccess,
  TIMER_D_MS,
  type TransactionSettings,
} from './machine.js';

export interface InviteClient {
  state: 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';
  readonly invite: SipRequest;
  readonly settings: TransactionSettings;
  /** Timer A's current value in ms; doubles with each retransmission. */
  retransmitMs: number;
  /** Sent again for each retransmission of a final response that is no 2xx. */
  ack: SipRequest | undefined;
}

export function inviteClient(invite: SipRequest, settings: TransactionSettings): InviteClient {
  return { state: 'calling', invite, settings, retransmitMs: settings.timers.t1, ack: undefined };
}

export function stepInviteClient(transaction: InviteClient, event: ClientEvent): ClientAction[] {
  switch (event.type) {
    case 'start':
      return start(transaction);
    case 'response':
      return onResponse(transaction, event.response);
    case 'timer':
      return onTimer(transaction, event.timer);
    case 'transport-error':
      if (transaction.state === 'terminated' || transaction.state === 'accepted') return [];
      return fail(transaction, 'transport');
  }
}

function start({ invite, settings, retransmitMs }: InviteClient): ClientAction[] {
  const actions: ClientAction[] = [
    { type: 'send', message: invite },
    { type: 'set-timer', timer: 'B', ms: 64 * settings.timers.t1 },
  ];
  if (!settings.reliable) actions.push({ type: 'set-timer', timer: 'A', ms: retransmitMs });
  return actions;
}

function onResponse(transaction: InviteClient, response: SipResponse): ClientAction[] {
  const { state, settings } = transaction;
  const deliver: ClientAction = { type: 'deliver', response };
  if (state === 'calling' || state === 'proceeding') {
    // Timer B bounds the wait for any response; a call may ring for as long as its user likes.
    const quiet: ClientAction[] = [
      { type: 'cancel-timer', timer: 'A' },
      { type: 'cancel-timer', timer: 'B' },
    ];
    if (isProvisional(response)) {
      transaction.state = 'proceeding';
      return [...quiet, deliver];
    }
    if (isSuccess(response)) {
      transaction.state = 'accepted';
      return [...quiet, deliver, { type: 'set-timer', timer: 'M', ms: 64 * settings.timers.t1 }];
    }
    transaction.ack = acknowledge(transaction.invite, response);
    const acknowledged: ClientAction = { type: 'send', message: transaction.ack };
    if (settings.reliable) {
      transaction.state = 'terminated';
      return [...quiet, acknowledged, deliver, { type: 'terminate' }];
    }
    transaction.state = 'completed';
    return [...quiet, acknowledged, deliver, { type: 'set-timer', timer: 'D', ms: TIMER_D_MS }];
  }
  // A 2xx of another branch of a fork, or again of the same: the dialog's business (RFC 6026 §7.2).
  if (state === 'accepted') return isSuccess(response) ? [deliver] : [];
  if (state === 'completed' && transaction.ack && response.status >= 300) {
    return [{ type: 'send', message: transaction.ack }];
  }
  return [];
}

function onTimer(transaction: InviteClient, timer: string): ClientAction[] {
  const { state } = transaction;
  if (timer === 'A' && state === 'calling') {
    transaction.retransmitMs *= 2;
    return [
      { type: 'send', message: transaction.invite },
      { type: 'set-timer', timer: 'A', ms: transaction.retransmitMs },
    ];
  }
  if (timer === 'B' && state === 'calling') return fail(transaction, 'timeout');
  if ((timer === 'D' && state === 'completed') || (timer === 'M' && state === 'accepted')) {
    transaction.state = 'terminated';
    return [{ type: 'terminate' }];
  }
  return [];
}

function fail(transaction: InviteClient, reason: 'timeout' | 'transport'): ClientAction[] {
  // In Completed the final response is delivered already: a lost ACK is not the user's business.
  const told = transaction.state === 'completed';
  transaction.state = 'terminated';
  return told ? [{ type: 'terminate' }] : [{ type: 'fail', reason }, { type: 'terminate' }];
}

/** The ACK to a final response that is no 2xx, RFC 3261 §17.1.1.3. */
function acknowledge(invite: SipRequest, response: SipResponse): SipRequest {
  const ack = new SipRequest({ method: 'ACK', uri: invite.uri });
  const { headers } = invite;
  ack.headers
    .set(Via, headers.require(Via))
    .set(From, headers.require(From))
    .set(To, response.headers.require(To))
    .setText('Call-ID', headers.text('Call-ID') ?? '')
    .set(CSeq, { sequence: headers.require(CSeq).sequence, method: 'ACK' })
    .set(MaxForwards, 70);
  const routes = headers.all(Route);
  if (routes.length > 0) ack.headers.set(Route, ...routes);
  return ack;
}
