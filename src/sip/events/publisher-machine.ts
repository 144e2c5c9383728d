/** State of ours, published at a server: RFC 3903 §4. Pure; the driver is `publisher.ts`. */

/** A refresh leaves this much time for retransmissions, as far as the interval allows. */
const REFRESH_MARGIN_S = 40;
/** The pauses between failed attempts, as registrations have them (RFC 5626 §4.5). */
const BASE_PAUSE_S = 30;
const MAX_PAUSE_S = 1800;
/** Less is granted by nobody in earnest, and would have us refresh without a pause. */
const MIN_LASTS_S = 10;
/** The server takes no such state from us, now or later. */
const NEVER: readonly number[] = [403, 404, 405, 415, 489, 501];

export interface PublisherState {
  /** `leaving`: as soon as the request under way is answered; `removing`: the removal is under way. */
  phase: 'idle' | 'published' | 'waiting' | 'leaving' | 'removing' | 'ended';
  /** What the server has; undefined where it has nothing of ours. */
  etag: string | undefined;
  /** A PUBLISH has no final response yet. */
  pending: boolean;
  /** What is to be told is another than what the last PUBLISH told. */
  changed: boolean;
  /** Asked for, in seconds; 423 raises it. */
  expiresS: number;
  failures: number;
  /** A number in [0, 1). */
  readonly chance: () => number;
}

export interface PublishAnswer {
  readonly status: number;
  readonly etag?: string;
  readonly expiresS?: number;
  readonly minExpiresS?: number;
  readonly retryAfterS?: number;
}

export type PublisherEvent =
  /** There is something to tell, the first time or again. */
  | { readonly type: 'changed' }
  /** The final response; 408 where none came, 503 where it could not be sent. */
  | { readonly type: 'answer'; readonly answer: PublishAnswer }
  | { readonly type: 'timer' }
  | { readonly type: 'stop' };

export type PublisherAction =
  | {
      readonly type: 'publish';
      readonly match: string | undefined;
      /** Whether the state goes along, as it is now. */
      readonly body: boolean;
      /** 0 removes it. */
      readonly expiresS: number;
    }
  | { readonly type: 'set-timer'; readonly ms: number }
  | { readonly type: 'cancel-timer' }
  /** It is over; with a status where the server wants none of it. */
  | { readonly type: 'finish'; readonly status?: number };

type Action = PublisherAction;

export function newPublisher(expiresS: number, chance: () => number): PublisherState {
  return {
    ...{ phase: 'idle', etag: undefined, pending: false, changed: false },
    ...{ expiresS, failures: 0, chance },
  };
}

export function stepPublisher(state: PublisherState, event: PublisherEvent): Action[] {
  switch (event.type) {
    case 'changed':
      return changed(state);
    case 'timer':
      return state.phase === 'published' || state.phase === 'waiting' ? publish(state) : [];
    case 'stop':
      return stop(state);
    case 'answer':
      return onAnswer(state, event.answer);
  }
}

function changed(state: PublisherState): Action[] {
  if (isOver(state)) return [];
  state.changed = true;
  // The next attempt tells it.
  if (state.pending || state.phase === 'waiting') return [];
  return [{ type: 'cancel-timer' }, ...publish(state)];
}

/** Initial, to refresh or to modify (§4.2 to §4.4). */
function publish(state: PublisherState): Action[] {
  const body = state.changed || state.etag === undefined;
  state.pending = true;
  state.changed = false;
  return [{ type: 'publish', match: state.etag, body, expiresS: state.expiresS }];
}

function onAnswer(state: PublisherState, answer: PublishAnswer): Action[] {
  if (!state.pending) return [];
  state.pending = false;
  const { status, minExpiresS } = answer;
  const taken = status >= 200 && status < 300 && answer.etag !== undefined;
  if (taken) state.etag = answer.etag;
  if (status === 412) state.etag = undefined;
  if (state.phase === 'removing') return finish(state);
  if (state.phase === 'leaving') return leave(state);
  if (taken) return succeeded(state, answer);
  if (status === 412) {
    // What we had there is gone (§4.3): all of it is told anew, unless that is refused so too.
    return state.failures++ === 0 ? publish(state) : pause(state, answer);
  }
  if (status === 423 && minExpiresS !== undefined && minExpiresS > state.expiresS) {
    state.expiresS = minExpiresS;
    state.changed = true;
    return publish(state);
  }
  if (NEVER.includes(status)) return finish(state, status);
  return pause(state, answer);
}

function succeeded(state: PublisherState, { expiresS = state.expiresS }: PublishAnswer): Action[] {
  state.phase = 'published';
  state.failures = 0;
  if (state.changed) return publish(state);
  const granted = Math.max(expiresS, MIN_LASTS_S);
  const refreshS = Math.max(granted / 2, granted - REFRESH_MARGIN_S);
  return [{ type: 'set-timer', ms: refreshS * 1000 }];
}

function pause(state: PublisherState, { retryAfterS = 0 }: PublishAnswer): Action[] {
  state.phase = 'waiting';
  // What it told may not have come through.
  state.changed = true;
  const longest = Math.min(MAX_PAUSE_S, BASE_PAUSE_S * 2 ** state.failures);
  state.failures++;
  const seconds = Math.max(longest * (0.5 + state.chance() / 2), retryAfterS);
  return [{ type: 'set-timer', ms: seconds * 1000 }];
}

function stop(state: PublisherState): Action[] {
  if (isOver(state)) return [];
  state.phase = 'leaving';
  const still: Action[] = [{ type: 'cancel-timer' }];
  return state.pending ? still : [...still, ...leave(state)];
}

/** Removes what is there (§4.5). */
function leave(state: PublisherState): Action[] {
  const { etag } = state;
  if (etag === undefined) return finish(state);
  state.phase = 'removing';
  state.pending = true;
  return [{ type: 'publish', match: etag, body: false, expiresS: 0 }];
}

function finish(state: PublisherState, status?: number): Action[] {
  state.phase = 'ended';
  return [{ type: 'finish', ...(status !== undefined && { status }) }];
}

function isOver({ phase }: PublisherState): boolean {
  return phase === 'leaving' || phase === 'removing' || phase === 'ended';
}
