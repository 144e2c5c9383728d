/** The non-INVITE server transaction: RFC 3261 §17.2.2, with no 100 by itself (RFC 4320 §4.1). */
import type { SipResponse } from '@sip-stack/parser';
import {
  isProvisional,
  type ServerAction,
  type ServerEvent,
  type TransactionSettings,
} from './machine.js';

export interface NonInviteServer {
  state: 'trying' | 'proceeding' | 'completed' | 'terminated';
  readonly settings: TransactionSettings;
  lastResponse: SipResponse | undefined;
}

export function nonInviteServer(settings: TransactionSettings): NonInviteServer {
  return { state: 'trying', settings, lastResponse: undefined };
}

export function stepNonInviteServer(
  transaction: NonInviteServer,
  event: ServerEvent,
): ServerAction[] {
  const { state, settings } = transaction;
  switch (event.type) {
    case 'request':
      return transaction.lastResponse && state !== 'terminated'
        ? [{ type: 'send', message: transaction.lastResponse }]
        : [];
    case 'respond': {
      if (state === 'completed' || state === 'terminated') return [];
      transaction.lastResponse = event.response;
      const send: ServerAction = { type: 'send', message: event.response };
      if (isProvisional(event.response)) {
        transaction.state = 'proceeding';
        return [send];
      }
      if (settings.reliable) {
        transaction.state = 'terminated';
        return [send, { type: 'terminate' }];
      }
      transaction.state = 'completed';
      return [send, { type: 'set-timer', timer: 'J', ms: 64 * settings.timers.t1 }];
    }
    case 'timer':
      if (event.timer !== 'J' || state !== 'completed') return [];
      transaction.state = 'terminated';
      return [{ type: 'terminate' }];
    case 'transport-error':
      if (state === 'terminated') return [];
      transaction.state = 'terminated';
      return [{ type: 'fail', reason: 'transport' }, { type: 'terminate' }];
  }
}
