/**
 * A subscription as the subscriber has it: RFC 6665 §4.1. Pure; the driver is `subscription.ts`.
 * The dialog begins with the first NOTIFY, which may come before the 2xx to SUBSCRIBE (§4.4.1).
 */

/** A refresh leaves this much time for retransmissions, as far as the interval allows. */
const REFRESH_MARGIN_S = 40;
/** Less is granted by nobody in earnest, and would have us refresh without a pause. */
const MIN_LASTS_S = 10;
/** The pause after a refresh that failed for now (§4.1.2.2): the subscription is still there. */
const REFRESH_AGAIN_S = 5;
/** The pauses between attempts, doubling from the first to the longest, as registrations have them (RFC 5626 §4.5). */
const BASE_PAUSE_S = 30;
const MAX_PAUSE_S = 1800;

/** These answers to a refresh end the subscription, §4.1.2.2. */
const GONE: readonly number[] = [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604];
/** The reasons to come back at once, and those never to come back, §4.1.3. */
const AT_ONCE: readonly string[] = ['deactivated', 'timeout'];
const NEVER: readonly string[] = ['rejected', 'noresource', 'invariant'];
/** Refusals that say nothing of tomorrow: nobody there now, or out of order. */
const PASSING: readonly number[] = [404, 408, 480, 481, 482, 500, 502, 503, 504, 600];

/**
 * - `lasting`: refreshed, and begun again where the other side ends it for the time being;
 * - `branch`: of a fork; refreshed, and over when it is over, since the fork's first one comes back;
 * - `fetch`: the state once (§4.4.3, Expires 0);
 * - `implicit`: begun by a REFER; lives as long as the other side says (RFC 3515 §2.4.4).
 */
export type SubscriptionKind = 'lasting' | 'branch' | 'fetch' | 'implicit';

export type SubscriberPhase =
  | 'idle'
  /** Asked for; no NOTIFY yet. */
  | 'subscribing'
  /** Not yet decided whether we may. */
  | 'pending'
  | 'active'
  /** It failed or was ended; the next attempt is due after a pause. */
  | 'waiting'
  /** Unsubscribed; the last NOTIFY is to come. */
  | 'leaving'
  | 'ended';

export interface SubscriberState {
  phase: SubscriberPhase;
  readonly kind: SubscriptionKind;
  /** Tries again where nobody answers or nobody is there. */
  readonly persistent: boolean;
  /** What the next SUBSCRIBE asks for, in seconds; 423 raises it. */
  expiresS: number;
  /** The request without a final response. */
  request: 'subscribe' | 'refresh' | 'remove' | undefined;
  /** To be ended as soon as there is something to end it by. */
  leave: boolean;
  /** Our address changed while a request was under way: refresh once more. */
  again: boolean;
  /** Attempts that came to nothing in a row. */
  failures: number;
  /** Timer N: 64 T1, in ms (§4.1.2.4). */
  readonly timerNMs: number;
  /** A number in [0, 1), so that not all come back at once. */
  readonly chance: () => number;
}

export interface SubscriptionAnswer {
  readonly status: number;
  /** A REFER was accepted without a subscription (RFC 4488 §4). */
  readonly alone?: boolean;
  /** In seconds, each. */
  readonly expiresS?: number;
  readonly minExpiresS?: number;
  readonly retryAfterS?: number;
}

/** What Subscription-State says. */
export interface NotifiedState {
  /** An unknown state counts as active. */
  readonly state: 'active' | 'pending' | 'terminated';
  readonly expiresS?: number;
  readonly reason?: string;
  readonly retryAfterS?: number;
}

export type SubscriberTimer = 'notify' | 'refresh' | 'expire' | 'pause';

export type SubscriberEvent =
  | { readonly type: 'start' }
  /** The final response of this attempt's request; 408 where none came, 503 where it could not be sent. */
  | { readonly type: 'answer'; readonly answer: SubscriptionAnswer }
  /** Of this subscription's dialog, or that which begins it. */
  | { readonly type: 'notify'; readonly notified: NotifiedState }
  | { readonly type: 'timer'; readonly timer: SubscriberTimer }
  /** Our address changed: the other side has to learn the new one. */
  | { readonly type: 'network-changed' }
  | { readonly type: 'unsubscribe' };

/** Why it is over. */
export type SubscriptionEnd =
  | { readonly by: 'local' }
  /** The answer to SUBSCRIBE. */
  | { readonly by: 'refusal'; readonly status: number }
  /** What the last NOTIFY said; empty where it said nothing. */
  | { readonly by: 'notifier'; readonly reason: string };

export type SubscriberAction =
  /** A dialog of its own; for 423 the same request once more. */
  | { readonly type: 'subscribe'; readonly expiresS: number }
  /** Within the dialog; 0 ends it. */
  | { readonly type: 'refresh'; readonly expiresS: number }
  | { readonly type: 'answer-notify'; readonly status: number }
  /** Hand what this NOTIFY says to the user. */
  | { readonly type: 'deliver' }
  /** Forget the dialog and what is under way in it. */
  | { readonly type: 'forget-dialog' }
  | { readonly type: 'set-timer'; readonly timer: SubscriberTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: SubscriberTimer }
  /** The phase is another. */
  | { readonly type: 'tell' }
  /** The last of all. */
  | { readonly type: 'finish'; readonly end: SubscriptionEnd };

type Action = SubscriberAction;

export function newSubscription(
  options: Pick<SubscriberState, 'kind' | 'persistent' | 'expiresS' | 'timerNMs' | 'chance'>,
): SubscriberState {
  return {
    ...options,
    phase: 'idle',
    request: undefined,
    leave: false,
    again: false,
    failures: 0,
  };
}

export function stepSubscriber(state: SubscriberState, event: SubscriberEvent): Action[] {
  switch (event.type) {
    case 'start':
      return state.phase === 'idle' ? start(state) : [];
    case 'answer':
      return onAnswer(state, event.answer);
    case 'notify':
      return onNotify(state, event.notified);
    case 'timer':
      return onTimer(state, event.timer);
    case 'network-changed':
      return networkChanged(state);
    case 'unsubscribe':
      return unsubscribe(state);
  }
}

function start(state: SubscriberState): Action[] {
  // A branch begins with the NOTIFY of a phone that the fork reached; there is nothing to ask.
  if (state.kind !== 'branch') return subscribe(state);
  state.phase = 'subscribing';
  return [];
}

function subscribe(state: SubscriberState): Action[] {
  state.phase = 'subscribing';
  state.request = 'subscribe';
  state.again = false;
  return [
    { type: 'set-timer', timer: 'notify', ms: state.timerNMs },
    { type: 'subscribe', expiresS: state.kind === 'fetch' ? 0 : state.expiresS },
  ];
}

function refresh(state: SubscriberState): Action[] {
  state.request = 'refresh';
  state.again = false;
  return [
    { type: 'cancel-timer', timer: 'refresh' },
    { type: 'refresh', expiresS: state.expiresS },
  ];
}

function remove(state: SubscriberState): Action[] {
  state.phase = 'leaving';
  state.request = 'remove';
  return [
    ...cancel('refresh', 'expire'),
    { type: 'set-timer', timer: 'notify', ms: state.timerNMs },
    { type: 'refresh', expiresS: 0 },
    { type: 'tell' },
  ];
}

// ---- answers

function onAnswer(state: SubscriberState, answer: SubscriptionAnswer): Action[] {
  const answered = state.request;
  if (!answered) return [];
  state.request = undefined;
  switch (answered) {
    case 'subscribe':
      return state.phase === 'subscribing' ? onFirstAnswer(state, answer) : proceed(state, answer);
    case 'refresh':
      return onRefreshed(state, answer);
    case 'remove':
      // The last NOTIFY is still to come.
      return isSuccess(answer) ? [] : finish(state, { by: 'local' });
  }
}

function onFirstAnswer(state: SubscriberState, answer: SubscriptionAnswer): Action[] {
  if (answer.alone) return finish(state, { by: 'local' });
  if (isSuccess(answer)) return state.kind === 'lasting' ? lasts(state, answer.expiresS) : [];
  if (raisesInterval(state, answer) && !state.leave) return subscribe(state);
  return failed(state, answer);
}

/** A NOTIFY came before this answer: the subscription is there whatever the answer says. */
function proceed(state: SubscriberState, answer: SubscriptionAnswer): Action[] {
  if (state.leave) return remove(state);
  const granted = isSuccess(answer) && refreshes(state) ? lasts(state, answer.expiresS) : [];
  return state.again ? [...granted, ...refresh(state)] : granted;
}

function onRefreshed(state: SubscriberState, answer: SubscriptionAnswer): Action[] {
  if (GONE.includes(answer.status)) return failed(state, answer);
  if (state.leave) return remove(state);
  if (isSuccess(answer)) {
    state.failures = 0;
    const granted = lasts(state, answer.expiresS);
    return state.again ? [...granted, ...refresh(state)] : granted;
  }
  if (raisesInterval(state, answer)) return refresh(state);
  const ms = Math.max(REFRESH_AGAIN_S, answer.retryAfterS ?? 0) * 1000;
  return [{ type: 'set-timer', timer: 'refresh', ms }];
}

/** 423 (§4.1.2.1): ask for more the next time. */
function raisesInterval(state: SubscriberState, { status, minExpiresS }: SubscriptionAnswer) {
  if (status !== 423 || minExpiresS === undefined || minExpiresS <= state.expiresS) return false;
  if (state.kind === 'fetch' || state.kind === 'implicit') return false;
  state.expiresS = minExpiresS;
  return true;
}

/** It is there for so long from now on. */
function lasts(state: SubscriberState, toldS = state.expiresS): Action[] {
  const grantedS = Math.max(toldS, MIN_LASTS_S);
  const refreshS = Math.max(grantedS / 2, grantedS - REFRESH_MARGIN_S);
  const again: Action[] = refreshes(state)
    ? [{ type: 'set-timer', timer: 'refresh', ms: refreshS * 1000 }]
    : [];
  return [...again, { type: 'set-timer', timer: 'expire', ms: grantedS * 1000 }];
}

// ---- notifications

function onNotify(state: SubscriberState, notified: NotifiedState): Action[] {
  const accepted: Action = { type: 'answer-notify', status: 200 };
  switch (state.phase) {
    case 'idle':
    case 'waiting':
    case 'ended':
      return [{ type: 'answer-notify', status: 481 }];
    case 'leaving':
      // One that was sent before the other side heard that we leave is no news to us.
      if (notified.state !== 'terminated') return [accepted];
      return [accepted, ...finish(state, { by: 'local' })];
    case 'subscribing':
    case 'pending':
    case 'active':
      return [accepted, ...onState(state, notified)];
  }
}

function onState(state: SubscriberState, notified: NotifiedState): Action[] {
  const first = state.phase === 'subscribing';
  const told: Action[] = state.leave ? [] : [{ type: 'deliver' }];
  if (state.kind === 'fetch') {
    const end: SubscriptionEnd = state.leave
      ? { by: 'local' }
      : { by: 'notifier', reason: notified.reason ?? '' };
    return [...told, ...finish(state, end)];
  }
  if (notified.state === 'terminated') return [...told, ...terminated(state, notified)];
  const changed = state.phase !== notified.state;
  state.phase = notified.state;
  // Until the answer to SUBSCRIBE tells otherwise, it lasts as long as was asked for.
  const expiresS = notified.expiresS ?? (first ? state.expiresS : undefined);
  const actions: Action[] = [
    ...(first ? cancel('notify') : []),
    // While a request of ours is under way, its answer says how long (§4.1.2.4).
    ...(expiresS !== undefined && state.request !== 'refresh' ? lasts(state, expiresS) : []),
    ...(changed && !state.leave ? [{ type: 'tell' } as const] : []),
    ...told,
  ];
  return state.leave && !state.request ? [...actions, ...remove(state)] : actions;
}

/** The other side ends it: whether and when to come back, §4.1.3. */
function terminated(state: SubscriberState, { reason = '', retryAfterS }: NotifiedState): Action[] {
  const end: SubscriptionEnd = state.leave ? { by: 'local' } : { by: 'notifier', reason };
  const dropped = drop(state);
  const over = state.leave || state.kind !== 'lasting' || NEVER.includes(reason);
  if (over) return [...dropped, ...finish(state, end)];
  if (AT_ONCE.includes(reason) && state.failures === 0) {
    state.failures++;
    return [...dropped, ...pauseFor(state, 0)];
  }
  return [...dropped, ...pause(state, retryAfterS)];
}

// ---- failure, pauses, the end

/** An attempt came to nothing. */
function failed(state: SubscriberState, { status, retryAfterS }: SubscriptionAnswer): Action[] {
  const end: SubscriptionEnd = state.leave ? { by: 'local' } : { by: 'refusal', status };
  // One that was there before and is gone may be had again at once (§4.1.2.2).
  const hopeful = state.persistent || state.phase !== 'subscribing';
  const again = state.kind === 'lasting' && !state.leave && hopeful && PASSING.includes(status);
  if (!again) return finish(state, end);
  if (state.phase !== 'subscribing' && state.failures === 0) {
    state.failures++;
    return [...drop(state), ...pauseFor(state, retryAfterS ?? 0)];
  }
  return [...drop(state), ...pause(state, retryAfterS)];
}

function pause(state: SubscriberState, retryAfterS = 0): Action[] {
  const longest = Math.min(MAX_PAUSE_S, BASE_PAUSE_S * 2 ** state.failures);
  state.failures++;
  return pauseFor(state, Math.max(longest * (0.5 + state.chance() / 2), retryAfterS));
}

function pauseFor(state: SubscriberState, seconds: number): Action[] {
  state.phase = 'waiting';
  return [{ type: 'set-timer', timer: 'pause', ms: seconds * 1000 }, { type: 'tell' }];
}

function drop(state: SubscriberState): Action[] {
  state.request = undefined;
  state.again = false;
  return [...cancel('notify', 'refresh', 'expire'), { type: 'forget-dialog' }];
}

function finish(state: SubscriberState, end: SubscriptionEnd): Action[] {
  const dropped = drop(state);
  state.phase = 'ended';
  return [...dropped, ...cancel('pause'), { type: 'finish', end }];
}

// ---- timers, and what the user wants

function onTimer(state: SubscriberState, timer: SubscriberTimer): Action[] {
  const { phase } = state;
  const stands = phase === 'pending' || phase === 'active';
  switch (timer) {
    case 'notify':
      if (phase === 'leaving') return finish(state, { by: 'local' });
      return phase === 'subscribing' ? failed(state, { status: 408 }) : [];
    case 'refresh':
      if (!stands || state.request) return [];
      // It has lasted: a fresh start may fail at first.
      state.failures = 0;
      return refresh(state);
    case 'expire':
      return stands ? terminated(state, { state: 'terminated', reason: 'timeout' }) : [];
    case 'pause':
      return phase === 'waiting' ? subscribe(state) : [];
  }
}

function networkChanged(state: SubscriberState): Action[] {
  const { phase, request } = state;
  if (phase === 'waiting') return [...cancel('pause'), ...subscribe(state)];
  if ((phase !== 'pending' && phase !== 'active') || !refreshes(state)) return [];
  if (!request) return refresh(state);
  state.again = true;
  return [];
}

function unsubscribe(state: SubscriberState): Action[] {
  switch (state.phase) {
    case 'idle':
    case 'waiting':
      return finish(state, { by: 'local' });
    case 'subscribing':
      // Only a dialog can be left; Timer N bounds the wait for it.
      state.leave = true;
      return state.kind === 'branch' ? finish(state, { by: 'local' }) : [];
    case 'pending':
    case 'active':
      if (!state.request) return remove(state);
      state.leave = true;
      return [];
    case 'leaving':
    case 'ended':
      return [];
  }
}

function refreshes({ kind }: SubscriberState): boolean {
  return kind === 'lasting' || kind === 'branch';
}

function isSuccess({ status }: SubscriptionAnswer): boolean {
  return status >= 200 && status < 300;
}

function cancel(...timers: SubscriberTimer[]): Action[] {
  return timers.map(timer => ({ type: 'cancel-timer', timer }));
}
