/**
 * The digits of one call: by which way they go out, and which of those that come in are new. Pure.
 * Named events (RFC 4733) where both sides have them; else INFO, one after the other; where that is refused, tones.
 */
import type { DigitWay } from '../media/engine.js';

/** How a digit came, or goes. */
export type DigitRoute = DigitWay | 'info';

/** Within this a digit by INFO and the same as a tone are one: INFO is sent when the key is let go, or pressed. */
export const SAME_PRESS_MS = 1000;

export interface DigitsState {
  /** Digits that were asked for and not begun. */
  waiting: string;
  /** What goes out now. */
  sending: DigitRoute | undefined;
  /** The digit in an INFO that is not answered yet. */
  asked: string;
  /** The other side takes no INFO. */
  infoRefused: boolean;
  /** The other side sends INFO: its tones say the same again. */
  infoHeard: boolean;
  /** The tone heard last. */
  lastTone: string;
  lastToneMs: number;
}

export type DigitsEvent =
  /** @param events whether both sides have telephone-event now */
  | { readonly type: 'send'; readonly digits: string; readonly events: boolean }
  /** The leg has sent what it was given. */
  | { readonly type: 'sent'; readonly events: boolean }
  | { readonly type: 'info-answered'; readonly status: number; readonly events: boolean }
  | {
      readonly type: 'heard';
      readonly digit: string;
      readonly by: DigitRoute;
      readonly nowMs: number;
    };

export type DigitsAction =
  | { readonly type: 'play'; readonly digits: string; readonly by: DigitWay }
  | { readonly type: 'info'; readonly digit: string }
  /** Everything that was asked for is sent. */
  | { readonly type: 'done' }
  | { readonly type: 'tell'; readonly digit: string; readonly by: DigitRoute };

export function newDigits(): DigitsState {
  return {
    waiting: '',
    sending: undefined,
    asked: '',
    infoRefused: false,
    infoHeard: false,
    lastTone: '',
    lastToneMs: 0,
  };
}

export function stepDigits(state: DigitsState, event: DigitsEvent): DigitsAction[] {
  switch (event.type) {
    case 'send':
      state.waiting += event.digits;
      return state.sending ? [] : goOn(state, event.events);
    case 'sent':
      if (state.sending === undefined || state.sending === 'info') return [];
      return goOn(state, event.events);
    case 'info-answered':
      if (state.sending !== 'info') return [];
      if (event.status >= 300) {
        state.infoRefused = true;
        state.waiting = state.asked + state.waiting;
      }
      return goOn(state, event.events);
    case 'heard':
      return hear(state, event);
  }
}

function goOn(state: DigitsState, events: boolean): DigitsAction[] {
  const { waiting } = state;
  state.asked = '';
  if (waiting === '') {
    state.sending = undefined;
    return [{ type: 'done' }];
  }
  if (events || state.infoRefused) {
    state.sending = events ? 'events' : 'tones';
    state.waiting = '';
    return [{ type: 'play', digits: waiting, by: state.sending }];
  }
  state.sending = 'info';
  state.asked = waiting.charAt(0);
  state.waiting = waiting.slice(1);
  return [{ type: 'info', digit: state.asked }];
}

function hear(
  state: DigitsState,
  { digit, by, nowMs }: Extract<DigitsEvent, { type: 'heard' }>,
): DigitsAction[] {
  switch (by) {
    case 'events':
      break;
    case 'tones':
      if (state.infoHeard) return [];
      state.lastTone = digit;
      state.lastToneMs = nowMs;
      break;
    case 'info': {
      const first = !state.infoHeard;
      state.infoHeard = true;
      const told = digit === state.lastTone && nowMs - state.lastToneMs < SAME_PRESS_MS;
      if (first && told) return [];
      break;
    }
  }
  return [{ type: 'tell', digit, by }];
}
