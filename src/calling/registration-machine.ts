/**
 * The registration of one account at an ordinary registrar: RFC 3261 §10.2, with the flow failures and the
 * pauses between failed attempts of RFC 5626 §4.4 and §4.5. Pure; the driver is `account.ts`.
 */

/** Asked for, in seconds: short enough that a phone whose address changed is soon reachable again. */
export const DEFAULT_EXPIRES_S = 600;
/** RFC 5626 §4.5: the pause after the first failure, and the longest. */
const BASE_PAUSE_S = 30;
const MAX_PAUSE_S = 1800;
/** After a change of address the way to the server may come a moment later: so often it is tried again soon. */
const SOON_TRIES = 4;
/** The first of these pauses; each is twice the one before. */
const SOON_PAUSE_S = 0.5;
/** A NAT that shows us at another address each time cannot be kept up with. */
const MAX_MOVES = 2;
/** A refresh leaves this much time for retransmissions, as far as the interval allows. */
const REFRESH_MARGIN_S = 40;

export type RegistrationPhase =
  | 'idle'
  | 'registering'
  | 'registered'
  /** The last attempt failed; the next is due after a pause. */
  | 'failed'
  | 'leaving'
  | 'stopped';

export interface RegistrationState {
  phase: RegistrationPhase;
  /** What the next REGISTER asks for, in seconds; 423 raises it (§10.2.8). */
  expiresS: number;
  /** What the REGISTER under way asks for; the next one waits for its answer (§10.2). */
  pending: 'binding' | 'removal' | undefined;
  failures: number;
  /** How often a failure is followed by a short pause, since our address has just changed. */
  soon: number;
  /** The network or the flow changed while an attempt was under way: register once more. */
  again: boolean;
  /** Whether we ask to be reached by the flow we register on (RFC 5626); not where that cannot be (439). */
  outbound: boolean;
  /** Flows lost since one lasted for a whole interval. */
  lostFlows: number;
  /** Registered anew for being seen at another address, since one was good for a whole interval. */
  moves: number;
  /** The attempt under way is one of those that keep up what there is. */
  refreshing: boolean;
  /** A number in [0, 1), so that phones do not all come back at once. */
  readonly chance: () => number;
}

export interface RegistrationAnswer {
  readonly status: number;
  readonly reason: string;
  /** Granted to our contact, in seconds. */
  readonly expiresS?: number;
  readonly minExpiresS?: number;
  readonly retryAfterS?: number;
}

export type RegistrationEvent =
  | { readonly type: 'start' }
  /** Final response; 408 where none came, 503 where it could not be sent. */
  | { readonly type: 'answer'; readonly answer: RegistrationAnswer }
  | { readonly type: 'timer' }
  /** Our address changed: what the registrar knows of us is wrong. */
  | { readonly type: 'network-changed' }
  /** The connection to the server broke, or the way back through NATs is gone (RFC 5626 §4.4). */
  | { readonly type: 'flow-lost'; readonly reason: string }
  /** The server sees us at another address than we registered. */
  | { readonly type: 'moved' }
  | { readonly type: 'stop' };

export type RegistrationAction =
  /** 0 removes the binding. */
  | { readonly type: 'register'; readonly expiresS: number; readonly outbound: boolean }
  | { readonly type: 'set-timer'; readonly ms: number }
  | { readonly type: 'cancel-timer' }
  /** Tell the phase, with the answer that led to it. */
  | { readonly type: 'tell'; readonly answer?: RegistrationAnswer };

export function newRegistration(expiresS: number, chance: () => number): RegistrationState {
  return {
    phase: 'idle',
    expiresS,
    pending: undefined,
    failures: 0,
    soon: 0,
    again: false,
    outbound: true,
    lostFlows: 0,
    moves: 0,
    refreshing: false,
    chance,
  };
}

export function stepRegistration(
  state: RegistrationState,
  event: RegistrationEvent,
): RegistrationAction[] {
  switch (event.type) {
    case 'start':
      return state.phase === 'idle' ? register(state) : [];
    case 'timer':
      if (state.phase !== 'registered' && state.phase !== 'failed') return [];
      return register(state, state.phase === 'registered');
    case 'network-changed':
      if (state.phase === 'idle' || state.phase === 'leaving' || state.phase === 'stopped')
        return [];
      state.soon = SOON_TRIES;
      if (state.pending) {
        state.again = true;
        return [];
      }
      return [{ type: 'cancel-timer' }, ...register(state)];
    case 'flow-lost':
      return flowLost(state, event.reason);
    case 'moved':
      if (state.phase !== 'registered' || state.pending || state.moves >= MAX_MOVES) return [];
      state.moves++;
      return [{ type: 'cancel-timer' }, ...register(state)];
    case 'stop':
      return stop(state);
    case 'answer':
      return onAnswer(state, event.answer);
  }
}

function register(state: RegistrationState, refreshing = false): RegistrationAction[] {
  // A refresh is no news: the phase stays what others see until it fails.
  if (state.phase !== 'registered') state.phase = 'registering';
  state.again = false;
  state.pending = 'binding';
  state.refreshing = refreshing;
  return [{ type: 'register', expiresS: state.expiresS, outbound: state.outbound }];
}

function remove(state: RegistrationState): RegistrationAction {
  state.pending = 'removal';
  return { type: 'register', expiresS: 0, outbound: state.outbound };
}

function onAnswer(state: RegistrationState, answer: RegistrationAnswer): RegistrationAction[] {
  const answered = state.pending;
  state.pending = undefined;
  if (state.phase === 'leaving') {
    if (answered === 'binding') return [remove(state)];
    state.phase = 'stopped';
    return [{ type: 'tell', answer }];
  }
  if (state.phase !== 'registering' && state.phase !== 'registered') return [];
  const { status, minExpiresS } = answer;
  if (status === 423 && minExpiresS !== undefined && minExpiresS > state.expiresS) {
    state.expiresS = minExpiresS;
    return register(state);
  }
  if (status === 439 && state.outbound) {
    state.outbound = false;
    return register(state);
  }
  if (state.again) return register(state);
  return status >= 200 && status < 300 ? succeeded(state, answer) : failed(state, answer);
}

function succeeded(state: RegistrationState, answer: RegistrationAnswer): RegistrationAction[] {
  const granted = answer.expiresS ?? state.expiresS;
  state.phase = 'registered';
  state.failures = 0;
  state.soon = 0;
  if (state.refreshing) {
    state.lostFlows = 0;
    state.moves = 0;
  }
  const refreshS = Math.max(granted / 2, granted - REFRESH_MARGIN_S);
  return [
    { type: 'set-timer', ms: refreshS * 1000 },
    { type: 'tell', answer },
  ];
}

/** The first time at once: the server may have been started anew. One that breaks every flow gets pauses. */
function flowLost(state: RegistrationState, reason: string): RegistrationAction[] {
  if (state.phase !== 'registered') return [];
  if (state.pending) {
    state.again = true;
    return [];
  }
  state.lostFlows++;
  if (state.lostFlows > 1) {
    state.failures = Math.max(state.failures, state.lostFlows - 2);
    return [{ type: 'cancel-timer' }, ...failed(state, { status: 503, reason })];
  }
  state.phase = 'registering';
  return [{ type: 'cancel-timer' }, ...register(state)];
}

function failed(state: RegistrationState, answer: RegistrationAnswer): RegistrationAction[] {
  state.phase = 'failed';
  if (state.soon > 0 && answer.status === 503 && answer.retryAfterS === undefined) {
    const pauseS = SOON_PAUSE_S * 2 ** (SOON_TRIES - state.soon--);
    return [
      { type: 'set-timer', ms: pauseS * 1000 },
      { type: 'tell', answer },
    ];
  }
  const longest = Math.min(MAX_PAUSE_S, BASE_PAUSE_S * 2 ** state.failures);
  state.failures++;
  // Between half of the upper bound and all of it (RFC 5626 §4.5); longer where the server says so.
  const pauseS = Math.max(longest * (0.5 + state.chance() / 2), answer.retryAfterS ?? 0);
  return [
    { type: 'set-timer', ms: pauseS * 1000 },
    { type: 'tell', answer },
  ];
}

function stop(state: RegistrationState): RegistrationAction[] {
  const known = state.phase === 'registered' || state.phase === 'registering';
  state.phase = known ? 'leaving' : 'stopped';
  const actions: RegistrationAction[] = [{ type: 'cancel-timer' }];
  if (!known) return [...actions, { type: 'tell' }];
  return state.pending ? actions : [...actions, remove(state)];
}
