/**
 * A call from locating the callee to its end, as the person at this phone knows it.
 * Pure: the driver (`call.ts`) locates, opens media and talks SIP as the actions say.
 */
import type { Location } from '../discovery/locator.js';
import { byDevice } from '../sip/by-device.js';
import {
  type CallEnd,
  callerGaveUp,
  endedLocally,
  endOfStatus,
  mediaLost,
  noAnswer,
  noSuchName,
  unreachable,
} from './call-end.js';
import { branchEnded, type ForkState, newFork } from './fork-machine.js';

/** A located phone that sends not even 100 (RFC 3261 §8.2.6.1) within this time is taken for absent. */
export const TRYING_LIMIT_MS = 8_000;
/** Where a place is only remembered: four INVITEs have gone there (RFC 3261 §17.1.1.2), and it may be elsewhere now. */
export const REMEMBERED_LIMIT_MS = 4_000;
/** Where the same device may be at another place: three INVITEs have gone to this one. */
export const PLACE_LIMIT_MS = 2_000;
/**
 * Not even 100 came within this, for which two INVITEs have gone: whoever said where the phone is is asked whether it is
 * elsewhere now, while we go on trying; again after twice and four times as long.
 */
export const LOOK_AFTER_MS = 1_000;
const MAX_LOOKS = 3;
/** How long a phone rings before the caller, and then the callee, gives up. */
export const RINGING_LIMIT_MS = 120_000;
/** A call that is sent on more often than this runs in circles. */
export const MAX_REDIRECTIONS = 5;
/** How often a call looks whether the other side's voice still comes. */
export const MEDIA_CHECK_MS = 5_000;
/** No RTP for this long where it is expected: the other side is gone. Survives a pulled cable. */
export const MEDIA_LIMIT_MS = 60_000;

export type CallPhase =
  | 'locating'
  /** INVITE on its way to one location. */
  | 'trying'
  /** The phone rings: the far one, or ours for a call that came in. */
  | 'ringing'
  /** We take the call: media opens, the answer is on its way. */
  | 'answering'
  | 'connected'
  | 'ended';

export interface CallState {
  phase: CallPhase;
  readonly direction: 'outgoing' | 'incoming';
  /** As the person dialled it, for messages. */
  readonly target: string;
  /** Where to try next. */
  untried: readonly Location[];
  trying: Location | undefined;
  /** How often it was sent elsewhere (3xx). */
  redirections: number;
  /** While several devices are called at once. */
  fork: ForkState | undefined;
  /** Places came from memory: if nobody is there, whoever remembered them is asked once more. */
  readonly second: { wanted: boolean; end: CallEnd | undefined; readonly tried: Location[] };
  /** Who is one of several devices called at once is looked for again with all of them. */
  readonly mayLook: boolean;
  /** How often it was asked whether who does not answer is elsewhere. */
  looks: number;
}

export type CallTimer = 'trying' | 'look' | 'ringing' | 'media';

export type CallEvent =
  | { readonly type: 'start' }
  | { readonly type: 'located'; readonly locations: readonly Location[] }
  /** Locating, opening media or negotiating failed for good. */
  | { readonly type: 'failed'; readonly end: CallEnd }
  /** The location could not be tried at all: no route to it. */
  | { readonly type: 'location-failed'; readonly location: Location; readonly end: CallEnd }
  /** Somebody is there, and works on it. */
  | { readonly type: 'proceeding' }
  | { readonly type: 'ringing' }
  /** The person here, or a service, takes the call. */
  | { readonly type: 'answer' }
  /** Media is agreed on and flows. */
  | { readonly type: 'connected' }
  /** One of several devices rings, has answered, or will not. */
  | { readonly type: 'branch-ringing'; readonly branch: number }
  | {
      readonly type: 'branch-connected';
      readonly branch: number;
      readonly location: Location | undefined;
    }
  | { readonly type: 'branch-ended'; readonly branch: number; readonly end: CallEnd }
  | {
      readonly type: 'session-ended';
      readonly by: 'local' | 'remote';
      readonly status: number;
      readonly reason: string;
      /** Where a redirection says to try instead. */
      readonly locations: readonly Location[];
    }
  | { readonly type: 'hang-up' }
  | { readonly type: 'refuse'; readonly status: number }
  /** Voice was last heard this long ago (undefined: not expected now). */
  | { readonly type: 'media-silence'; readonly ms: number | undefined }
  | { readonly type: 'timer'; readonly timer: CallTimer };

export type CallAction =
  | { readonly type: 'locate' }
  | { readonly type: 'try'; readonly location: Location }
  /** Call these devices at once, each at its places in turn. */
  | { readonly type: 'fork'; readonly branches: readonly (readonly Location[])[] }
  /** The call goes on as this branch; the others are called no more. */
  | { readonly type: 'adopt'; readonly branch: number }
  | { readonly type: 'end-branches' }
  /** Send 180. */
  | { readonly type: 'ring' }
  /** Open media and answer. */
  | { readonly type: 'accept' }
  /** End the SIP session, if there is one, the way its state asks for. */
  | { readonly type: 'end-session' }
  | { readonly type: 'reject'; readonly status: number }
  | { readonly type: 'check-media' }
  | { readonly type: 'set-timer'; readonly timer: CallTimer; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: CallTimer }
  /** Tell the phase to whoever watches. */
  | { readonly type: 'tell' }
  /** Close media and tell the end; last of all actions. */
  | { readonly type: 'finish'; readonly end: CallEnd };

export function outgoingCall(target: string, mayLook = true): CallState {
  return {
    phase: 'locating',
    direction: 'outgoing',
    target,
    untried: [],
    trying: undefined,
    redirections: 0,
    fork: undefined,
    second: { wanted: false, end: undefined, tried: [] },
    mayLook,
    looks: 0,
  };
}

export function incomingCall(target: string): CallState {
  return {
    phase: 'ringing',
    direction: 'incoming',
    target,
    untried: [],
    trying: undefined,
    redirections: 0,
    fork: undefined,
    second: { wanted: false, end: undefined, tried: [] },
    mayLook: false,
    looks: 0,
  };
}

export function stepCall(call: CallState, event: CallEvent): CallAction[] {
  if (call.phase === 'ended') return [];
  switch (event.type) {
    case 'start':
      return call.direction === 'outgoing' ? [{ type: 'locate' }] : [];
    case 'located':
      if (call.phase === 'locating') return located(call, event.locations);
      return call.phase === 'trying' ? elsewhere(call, event.locations) : [];
    case 'location-failed':
      // One that was given up before may still fail: that is no news.
      if (call.phase !== 'trying' || call.trying !== event.location) return [];
      return tryNext(call, event.end);
    case 'failed':
      return finish(call, event.end, { type: 'end-session' });
    case 'proceeding':
      // A gateway may take long to ring: from here on it has as long as ringing has.
      if (call.phase !== 'trying') return [];
      return [...heardOf, ringingLimit];
    case 'ringing':
      return ringing(call);
    case 'answer':
      if (call.phase !== 'ringing' || call.direction !== 'incoming') return [];
      call.phase = 'answering';
      return [{ type: 'cancel-timer', timer: 'ringing' }, { type: 'accept' }];
    case 'connected':
      return connected(call);
    case 'branch-ringing':
      if (!call.fork || call.phase !== 'trying') return [];
      call.phase = 'ringing';
      return [{ type: 'tell' }];
    case 'branch-connected':
      if (!call.fork) return [];
      call.fork = undefined;
      call.trying = event.location;
      return [
        { type: 'adopt', branch: event.branch },
        { type: 'end-branches' },
        ...connected(call),
      ];
    case 'branch-ended':
      return call.fork ? oneLess(call, call.fork, event.branch, event.end) : [];
    case 'session-ended':
      return sessionEnded(call, event);
    case 'hang-up':
      return finish(call, endedLocally(), { type: 'end-session' });
    case 'refuse':
      return finish(call, endedLocally(), { type: 'reject', status: event.status });
    case 'media-silence': {
      const again: CallAction = { type: 'set-timer', timer: 'media', ms: MEDIA_CHECK_MS };
      if ((event.ms ?? 0) < MEDIA_LIMIT_MS) return [again];
      return finish(call, mediaLost(), { type: 'end-session' });
    }
    case 'timer':
      return onTimer(call, event.timer);
  }
}

function located(call: CallState, found: readonly Location[]): CallAction[] {
  const { second } = call;
  const locations = found.filter(place => !second.tried.some(tried => isSame(tried, place)));
  const isFirst = second.end === undefined;
  second.wanted = isFirst && locations.some(({ remembered }) => remembered);
  if (second.wanted) second.tried.push(...locations);
  const branches = byDevice(locations);
  if (branches.length < 2) {
    call.untried = locations;
    return tryNext(call, second.end ?? noSuchName(call.target));
  }
  call.phase = 'trying';
  call.trying = undefined;
  call.fork = newFork(branches.length);
  return [{ type: 'tell' }, { type: 'fork', branches }];
}

/** Where else whom we are trying may be, as is said by now. Of others we know already, or hear when they are tried. */
function elsewhere(call: CallState, found: readonly Location[]): CallAction[] {
  const { trying, untried, second } = call;
  if (!trying) return [];
  const known = [...untried, ...second.tried];
  const places = found.filter(place => !known.some(each => isSame(each, place)));
  if (places.length === 0) return lookLater(call);
  // Another device of the person is no reason to give this one up.
  const hasMoved = places.some(({ device }) => device === trying.device);
  call.untried = [...places, ...untried, ...(hasMoved ? [] : [trying])];
  return [{ type: 'end-session' }, ...tryNext(call, unreachable(call.target, trying.endpoint))];
}

function lookLater(call: CallState): CallAction[] {
  if (!call.mayLook || !call.trying?.unreached || call.looks >= MAX_LOOKS) return [];
  return [{ type: 'set-timer', timer: 'look', ms: LOOK_AFTER_MS * 2 ** call.looks }];
}

function isSame(one: Location, other: Location): boolean {
  return (
    one.endpoint.address === other.endpoint.address &&
    one.endpoint.port === other.endpoint.port &&
    one.uri.user === other.uri.user
  );
}

function tryNext(call: CallState, otherwise: CallEnd): CallAction[] {
  const [location, ...untried] = call.untried;
  if (!location) return lookAgain(call, otherwise) ?? finish(call, otherwise);
  call.phase = 'trying';
  call.untried = untried;
  call.trying = location;
  call.looks = 0;
  call.second.tried.push(location);
  return [
    { type: 'tell' },
    { type: 'cancel-timer', timer: 'ringing' },
    { type: 'set-timer', timer: 'trying', ms: limitOf(location, untried) },
    ...lookLater(call),
    { type: 'try', location },
  ];
}

function limitOf({ device, remembered }: Location, others: readonly Location[]): number {
  const isInLine = device !== undefined && others.some(other => other.device === device);
  if (isInLine) return PLACE_LIMIT_MS;
  return remembered ? REMEMBERED_LIMIT_MS : TRYING_LIMIT_MS;
}

/** Nobody was where they were last known to be: where are they now? */
function lookAgain(call: CallState, end: CallEnd): CallAction[] | undefined {
  const { second } = call;
  if (!second.wanted) return undefined;
  second.wanted = false;
  second.end = end;
  call.phase = 'locating';
  call.trying = undefined;
  return [...heardOf, { type: 'cancel-timer', timer: 'ringing' }, { type: 'locate' }];
}

function oneLess(call: CallState, fork: ForkState, branch: number, ended: CallEnd): CallAction[] {
  const outcome = branchEnded(fork, branch, ended);
  if (outcome.type === 'goes-on') return [];
  call.fork = undefined;
  const again = outcome.type === 'unreached' ? lookAgain(call, outcome.end) : undefined;
  return again ?? finish(call, outcome.end, { type: 'end-branches' });
}

function connected(call: CallState): CallAction[] {
  if (call.phase === 'connected') return [];
  call.phase = 'connected';
  return [
    ...heardOf,
    { type: 'cancel-timer', timer: 'ringing' },
    { type: 'set-timer', timer: 'media', ms: MEDIA_CHECK_MS },
    { type: 'tell' },
  ];
}

/** Somebody is there, or nobody is waited for. */
const heardOf: readonly CallAction[] = [
  { type: 'cancel-timer', timer: 'trying' },
  { type: 'cancel-timer', timer: 'look' },
];

const ringingLimit: CallAction = { type: 'set-timer', timer: 'ringing', ms: RINGING_LIMIT_MS };

function ringing(call: CallState): CallAction[] {
  if (call.direction === 'incoming') {
    return call.phase === 'ringing' ? [{ type: 'ring' }, ringingLimit, { type: 'tell' }] : [];
  }
  // A second 180 does not restart the wait.
  if (call.phase !== 'trying') return [];
  call.phase = 'ringing';
  return [...heardOf, ringingLimit, { type: 'tell' }];
}

function sessionEnded(
  call: CallState,
  { by, status, reason, locations }: Extract<CallEvent, { type: 'session-ended' }>,
): CallAction[] {
  const end = endOfStatus(call.target, by, status, reason, call.phase === 'connected');
  if (call.direction !== 'outgoing') {
    const gaveUp = by === 'remote' && status === 487;
    return finish(call, gaveUp ? callerGaveUp(call.target) : end);
  }
  const unanswered = call.phase === 'trying' || call.phase === 'ringing';
  if (unanswered && locations.length > 0 && call.redirections < MAX_REDIRECTIONS) {
    call.redirections++;
    call.untried = [...locations, ...call.untried];
    return tryNext(call, end);
  }
  // Nobody there, or out of order: another place may do better (RFC 3263 §4.3).
  if (call.phase === 'trying' && (status === 408 || status === 503)) return tryNext(call, end);
  return finish(call, end);
}

function onTimer(call: CallState, timer: CallTimer): CallAction[] {
  switch (timer) {
    case 'trying': {
      if (call.phase !== 'trying' || !call.trying) return [];
      const nobody = unreachable(call.target, call.trying.endpoint);
      return [{ type: 'end-session' }, ...tryNext(call, nobody)];
    }
    case 'look':
      if (call.phase !== 'trying' || !call.trying) return [];
      call.looks++;
      return [{ type: 'locate' }];
    case 'ringing':
      if (call.phase !== 'ringing' && call.phase !== 'trying') return [];
      return call.direction === 'outgoing'
        ? finish(call, noAnswer(call.target), { type: 'end-session' })
        : finish(call, noAnswer(call.target), { type: 'reject', status: 480 });
    case 'media':
      return call.phase === 'connected' ? [{ type: 'check-media' }] : [];
  }
}

function finish(call: CallState, end: CallEnd, first?: CallAction): CallAction[] {
  call.phase = 'ended';
  call.fork = undefined;
  const timers: readonly CallTimer[] = ['trying', 'look', 'ringing', 'media'];
  return [
    ...timers.map((timer): CallAction => ({ type: 'cancel-timer', timer })),
    ...(first ? [first] : []),
    { type: 'finish', end },
  ];
}
