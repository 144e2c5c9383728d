/**
 * One message on its way, from locating its receiver to what became of it (RFC 3428 §4, RFC 3263 §4.3).
 * Pure; the driver is `messages.ts`.
 */
import { type CallEnd, endedLocally, noSuchName } from '../../calling/call-end.js';
import { MAX_REDIRECTIONS, TRYING_LIMIT_MS } from '../../calling/call-machine.js';
import type { Location } from '../../discovery/locator.js';
import { endOfMessage } from './message-end.js';

export interface SendingState {
  phase: 'locating' | 'sending' | 'over';
  /** As the person named it. */
  readonly target: string;
  untried: readonly Location[];
  /** Copies under way without an answer. The receiver knows them for the same message. */
  pending: number;
  redirections: number;
  /** The best answer so far. */
  end: CallEnd | undefined;
}

export type SendingEvent =
  | { readonly type: 'start' }
  | { readonly type: 'located'; readonly locations: readonly Location[] }
  | { readonly type: 'not-located'; readonly end: CallEnd }
  /** A final response. */
  | {
      readonly type: 'answered';
      readonly status: number;
      readonly reason: string;
      /** Where a redirection says to try instead. */
      readonly locations: readonly Location[];
    }
  /** Nobody answered at a location, or it could not be sent there. */
  | { readonly type: 'unanswered'; readonly end: CallEnd }
  | { readonly type: 'timer' }
  /** The phone stops. */
  | { readonly type: 'give-up' };

export type SendingAction =
  | { readonly type: 'locate' }
  | { readonly type: 'send'; readonly location: Location }
  | { readonly type: 'set-timer'; readonly ms: number }
  | { readonly type: 'cancel-timer' }
  /** Last of all actions; without an end, it was taken. */
  | { readonly type: 'finish'; readonly end: CallEnd | undefined };

export function newSending(target: string): SendingState {
  return {
    phase: 'locating',
    target,
    untried: [],
    pending: 0,
    redirections: 0,
    end: undefined,
  };
}

export function stepSending(state: SendingState, event: SendingEvent): SendingAction[] {
  if (state.phase === 'over') return [];
  switch (event.type) {
    case 'start':
      return [{ type: 'locate' }];
    case 'located':
      if (state.phase !== 'locating') return [];
      state.phase = 'sending';
      state.untried = event.locations;
      return next(state);
    case 'not-located':
      return state.phase === 'locating' ? finish(state, event.end) : [];
    case 'answered':
      return answered(state, event);
    case 'unanswered':
      state.pending--;
      state.end ??= event.end;
      return next(state);
    case 'timer':
      return state.untried.length > 0 ? next(state) : [];
    case 'give-up':
      return finish(state, endedLocally());
  }
}

function answered(
  state: SendingState,
  { status, reason, locations }: Extract<SendingEvent, { type: 'answered' }>,
): SendingAction[] {
  state.pending--;
  if (status < 300) return finish(state, undefined);
  const end = endOfMessage(state.target, status, reason);
  // Somebody who refuses it for everybody (§21.6).
  if (status >= 600) return finish(state, end);
  if (status < 400 && state.redirections < MAX_REDIRECTIONS) {
    state.redirections++;
    state.untried = [...locations, ...state.untried];
  }
  const silence = state.end === undefined || state.end.code === 'UNREACHABLE';
  if (silence) state.end = end;
  return next(state);
}

/** Sends it to the next location; when there is none, waits for those that were tried. */
function next(state: SendingState): SendingAction[] {
  const [location, ...untried] = state.untried;
  if (!location) {
    if (state.pending > 0) return [];
    return finish(state, state.end ?? noSuchName(state.target));
  }
  state.untried = untried;
  state.pending++;
  const timer: SendingAction =
    untried.length > 0 ? { type: 'set-timer', ms: TRYING_LIMIT_MS } : { type: 'cancel-timer' };
  return [timer, { type: 'send', location }];
}

function finish(state: SendingState, end: CallEnd | undefined): SendingAction[] {
  state.phase = 'over';
  return [{ type: 'cancel-timer' }, { type: 'finish', end }];
}
