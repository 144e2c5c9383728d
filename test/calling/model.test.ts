/**
 * Every state a call and a registration can reach, and every event in each, against tables one can read
 * beside the RFC; `test/harness/explore.ts` says how.
 */

import { isSipUri, parseUri } from '@sip-stack/parser';
import t from 'tap';
import type { CallEnd } from '../../src/calling/call-end.js';
import {
  type CallAction,
  type CallEvent,
  type CallState,
  type CallTimer,
  incomingCall,
  MAX_REDIRECTIONS,
  MEDIA_LIMIT_MS,
  outgoingCall,
  stepCall,
} from '../../src/calling/call-machine.js';
import {
  newRegistration,
  type RegistrationAction,
  type RegistrationAnswer,
  type RegistrationEvent,
  type RegistrationState,
  stepRegistration,
} from '../../src/calling/registration-machine.js';
import type { Location } from '../../src/discovery/locator.js';
import { explore, sameTable } from '../harness/explore.js';

/** Asked for at first, in seconds, and what a registrar demands. */
const ASKED_S = 600;
const MORE_S = 1800;

const CALL = `
out locating: start: locate
out locating: located nowhere: -> out ended finish FAILED | -> out ended finish NO_ROUTE | -> out ended finish NO_SUCH_NAME | -> out ended finish UNREACHABLE
out locating: located at one place, located at two: -> out ended finish FAILED | -> out ended finish NO_ROUTE | -> out ended finish UNREACHABLE | -> out trying tell +trying try
out locating: remembered at one place: -> out ended finish FAILED | -> out ended finish NO_ROUTE | -> out ended finish UNREACHABLE | -> out trying tell +trying +look try
out locating: located at two devices, remembered at two devices: -> out ended finish FAILED | -> out ended finish NO_ROUTE | -> out ended finish UNREACHABLE | -> out trying at several tell fork
out locating: failed: -> out ended end-session finish FAILED
out locating: hang up: -> out ended end-session finish HUNG_UP
out locating: refuse: -> out ended reject 486 finish HUNG_UP
out locating: - an earlier location failed, answer
out locating: ! one rings, one answers, one is busy, one is not there, one declines, location failed, proceeding, ringing, connected, refused 486, no answer 408, out of order 503, sent elsewhere 302, BYE 200, ended here, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer ringing, timer media
in ringing: failed: -> in ended end-session finish FAILED
in ringing: ringing: ring +ringing tell
in ringing: answer: -> in answering accept
in ringing: connected: -> in connected +media tell
in ringing: refused 486: -> in ended finish BUSY
in ringing: no answer 408: -> in ended finish UNREACHABLE
in ringing: out of order 503: -> in ended finish NO_ROUTE
in ringing: sent elsewhere 302: -> in ended finish FAILED
in ringing: BYE 200: -> in ended finish REMOTE_HUNG_UP
in ringing: ended here: -> in ended finish HUNG_UP
in ringing: hang up: -> in ended end-session finish HUNG_UP
in ringing: refuse: -> in ended reject 486 finish HUNG_UP
in ringing: timer ringing: -> in ended reject 480 finish NO_ANSWER
in ringing: - an earlier location failed, proceeding
in ringing: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, one rings, one answers, one is busy, one is not there, one declines, location failed, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer media
out ended: - start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, failed, location failed, an earlier location failed, proceeding, ringing, answer, connected, refused 486, no answer 408, out of order 503, sent elsewhere 302, BYE 200, ended here, hang up, refuse, voice is heard, no voice expected, no voice for long
out ended: ! one rings, one answers, one is busy, one is not there, one declines, timer trying, timer look, timer ringing, timer media
in ended: - failed, an earlier location failed, proceeding, ringing, answer, connected, refused 486, no answer 408, out of order 503, sent elsewhere 302, BYE 200, ended here, hang up, refuse, voice is heard, no voice expected, no voice for long
in ended: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, one rings, one answers, one is busy, one is not there, one declines, location failed, timer trying, timer look, timer ringing, timer media
in answering: failed: -> in ended end-session finish FAILED
in answering: connected: -> in connected +media tell
in answering: refused 486: -> in ended finish BUSY
in answering: no answer 408: -> in ended finish UNREACHABLE
in answering: out of order 503: -> in ended finish NO_ROUTE
in answering: sent elsewhere 302: -> in ended finish FAILED
in answering: BYE 200: -> in ended finish REMOTE_HUNG_UP
in answering: ended here: -> in ended finish HUNG_UP
in answering: hang up: -> in ended end-session finish HUNG_UP
in answering: refuse: -> in ended reject 486 finish HUNG_UP
in answering: - an earlier location failed, proceeding, ringing, answer
in answering: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, one rings, one answers, one is busy, one is not there, one declines, location failed, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer ringing, timer media
in connected: failed: -> in ended end-session finish FAILED
in connected: refused 486, out of order 503, sent elsewhere 302, BYE 200: -> in ended finish REMOTE_HUNG_UP
in connected: no answer 408: -> in ended finish UNREACHABLE
in connected: ended here: -> in ended finish HUNG_UP
in connected: hang up: -> in ended end-session finish HUNG_UP
in connected: refuse: -> in ended reject 486 finish HUNG_UP
in connected: voice is heard, no voice expected: +media
in connected: no voice for long: -> in ended end-session finish MEDIA_LOST
in connected: timer media: check-media
in connected: - an earlier location failed, proceeding, ringing, answer, connected
in connected: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, one rings, one answers, one is busy, one is not there, one declines, location failed, timer trying, timer look, timer ringing
out trying: located nowhere, remembered at one place, remembered at two devices: +look | nothing
out trying: located at one place, located at two, located at two devices: end-session tell +trying try | nothing
out trying: failed: -> out ended end-session finish FAILED
out trying: location failed: -> out ended finish FAILED | -> out locating locate | tell +trying try
out trying: proceeding: +ringing
out trying: ringing: -> out ringing +ringing tell
out trying: connected: -> out connected +media tell
out trying: refused 486: -> out ended finish BUSY
out trying: no answer 408: -> out ended finish UNREACHABLE | -> out locating locate | tell +trying try
out trying: out of order 503: -> out ended finish NO_ROUTE | -> out locating locate | tell +trying try
out trying: sent elsewhere 302: -> out ended finish FAILED | tell +trying try
out trying: BYE 200: -> out ended finish REMOTE_HUNG_UP
out trying: ended here: -> out ended finish HUNG_UP
out trying: hang up: -> out ended end-session finish HUNG_UP
out trying: refuse: -> out ended reject 486 finish HUNG_UP
out trying: timer trying: -> out ended end-session finish UNREACHABLE | -> out locating end-session locate | end-session tell +trying try
out trying: timer look: locate
out trying: timer ringing: -> out ended end-session finish NO_ANSWER
out trying: - an earlier location failed, answer
out trying: ! start, one rings, one answers, one is busy, one is not there, one declines, voice is heard, no voice expected, no voice for long, timer media
out trying at several: one rings: -> out ringing at several tell
out trying at several: one answers: -> out connected adopt end-branches +media tell
out trying at several: one is busy: -> out ended end-branches finish BUSY | nothing
out trying at several: one is not there: -> out ended end-branches finish BUSY | -> out ended end-branches finish UNREACHABLE | -> out locating locate | nothing
out trying at several: one declines: -> out ended end-branches finish REFUSED
out trying at several: failed: -> out ended end-session finish FAILED
out trying at several: hang up: -> out ended end-session finish HUNG_UP
out trying at several: refuse: -> out ended reject 486 finish HUNG_UP
out trying at several: - an earlier location failed, answer
out trying at several: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, location failed, proceeding, ringing, connected, refused 486, no answer 408, out of order 503, sent elsewhere 302, BYE 200, ended here, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer ringing, timer media
out ringing: failed: -> out ended end-session finish FAILED
out ringing: connected: -> out connected +media tell
out ringing: refused 486: -> out ended finish BUSY
out ringing: no answer 408: -> out ended finish UNREACHABLE
out ringing: out of order 503: -> out ended finish NO_ROUTE
out ringing: sent elsewhere 302: -> out ended finish FAILED | -> out trying tell +trying try
out ringing: BYE 200: -> out ended finish REMOTE_HUNG_UP
out ringing: ended here: -> out ended finish HUNG_UP
out ringing: hang up: -> out ended end-session finish HUNG_UP
out ringing: refuse: -> out ended reject 486 finish HUNG_UP
out ringing: timer ringing: -> out ended end-session finish NO_ANSWER
out ringing: - located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, location failed, an earlier location failed, proceeding, ringing, answer
out ringing: ! start, one rings, one answers, one is busy, one is not there, one declines, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer media
out connected: failed: -> out ended end-session finish FAILED
out connected: refused 486, out of order 503, sent elsewhere 302, BYE 200: -> out ended finish REMOTE_HUNG_UP
out connected: no answer 408: -> out ended finish UNREACHABLE
out connected: ended here: -> out ended finish HUNG_UP
out connected: hang up: -> out ended end-session finish HUNG_UP
out connected: refuse: -> out ended reject 486 finish HUNG_UP
out connected: voice is heard, no voice expected: +media
out connected: no voice for long: -> out ended end-session finish MEDIA_LOST
out connected: timer media: check-media
out connected: - located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, location failed, an earlier location failed, proceeding, ringing, answer, connected
out connected: ! start, one rings, one answers, one is busy, one is not there, one declines, timer trying, timer look, timer ringing
out ringing at several: one answers: -> out connected adopt end-branches +media tell
out ringing at several: one is busy: -> out ended end-branches finish BUSY | nothing
out ringing at several: one is not there: -> out ended end-branches finish BUSY | -> out ended end-branches finish UNREACHABLE | -> out locating locate | nothing
out ringing at several: one declines: -> out ended end-branches finish REFUSED
out ringing at several: failed: -> out ended end-session finish FAILED
out ringing at several: hang up: -> out ended end-session finish HUNG_UP
out ringing at several: refuse: -> out ended reject 486 finish HUNG_UP
out ringing at several: - one rings, an earlier location failed, answer
out ringing at several: ! start, located nowhere, located at one place, located at two, remembered at one place, located at two devices, remembered at two devices, location failed, proceeding, ringing, connected, refused 486, no answer 408, out of order 503, sent elsewhere 302, BYE 200, ended here, voice is heard, no voice expected, no voice for long, timer trying, timer look, timer ringing, timer media
`;

const REGISTRATION = `
idle: start: -> registering register
idle: stop: -> stopped tell
idle: - network changed, flow lost, moved
idle: ! granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503, timer
registering: granted: -> registered +timer tell | register
registering: too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503: -> failed +timer tell | register
registering: stop: -> about to leave
registering: - start, network changed, flow lost, moved
registering: ! timer
stopped: stop: tell
stopped: - start, granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503, network changed, flow lost, moved
stopped: ! timer
registered: timer, network changed: -> refreshing register
registered: flow lost: -> failed +timer tell | -> registering register
registered: moved: -> refreshing register | nothing
registered: stop: -> leaving remove
registered: - start
registered: ! granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503
failed: timer, network changed: -> registering register
failed: stop: -> stopped tell
failed: - start, flow lost, moved
failed: ! granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503
about to leave: granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503: -> leaving remove
about to leave: stop: -> stopped tell
about to leave: - start, network changed, flow lost, moved
about to leave: ! timer
refreshing: granted: -> registered +timer tell | register
refreshing: too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503: -> failed +timer tell | register
refreshing: stop: -> about to leave
refreshing: - start, network changed, flow lost, moved
refreshing: ! timer
leaving: granted, too brief, 423 with more, too brief, 423 with less, refused 403, no flows 439, come back in an hour 503, stop: -> stopped tell
leaving: - start, network changed, flow lost, moved
leaving: ! timer
`;

interface CallModel {
  call: CallState;
  started: boolean;
  /** The locator has been asked and has not answered. */
  locating: boolean;
  /** An INVITE is on its way, or came in, and its session has not ended. */
  session: boolean;
  /** Somebody looks whether voice comes. */
  checking: boolean;
  timers: Set<CallTimer>;
  finished: boolean;
}

const uri = parseUri('sip:kitchen@192.0.2.7');
if (!isSipUri(uri)) throw new Error('expected a SIP URI');
const location: Location = { uri, endpoint: { address: '192.0.2.7', port: 5060 }, source: 'test' };
const earlier: Location = { ...location };
const remembered: Location = {
  ...location,
  endpoint: { address: '192.0.2.8', port: 5060 },
  remembered: true,
  unreached: () => undefined,
};
const end = { code: 'FAILED', message: 'it failed' } as const;

const always = (event: CallEvent) => () => event;
const ofSession =
  (event: CallEvent) =>
  ({ session }: CallModel): CallEvent | undefined =>
    session ? event : undefined;
const ended = (by: 'local' | 'remote', status: number, locations: Location[] = []) =>
  ofSession({ type: 'session-ended', by, status, reason: 'over', locations });
const silence =
  (ms: number | undefined) =>
  ({ checking }: CallModel): CallEvent | undefined =>
    checking ? { type: 'media-silence', ms } : undefined;
const located =
  (count: number) =>
  (model: CallModel): CallEvent | undefined =>
    model.locating
      ? { type: 'located', locations: Array<Location>(count).fill(location) }
      : undefined;
const locatedAs =
  (...locations: Location[]) =>
  ({ locating }: CallModel): CallEvent | undefined =>
    locating ? { type: 'located', locations } : undefined;
const ofBranch =
  (event: (branch: number) => CallEvent) =>
  ({ call }: CallModel): CallEvent | undefined => {
    const [branch] = call.fork?.open ?? [];
    return branch === undefined ? undefined : event(branch);
  };
const branchEnds = (code: CallEnd['code'], status: number) =>
  ofBranch(branch => ({ type: 'branch-ended', branch, end: { code, status, message: code } }));
const fires =
  (timer: CallTimer) =>
  (model: CallModel): CallEvent | undefined =>
    model.timers.has(timer) ? { type: 'timer', timer } : undefined;

const callEvents = {
  start: (model: CallModel): CallEvent | undefined =>
    model.started ? undefined : { type: 'start' },
  'located nowhere': located(0),
  'located at one place': located(1),
  'located at two': located(2),
  'remembered at one place': locatedAs(remembered),
  'located at two devices': locatedAs({ ...location, device: 'a' }, { ...location, device: 'b' }),
  'remembered at two devices': locatedAs(
    { ...remembered, device: 'a' },
    { ...remembered, device: 'b' },
  ),
  'one rings': ofBranch(branch => ({ type: 'branch-ringing', branch })),
  'one answers': ofBranch(branch => ({ type: 'branch-connected', branch, location })),
  'one is busy': branchEnds('BUSY', 486),
  'one is not there': branchEnds('UNREACHABLE', 408),
  'one declines': branchEnds('REFUSED', 603),
  failed: always({ type: 'failed', end }),
  'location failed': ({ call }: CallModel): CallEvent | undefined =>
    call.trying && { type: 'location-failed', location: call.trying, end },
  'an earlier location failed': always({ type: 'location-failed', location: earlier, end }),
  proceeding: ofSession({ type: 'proceeding' }),
  ringing: ofSession({ type: 'ringing' }),
  answer: always({ type: 'answer' }),
  connected: ofSession({ type: 'connected' }),
  'refused 486': ended('remote', 486),
  'no answer 408': ended('remote', 408),
  'out of order 503': ended('remote', 503),
  'sent elsewhere 302': ended('remote', 302, [location]),
  'BYE 200': ended('remote', 200),
  'ended here': ended('local', 487),
  'hang up': always({ type: 'hang-up' }),
  refuse: always({ type: 'refuse', status: 486 }),
  'voice is heard': silence(0),
  'no voice expected': silence(undefined),
  'no voice for long': silence(MEDIA_LIMIT_MS),
  'timer trying': fires('trying'),
  'timer look': fires('look'),
  'timer ringing': fires('ringing'),
  'timer media': fires('media'),
};

function briefCall(action: CallAction): string | undefined {
  switch (action.type) {
    case 'set-timer':
      return `+${action.timer}`;
    case 'cancel-timer':
      return undefined;
    case 'reject':
      return `reject ${action.status}`;
    case 'finish':
      return `finish ${action.end.code}`;
    default:
      return action.type;
  }
}

function modelOf(call: CallState): CallModel {
  const incoming = call.direction === 'incoming';
  return {
    call,
    started: incoming,
    locating: false,
    session: incoming,
    checking: false,
    timers: new Set(),
    finished: false,
  };
}

t.test('calls', async t => {
  const walk = explore<CallModel, CallEvent, CallAction>({
    types: {
      start: true,
      located: true,
      failed: true,
      'location-failed': true,
      proceeding: true,
      ringing: true,
      answer: true,
      connected: true,
      'branch-ringing': true,
      'branch-connected': true,
      'branch-ended': true,
      'session-ended': true,
      'hang-up': true,
      refuse: true,
      'media-silence': true,
      timer: true,
    },
    starts: [modelOf(outgoingCall('kitchen')), modelOf(incomingCall('anna'))],
    events: callEvents,
    copy: model => {
      const { fork, second } = model.call;
      const call = {
        ...model.call,
        second: { ...second, tried: [...second.tried] },
        fork: fork && { open: new Set(fork.open), ends: [...fork.ends] },
      };
      return { ...model, call, timers: new Set(model.timers) };
    },
    step: (model, event) => {
      const actions = stepCall(model.call, event);
      model.started ||= event.type === 'start';
      model.locating &&= event.type !== 'located';
      model.session &&= event.type !== 'session-ended';
      model.checking &&= event.type !== 'media-silence';
      if (event.type === 'timer') model.timers.delete(event.timer);
      for (const action of actions) {
        if (action.type === 'set-timer') model.timers.add(action.timer);
        if (action.type === 'cancel-timer') model.timers.delete(action.timer);
        if (action.type === 'locate') {
          model.locating = true;
          // Where it was tried before, nothing is left of it, unless it goes on meanwhile.
          model.session &&= model.call.phase === 'trying';
        }
        if (action.type === 'try' || action.type === 'adopt') model.session = true;
        if (action.type === 'check-media') model.checking = true;
        if (action.type === 'finish') model.finished = true;
      }
      return actions;
    },
    key: ({ call, started, locating, session, checking, timers }) => {
      const { direction, phase, untried, redirections, fork, second, looks } = call;
      return [
        direction,
        phase,
        ...(fork ? ['fork', ...fork.open, ...fork.ends.map(({ code }) => code)] : []),
        second.wanted,
        second.end?.code,
        untried.length,
        redirections,
        looks,
        started,
        locating,
        session,
        checking,
        ...[...timers].sort(),
      ].join();
    },
    mode: ({ call }) =>
      `${call.direction === 'outgoing' ? 'out' : 'in'} ${call.phase}${call.fork ? ' at several' : ''}`,
    brief: briefCall,
    check: ({ before, actions, after }) => {
      if (before.finished && actions.length > 0) throw new Error('something is done after the end');
      const finishes = actions.filter(({ type }) => type === 'finish').length;
      const over = after.call.phase === 'ended' && before.call.phase !== 'ended';
      if (finishes !== (over ? 1 : 0)) throw new Error(`${finishes} ends told`);
      if (over && actions.at(-1)?.type !== 'finish') throw new Error('the end is not the last');
      if (after.finished && after.timers.size > 0) throw new Error('a timer is left');
      if (after.call.redirections > MAX_REDIRECTIONS) throw new Error('it runs in circles');
    },
  });
  sameTable(t, walk, CALL);
});

// ---- registration

interface RegistrationModel {
  registration: RegistrationState;
  timer: boolean;
  /** REGISTERs that were not answered yet. */
  asked: number;
}

const answered =
  (status: number, more: Partial<RegistrationAnswer> = {}) =>
  ({ asked }: RegistrationModel): RegistrationEvent | undefined =>
    asked > 0 ? { type: 'answer', answer: { status, reason: '', ...more } } : undefined;

const registrationEvents = {
  start: () => ({ type: 'start' }) as const,
  granted: answered(200),
  'too brief, 423 with more': answered(423, { minExpiresS: MORE_S }),
  'too brief, 423 with less': answered(423, { minExpiresS: 1 }),
  'refused 403': answered(403),
  'no flows 439': answered(439),
  'come back in an hour 503': answered(503, { retryAfterS: 3600 }),
  timer: ({ timer }: RegistrationModel) => (timer ? ({ type: 'timer' } as const) : undefined),
  'network changed': () => ({ type: 'network-changed' }) as const,
  'flow lost': () => ({ type: 'flow-lost', reason: 'closed' }) as const,
  moved: () => ({ type: 'moved' }) as const,
  stop: () => ({ type: 'stop' }) as const,
};

t.test('registrations', async t => {
  const walk = explore<RegistrationModel, RegistrationEvent, RegistrationAction>({
    types: {
      start: true,
      answer: true,
      timer: true,
      'network-changed': true,
      'flow-lost': true,
      moved: true,
      stop: true,
    },
    starts: [{ registration: newRegistration(ASKED_S, () => 0), timer: false, asked: 0 }],
    events: registrationEvents,
    copy: model => ({ ...model, registration: { ...model.registration } }),
    step: (model, event) => {
      const actions = stepRegistration(model.registration, event);
      if (event.type === 'answer') model.asked--;
      if (event.type === 'timer') model.timer = false;
      for (const action of actions) {
        if (action.type === 'register') model.asked++;
        if (action.type === 'set-timer') model.timer = true;
        if (action.type === 'cancel-timer') model.timer = false;
      }
      // From half an hour on, the pause grows no more.
      model.registration.failures = Math.min(model.registration.failures, 8);
      model.registration.lostFlows = Math.min(model.registration.lostFlows, 10);
      return actions;
    },
    key: ({ registration, timer, asked }) => {
      const { phase, expiresS, pending, failures, again, outbound } = registration;
      const { lostFlows, moves, refreshing, soon } = registration;
      const counts = [failures, lostFlows, moves, asked, soon];
      return [phase, expiresS, pending, again, outbound, refreshing, timer, ...counts].join();
    },
    mode: ({ registration: { phase, pending } }) => {
      if (phase === 'registered' && pending) return 'refreshing';
      return phase === 'leaving' && pending === 'binding' ? 'about to leave' : phase;
    },
    brief: action => {
      if (action.type === 'register') return action.expiresS === 0 ? 'remove' : 'register';
      return action.type === 'set-timer' ? '+timer' : action.type === 'tell' ? 'tell' : undefined;
    },
    check: ({ after: { registration, timer, asked } }) => {
      const { phase } = registration;
      if (asked > 1) throw new Error('a REGISTER before the last was answered (RFC 3261 §10.2)');
      const waits = phase === 'registered' || phase === 'failed';
      if (waits && !timer && asked === 0) throw new Error('nothing will happen any more');
      if (timer && !waits) throw new Error(`a timer is left when ${phase}`);
    },
  });
  sameTable(t, walk, REGISTRATION);
});
