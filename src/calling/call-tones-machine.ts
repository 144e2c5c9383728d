/**
 * Which tone the person at this phone hears of a call they make, and when. Pure. The network's own tones and
 * announcements come before ours: as soon as something is heard from there, ours is silent (RFC 3960 §3.2).
 */
import type { CallEndCode } from './call-end.js';
import type { CountryTones } from './country-tones.js';

export type ToneName = Exclude<keyof CountryTones, 'country' | 'ring'>;

/** How long the tone at the end of a call is heard, unless the person has hung up. */
export const END_TONE_MS = 3000;

export interface ToneState {
  phase: 'calling' | 'early' | 'talking' | 'ended' | 'over';
  playing: ToneName | undefined;
}

export type ToneEvent =
  | { readonly type: 'ringing' }
  /** It is tried somewhere else. */
  | { readonly type: 'trying' }
  /** Sound comes from the other side, before or after it takes the call. */
  | { readonly type: 'voice' }
  | { readonly type: 'connected' }
  /** Another call waits, or waits no more. */
  | { readonly type: 'waiting'; readonly waits: boolean }
  | { readonly type: 'ended'; readonly code: CallEndCode }
  /** The tone at the end has been heard for long enough, or the person does not listen any more. */
  | { readonly type: 'enough' };

export type ToneAction =
  | { readonly type: 'play'; readonly tone: ToneName }
  | { readonly type: 'stop' }
  | { readonly type: 'set-timer'; readonly ms: number }
  /** The other side is heard from now on. */
  | { readonly type: 'listen' }
  | { readonly type: 'over' };

export function newTones(): ToneState {
  return { phase: 'calling', playing: undefined };
}

export function stepTones(state: ToneState, event: ToneEvent): ToneAction[] {
  switch (event.type) {
    case 'ringing':
      // A second 180 does not restart the ringback tone, and none sounds over what the network says.
      return state.phase === 'calling' ? play(state, 'ringback') : [];
    case 'trying':
      if (state.phase !== 'calling' && state.phase !== 'early') return [];
      state.phase = 'calling';
      return play(state, undefined);
    case 'voice':
      if (state.phase !== 'calling') return [];
      state.phase = 'early';
      return [...play(state, undefined), { type: 'listen' }];
    case 'connected':
      if (state.phase !== 'calling' && state.phase !== 'early') return [];
      state.phase = 'talking';
      return [...play(state, undefined), { type: 'listen' }];
    case 'waiting':
      return state.phase === 'talking' ? play(state, event.waits ? 'waiting' : undefined) : [];
    case 'ended':
      return ended(state, event.code);
    case 'enough':
      return state.phase === 'ended' ? over(state) : [];
  }
}

function ended(state: ToneState, code: CallEndCode): ToneAction[] {
  if (state.phase === 'ended' || state.phase === 'over') return [];
  const tone = toneOf(code);
  if (!tone) return over(state);
  state.phase = 'ended';
  return [...play(state, tone), { type: 'set-timer', ms: END_TONE_MS }];
}

/** Nothing where the person here knows: they hung up. */
function toneOf(code: CallEndCode): ToneName | undefined {
  switch (code) {
    case 'HUNG_UP':
      return undefined;
    case 'BUSY':
    case 'REFUSED':
    case 'REMOTE_HUNG_UP':
      return 'busy';
    case 'NO_SUCH_NAME':
      return 'information';
    case 'NO_ROUTE':
    case 'UNREACHABLE':
    case 'NO_ANSWER':
    case 'NO_COMMON_CODEC':
    case 'MEDIA_LOST':
    case 'FAILED':
      return 'congestion';
  }
}

function over(state: ToneState): ToneAction[] {
  state.phase = 'over';
  return [...play(state, undefined), { type: 'over' }];
}

function play(state: ToneState, tone: ToneName | undefined): ToneAction[] {
  if (tone === state.playing) return [];
  state.playing = tone;
  return tone ? [{ type: 'play', tone }] : [{ type: 'stop' }];
}
