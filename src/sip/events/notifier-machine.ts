/**
 * A subscription as the notifier has it: RFC 6665 §4.2. Pure; the driver is `watcher.ts`.
 * One NOTIFY at a time: what changes meanwhile is told by the next, which tells the state of its moment.
 */

/** These answers to a NOTIFY end the subscription, as 408, no answer, does: §4.2.2. */
const GONE: readonly number[] = [
  404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604,
];

export interface NotifierState {
  /** `ending`: the last NOTIFY waits for the answer to the one before; `last`: it is on its way. */
  phase: 'active' | 'ending' | 'last' | 'ended';
  /** A NOTIFY has no final response yet. */
  outstanding: boolean;
  /** Another is due: after the interval, or as soon as the one before is answered. */
  due: 'no' | 'later' | 'now';
  /** The interval since the last one is not over. */
  paused: boolean;
  /** What the last NOTIFY says. */
  end: SubscriptionTermination | undefined;
  /** At least so long from one told change to the next, in ms. */
  readonly intervalMs: number;
}

/** RFC 6665 §4.1.3. */
export type TerminationReason =
  | 'deactivated'
  | 'probation'
  | 'rejected'
  | 'timeout'
  | 'giveup'
  | 'noresource'
  | 'invariant';

export interface SubscriptionTermination {
  readonly reason: TerminationReason;
  /** In seconds. */
  readonly retryAfterS?: number;
}

export type NotifierTimer = 'expire' | 'interval';

export type NotifierEvent =
  /** A SUBSCRIBE, the first or a refresh, with what it is granted; 0 ends it. */
  | { readonly type: 'subscribe'; readonly expiresS: number }
  /** The state of the resource is another. */
  | { readonly type: 'changed' }
  /** The final response to the NOTIFY; 408 where none came, 503 where it could not be sent. */
  | { readonly type: 'answer'; readonly status: number; readonly retryAfterS?: number }
  | { readonly type: 'timer'; readonly timer: NotifierTimer }
  /** We end it. */
  | { readonly type: 'terminate'; readonly end: SubscriptionTermination };

export type NotifierAction =
  /** Answer the SUBSCRIBE with 2xx. */
  | { readonly type: 'accept'; readonly expiresS: number }
  | { readonly type: 'refuse'; readonly status: number }
  /** Send a NOTIFY with the state as it is now; with `end`, the last one. */
  | { readonly type: 'notify'; readonly end?: SubscriptionTermination }
  | { readonly type: 'set-timer'; readonly timer: NotifierTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: NotifierTimer }
  /** Nothing more will come of it. */
  | { readonly type: 'finish' };

type Action = NotifierAction;

export function newNotifierState(intervalMs: number): NotifierState {
  return {
    phase: 'active',
    outstanding: false,
    due: 'no',
    paused: false,
    end: undefined,
    intervalMs,
  };
}

export function stepNotifier(state: NotifierState, event: NotifierEvent): Action[] {
  switch (event.type) {
    case 'subscribe':
      return subscribe(state, event.expiresS);
    case 'changed':
      return state.phase === 'active' ? changed(state) : [];
    case 'answer':
      return onAnswer(state, event.status, event.retryAfterS);
    case 'terminate':
      return state.phase === 'active' ? terminate(state, event.end) : [];
    case 'timer':
      return onTimer(state, event.timer);
  }
}

function subscribe(state: NotifierState, expiresS: number): Action[] {
  if (state.phase !== 'active') return [{ type: 'refuse', status: 481 }];
  const accepted: Action = { type: 'accept', expiresS };
  if (expiresS === 0) return [accepted, ...terminate(state, { reason: 'timeout' })];
  // Every SUBSCRIBE is followed by a NOTIFY at once (§4.2.1.2).
  return [
    accepted,
    { type: 'set-timer', timer: 'expire', ms: expiresS * 1000 },
    ...(state.outstanding ? postpone(state, 'now') : notify(state)),
  ];
}

function changed(state: NotifierState): Action[] {
  return state.outstanding || state.paused ? postpone(state, 'later') : notify(state);
}

function postpone(state: NotifierState, due: 'later' | 'now'): Action[] {
  if (state.due !== 'now') state.due = due;
  return [];
}

function terminate(state: NotifierState, end: SubscriptionTermination): Action[] {
  state.end = end;
  state.due = 'no';
  state.paused = false;
  const over = cancel('expire', 'interval');
  if (!state.outstanding) return [...over, ...notifyLast(state)];
  state.phase = 'ending';
  return over;
}

function notifyLast(state: NotifierState): Action[] {
  state.phase = 'last';
  state.outstanding = true;
  return [{ type: 'notify', ...(state.end && { end: state.end }) }];
}

function notify(state: NotifierState): Action[] {
  const { intervalMs } = state;
  state.outstanding = true;
  state.due = 'no';
  state.paused = intervalMs > 0;
  const interval: Action[] = state.paused
    ? [{ type: 'set-timer', timer: 'interval', ms: intervalMs }]
    : [];
  return [...interval, { type: 'notify' }];
}

function onAnswer(state: NotifierState, status: number, retryAfterS?: number): Action[] {
  if (!state.outstanding) return [];
  state.outstanding = false;
  if (state.phase === 'last' || GONE.includes(status)) return finish(state);
  if (state.phase === 'ending') return notifyLast(state);
  if (status >= 300 && retryAfterS !== undefined) {
    state.paused = true;
    state.due = 'later';
    return [{ type: 'set-timer', timer: 'interval', ms: retryAfterS * 1000 }];
  }
  const now = state.due === 'now' || (state.due === 'later' && !state.paused);
  return now ? notify(state) : [];
}

function onTimer(state: NotifierState, timer: NotifierTimer): Action[] {
  if (state.phase !== 'active') return [];
  switch (timer) {
    case 'expire':
      return terminate(state, { reason: 'timeout' });
    case 'interval':
      state.paused = false;
      return state.due === 'no' || state.outstanding ? [] : notify(state);
  }
}

function finish(state: NotifierState): Action[] {
  state.phase = 'ended';
  return [...cancel('expire', 'interval'), { type: 'finish' }];
}

function cancel(...timers: NotifierTimer[]): Action[] {
  return timers.map(timer => ({ type: 'cancel-timer', timer }));
}
