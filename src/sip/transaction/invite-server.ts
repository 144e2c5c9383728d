/** The INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1. */
import type { SipResponse } from '@sip-stack/parser';
import {
  isProvisional,
  isSuccess,
  type ServerAction,
  type ServerEvent,
  TRYING_AFTER_MS,
  type TransactionSettings,
} from './machine.js';

export interface InviteServer {
  state: 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';
  readonly settings: TransactionSettings;
  /** What a retransmitted INVITE is answered with. */
  lastResponse: SipResponse | undefined;
  /** Timer G's current value in ms. */
  retransmitMs: number;
}

export function inviteServer(settings: TransactionSettings): InviteServer {
  return {
    state: 'proceeding',
    settings,
    lastResponse: undefined,
    retransmitMs: settings.timers.t1,
  };
}

/** What the driver does when the transaction is created, before anyone has answered. */
export function startInviteServer(): ServerAction[] {
  return [{ type: 'set-timer', timer: 'trying', ms: TRYING_AFTER_MS }];
}

/** @param trying makes the 100 response that goes out by itself (RFC 3261 §17.2.1). */
export function stepInviteServer(
  transaction: InviteServer,
  event: ServerEvent,
  trying: () => SipResponse,
): ServerAction[] {
  const { state, settings } = transaction;
  const { t1, t2, t4 } = settings.timers;
  switch (event.type) {
    case 'request':
      if (event.request.method === 'ACK') {
        if (state !== 'completed') return [];
        return [
          { type: 'cancel-timer', timer: 'G' },
          { type: 'cancel-timer', timer: 'H' },
          ...end(transaction, 'confirmed', 'I', settings.reliable ? 0 : t4),
        ];
      }
      if ((state === 'proceeding' || state === 'completed') && transaction.lastResponse) {
        return [{ type: 'send', message: transaction.lastResponse }];
      }
      return [];
    case 'respond':
      return respond(transaction, event.response);
    case 'timer':
      if (event.timer === 'trying' && state === 'proceeding' && !transaction.lastResponse) {
        return respond(transaction, trying());
      }
      if (event.timer === 'G' && state === 'completed' && transaction.lastResponse) {
        transaction.retransmitMs = Math.min(2 * transaction.retransmitMs, t2);
        return [
          { type: 'send', message: transaction.lastResponse },
          { type: 'set-timer', timer: 'G', ms: transaction.retransmitMs },
        ];
      }
      if (event.timer === 'H' && state === 'completed') {
        transaction.state = 'terminated';
        return [{ type: 'fail', reason: 'timeout' }, { type: 'terminate' }];
      }
      if (
        (event.timer === 'I' && state === 'confirmed') ||
        (event.timer === 'L' && state === 'accepted')
      ) {
        transaction.state = 'terminated';
        return [{ type: 'terminate' }];
      }
      return [];
    case 'transport-error':
      // The dialog layer retransmits its 2xx itself, timers G and H care for the rest: stay.
      return state === 'terminated' ? [] : [{ type: 'fail', reason: 'transport' }];
  }

  function respond(tx: InviteServer, response: SipResponse): ServerAction[] {
    const send: ServerAction = { type: 'send', message: response };
    // Each 2xx the dialog layer sends again passes through here (RFC 6026 §7.1).
    if (tx.state === 'accepted') return isSuccess(response) ? [send] : [];
    if (tx.state !== 'proceeding') return [];
    tx.lastResponse = response;
    const quiet: ServerAction = { type: 'cancel-timer', timer: 'trying' };
    if (isProvisional(response)) return [quiet, send];
    if (isSuccess(response)) return [quiet, send, ...end(tx, 'accepted', 'L', 64 * t1)];
    tx.state = 'completed';
    const actions: ServerAction[] = [quiet, send, { type: 'set-timer', timer: 'H', ms: 64 * t1 }];
    if (!settings.reliable) actions.push({ type: 'set-timer', timer: 'G', ms: t1 });
    return actions;
  }
}

/** Enters the last state before the end and stays there for `ms`. */
function end(
  transaction: InviteServer,
  state: 'confirmed' | 'accepted',
  timer: 'I' | 'L',
  ms: number,
): ServerAction[] {
  if (ms === 0) {
    transaction.state = 'terminated';
    return [{ type: 'terminate' }];
  }
  transaction.state = state;
  return [{ type: 'set-timer', timer, ms }];
}
