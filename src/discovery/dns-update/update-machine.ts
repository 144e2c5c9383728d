/**
 * When an update is sent: soon after something has changed, again until it is answered, later after each refusal, from
 * time to time in any case, and once more at the end. Pure.
 */
import type { UpdateAnswer } from './update-message.js';

/** Addresses come and go several at a time. */
export const GATHER_MS = 1000;
/** A datagram may be lost: sent again after so long, then given up. */
export const TRIES_MS: readonly number[] = [2000, 4000, 8000];
/** At the end nobody waits that long. */
const LAST_TRIES_MS: readonly number[] = [1000, 1000];
/** After a refusal, or without any answer: doubling, from half to all of it by chance. */
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 60 * 60_000;
/** Somebody may have taken away what was there. */
export const REFRESH_MS = 60 * 60_000;
/** A clock that is put right by the server's answer is right: where it is not, something else is wrong. */
const CLOCK_ATTEMPTS = 2;

type Phase = 'idle' | 'waiting' | 'asking' | 'last' | 'gone';

export interface UpdateState {
  readonly random: () => number;
  phase: Phase;
  /** What is to be there, as text that differs where that does; undefined: nothing. */
  wanted: string | undefined;
  /** What was sent last. */
  sent: string | undefined;
  /** Whether anything of ours may be there. */
  mayBeThere: boolean;
  tries: number;
  failures: number;
  clocks: number;
  dueAt: number;
}

/** `now` is in milliseconds on one monotonic scale. */
export type UpdateEvent = { readonly now: number } & (
  | { readonly kind: 'want'; readonly content: string }
  | { readonly kind: 'answered'; readonly answer: UpdateAnswer }
  /** It cannot be sent: no route, no such server. */
  | { readonly kind: 'unsent'; readonly reason: string }
  | { readonly kind: 'due' }
  | { readonly kind: 'stop' }
);

export type UpdateAction =
  /** Put there what is wanted, or take away what is there. */
  | { readonly kind: 'send'; readonly what: 'wanted' | 'nothing' }
  | { readonly kind: 'set-clock'; readonly serverTimeS: number }
  | { readonly kind: 'published' }
  /** `NO_ANSWER`, `UNSENT`, or as the server has it. */
  | { readonly kind: 'problem'; readonly code: string; readonly reason: string }
  | { readonly kind: 'gone' };

/** @param random gives numbers in [0, 1) */
export function newUpdateState(random: () => number): UpdateState {
  return {
    random,
    phase: 'idle',
    wanted: undefined,
    sent: undefined,
    mayBeThere: false,
    tries: 0,
    failures: 0,
    clocks: 0,
    dueAt: Number.POSITIVE_INFINITY,
  };
}

export function stepUpdate(state: UpdateState, event: UpdateEvent): UpdateAction[] {
  if (state.phase === 'gone') return [];
  switch (event.kind) {
    case 'want':
      return want(state, event.content, event.now);
    case 'answered':
      return answered(state, event.answer, event.now);
    case 'unsent':
      if (state.phase === 'last') return end(state);
      return state.phase === 'asking' ? fail(state, 'UNSENT', event.reason, event.now) : [];
    case 'due':
      return state.dueAt <= event.now ? due(state, event.now) : [];
    case 'stop':
      if (state.phase === 'last') return [];
      if (!state.mayBeThere) return end(state);
      state.phase = 'last';
      state.tries = 0;
      return send(state, event.now);
  }
}

function want(state: UpdateState, content: string, now: number): UpdateAction[] {
  if (state.phase === 'last' || state.wanted === content) return [];
  state.wanted = content;
  // What is being asked is answered first; what waits after a failure goes on waiting.
  if (state.phase === 'asking' || state.failures > 0) return [];
  state.phase = 'waiting';
  state.dueAt = now + GATHER_MS;
  return [];
}

function due(state: UpdateState, now: number): UpdateAction[] {
  if (state.phase === 'asking' || state.phase === 'last') {
    const times = state.phase === 'last' ? LAST_TRIES_MS : TRIES_MS;
    if (state.tries < times.length) return send(state, now);
    if (state.phase === 'last') return end(state);
    return fail(state, 'NO_ANSWER', 'no answer', now);
  }
  state.phase = 'asking';
  state.tries = 0;
  state.clocks = 0;
  return send(state, now);
}

function send(state: UpdateState, now: number): UpdateAction[] {
  const isLast = state.phase === 'last';
  const times = isLast ? LAST_TRIES_MS : TRIES_MS;
  state.dueAt = now + (times[state.tries] ?? 0);
  state.tries++;
  state.sent = state.wanted;
  state.mayBeThere = true;
  return [{ kind: 'send', what: isLast ? 'nothing' : 'wanted' }];
}

function answered(state: UpdateState, answer: UpdateAnswer, now: number): UpdateAction[] {
  if (state.phase !== 'asking' && state.phase !== 'last') return [];
  if (answer.type === 'clock' && state.clocks < CLOCK_ATTEMPTS) {
    state.clocks++;
    state.tries = 0;
    return [{ kind: 'set-clock', serverTimeS: answer.serverTimeS }, ...send(state, now)];
  }
  if (state.phase === 'last') return end(state);
  switch (answer.type) {
    case 'done':
      state.failures = 0;
      state.phase = 'waiting';
      state.dueAt = now + (state.sent === state.wanted ? REFRESH_MS : GATHER_MS);
      return [{ kind: 'published' }];
    case 'clock':
      return fail(state, 'BADTIME', 'the server finds our clock wrong', now);
    case 'refused':
      return fail(state, answer.code, `the server says ${answer.code}`, now);
  }
}

function fail(state: UpdateState, code: string, reason: string, now: number): UpdateAction[] {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(state.failures, 20));
  state.failures++;
  state.phase = 'waiting';
  state.dueAt = now + pauseMs * (0.5 + state.random() / 2);
  return [{ kind: 'problem', code, reason }];
}

function end(state: UpdateState): UpdateAction[] {
  state.phase = 'gone';
  state.dueAt = Number.POSITIVE_INFINITY;
  return [{ kind: 'gone' }];
}
