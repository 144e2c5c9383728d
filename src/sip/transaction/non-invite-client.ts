/** The non-INVITE client transaction: RFC 3261 §17.1.2. */
import type { SipRequest } from '@sip-stack/parser';
import {
  type ClientAction,
  type ClientEvent,
  isProvisional,
  type TransactionSettings,
} from './machine.js';

export interface NonInviteClient {
  state: 'trying' | 'proceeding' | 'completed' | 'terminated';
  readonly request: SipRequest;
  readonly settings: TransactionSettings;
  /** Timer E's current value in ms. */
  retransmitMs: number;
}

export function nonInviteClient(
  request: SipRequest,
  settings: TransactionSettings,
): NonInviteClient {
  return { state: 'trying', request, settings, retransmitMs: settings.timers.t1 };
}

export function stepNonInviteClient(
  transaction: NonInviteClient,
  event: ClientEvent,
): ClientAction[] {
  const { state, request, settings } = transaction;
  const pending = state === 'trying' || state === 'proceeding';
  switch (event.type) {
    case 'start': {
      const actions: ClientAction[] = [
        { type: 'send', message: request },
        { type: 'set-timer', timer: 'F', ms: 64 * settings.timers.t1 },
      ];
      if (!settings.reliable) {
        actions.push({ type: 'set-timer', timer: 'E', ms: transaction.retransmitMs });
      }
      return actions;
    }
    case 'response': {
      if (!pending) return [];
      const deliver: ClientAction = { type: 'deliver', response: event.response };
      if (isProvisional(event.response)) {
        transaction.state = 'proceeding';
        return [deliver];
      }
      const quiet: ClientAction[] = [
        { type: 'cancel-timer', timer: 'E' },
        { type: 'cancel-timer', timer: 'F' },
      ];
      if (settings.reliable) {
        transaction.state = 'terminated';
        return [...quiet, deliver, { type: 'terminate' }];
      }
      transaction.state = 'completed';
      return [...quiet, deliver, { type: 'set-timer', timer: 'K', ms: settings.timers.t4 }];
    }
    case 'timer':
      if (event.timer === 'E' && pending) {
        const { t2 } = settings.timers;
        transaction.retransmitMs =
          state === 'proceeding' ? t2 : Math.min(2 * transaction.retransmitMs, t2);
        return [
          { type: 'send', message: request },
          { type: 'set-timer', timer: 'E', ms: transaction.retransmitMs },
        ];
      }
      if (event.timer === 'F' && pending) return fail(transaction, 'timeout');
      if (event.timer === 'K' && state === 'completed') {
        transaction.state = 'terminated';
        return [{ type: 'terminate' }];
      }
      return [];
    case 'transport-error':
      return pending ? fail(transaction, 'transport') : [];
  }
}

function fail(transaction: NonInviteClient, reason: 'timeout' | 'transport'): ClientAction[] {
  transaction.state = 'terminated';
  return [{ type: 'fail', reason }, { type: 'terminate' }];
}
