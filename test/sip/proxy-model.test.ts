/**
 * Every state in which a proxy can be with one request, and every event in each, against a table one can
 * read beside RFC 3261 §16; `test/harness/explore.ts` says how.
 */
import { type SipRequest, type SipResponse, sipUri } from '@sip-stack/parser';
import t from 'tap';
import {
  type ProxyAction,
  type ProxyContext,
  type ProxyEvent,
  type ProxyTimer,
  proxyContext,
} from '../../src/sip/proxy/context.js';
import { stepProxy } from '../../src/sip/proxy/machine.js';
import type { Target } from '../../src/sip/proxy/target.js';
import { makeResponse } from '../../src/sip/response.js';
import { explore, sameTable } from '../harness/explore.js';
import { proxied, proxySettings } from './proxied.js';
import { hop } from './proxy-lab.js';

const PROXY = `
INVITE admitting: admitted: -> INVITE forwarding resolve | -> INVITE locating locate
INVITE admitting: refused: -> INVITE refused 403 +linger
INVITE admitting: cancelled: -> INVITE refused 487 +linger
INVITE admitting: ! found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, timer C, timer no-answer, timer cancel, timer late, timer linger
OPTIONS admitting: admitted: -> OPTIONS locating +late locate
OPTIONS admitting: refused: -> OPTIONS released 403 release
OPTIONS admitting: ! found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, cancelled, timer C, timer no-answer, timer cancel, timer late, timer linger
INVITE locating: refused: -> INVITE refused 403 +linger
INVITE locating: found nobody: -> INVITE refused 480 +linger
INVITE locating: found to be unknown 404: -> INVITE refused 404 +linger
INVITE locating: found at one place, found at two in turn, found at a place with another way: -> INVITE forwarding send +C
INVITE locating: found at a place that may ring for long: -> INVITE forwarding send +C +no-answer
INVITE locating: found at two at once: -> INVITE forwarding send +C send +C
INVITE locating: found at a name: -> INVITE forwarding resolve
INVITE locating: cancelled: -> INVITE refused 487 +linger
INVITE locating: ! admitted, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, timer C, timer no-answer, timer cancel, timer late, timer linger
INVITE refused: 100 comes, 180 comes: CANCEL +cancel | nothing
INVITE refused: timer linger: -> INVITE released release
INVITE refused: - admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, cancelled, timer cancel
INVITE refused: ! timer C, timer no-answer, timer late
INVITE forwarding: resolved to nothing: -> INVITE refused 500 +linger
INVITE forwarding: resolved to one, resolved to two: send +C
INVITE forwarding: 100 comes: CANCEL +cancel | nothing
INVITE forwarding: 180 comes: +C 180 | CANCEL +cancel | nothing
INVITE forwarding: 200 comes: -> INVITE answered 200 | -> INVITE answered 200 +linger | -> INVITE answered 200 CANCEL +cancel
INVITE forwarding: 302 comes, 486 comes, no answer: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | -> INVITE refused 603 +linger | nothing | send +C
INVITE forwarding: 503 comes, unreachable: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | -> INVITE refused 500 +linger | -> INVITE refused 603 +linger | nothing | send +C
INVITE forwarding: 603 comes: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | -> INVITE refused 603 +linger | CANCEL +cancel | nothing | send +C
INVITE forwarding: cancelled: -> INVITE cancelled | -> INVITE cancelled CANCEL +cancel | -> INVITE cancelled CANCEL +cancel CANCEL +cancel | -> INVITE refused 487 +linger
INVITE forwarding: timer C: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | CANCEL +cancel | nothing | send +C
INVITE forwarding: timer no-answer: -> INVITE refused 408 +linger | CANCEL +cancel | nothing
INVITE forwarding: timer cancel: -> INVITE refused forget 302 +linger | -> INVITE refused forget 408 +linger | -> INVITE refused forget 486 +linger | -> INVITE refused forget 603 +linger | forget | forget send +C | nothing
INVITE forwarding: ! admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, timer late, timer linger
OPTIONS locating: refused: -> OPTIONS released 403 release
OPTIONS locating: found nobody: -> OPTIONS released 480 release
OPTIONS locating: found to be unknown 404: -> OPTIONS released 404 release
OPTIONS locating: found at one place, found at a place that may ring for long, found at two in turn, found at a place with another way: -> OPTIONS forwarding send
OPTIONS locating: found at two at once: -> OPTIONS forwarding send send
OPTIONS locating: found at a name: -> OPTIONS forwarding resolve
OPTIONS locating: timer late: -> OPTIONS released abandon release
OPTIONS locating: ! admitted, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, cancelled, timer C, timer no-answer, timer cancel, timer linger
OPTIONS released: - refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable
OPTIONS released: ! admitted, cancelled, timer C, timer no-answer, timer cancel, timer late, timer linger
INVITE released: - admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, 100 comes, 180 comes, 200 comes, 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable, cancelled
INVITE released: ! timer C, timer no-answer, timer cancel, timer late, timer linger
OPTIONS forwarding: resolved to nothing: -> OPTIONS released 500 release
OPTIONS forwarding: resolved to one, resolved to two: send
OPTIONS forwarding: 200 comes: -> OPTIONS released 200 release
OPTIONS forwarding: 302 comes: -> OPTIONS released 302 release | -> OPTIONS released 603 release | nothing | send
OPTIONS forwarding: 486 comes, no answer: -> OPTIONS released 302 release | -> OPTIONS released 486 release | -> OPTIONS released 603 release | -> OPTIONS released abandon release | nothing | send
OPTIONS forwarding: 503 comes, unreachable: -> OPTIONS released 302 release | -> OPTIONS released 486 release | -> OPTIONS released 500 release | -> OPTIONS released 603 release | -> OPTIONS released abandon release | nothing | send
OPTIONS forwarding: 603 comes: -> OPTIONS released 603 release | nothing
OPTIONS forwarding: timer late: -> OPTIONS released abandon release
OPTIONS forwarding: - 100 comes, 180 comes
OPTIONS forwarding: ! admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, cancelled, timer C, timer no-answer, timer cancel, timer linger
INVITE answered: 100 comes: CANCEL +cancel | nothing
INVITE answered: 180 comes: +C | CANCEL +cancel | nothing
INVITE answered: 200 comes: 200 | 200 +linger
INVITE answered: 302 comes, 486 comes, 503 comes, 603 comes, no answer, unreachable: +linger | nothing
INVITE answered: timer cancel: forget +linger | nothing
INVITE answered: timer linger: -> INVITE released release
INVITE answered: - cancelled, timer C
INVITE answered: ! admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, timer no-answer, timer late
INVITE cancelled: 100 comes: CANCEL +cancel | nothing
INVITE cancelled: 180 comes: +C 180 | CANCEL +cancel | nothing
INVITE cancelled: 200 comes: -> INVITE answered 200 | -> INVITE answered 200 +linger
INVITE cancelled: 302 comes, 486 comes, 603 comes, no answer: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | -> INVITE refused 487 +linger | -> INVITE refused 603 +linger | nothing
INVITE cancelled: 503 comes, unreachable: -> INVITE refused 302 +linger | -> INVITE refused 408 +linger | -> INVITE refused 486 +linger | -> INVITE refused 487 +linger | -> INVITE refused 500 +linger | -> INVITE refused 603 +linger | nothing
INVITE cancelled: timer cancel: -> INVITE refused forget 302 +linger | -> INVITE refused forget 408 +linger | -> INVITE refused forget 486 +linger | -> INVITE refused forget 487 +linger | -> INVITE refused forget 603 +linger | forget | nothing
INVITE cancelled: - cancelled, timer C, timer no-answer
INVITE cancelled: ! admitted, refused, found nobody, found to be unknown 404, found at one place, found at a place that may ring for long, found at two at once, found at two in turn, found at a place with another way, found at a name, resolved to nothing, resolved to one, resolved to two, timer late, timer linger
`;

/** What stands between the machine and the world: its timers, and what it has asked for. */
interface ProxyModel {
  context: ProxyContext;
  admission: boolean;
  locating: boolean;
  /** By branch. */
  resolving: Set<number>;
  /** Sent and without a final response, by branch: whether a provisional one came. */
  sent: Map<number, 'calling' | 'proceeding'>;
  /** Branches that answered 2xx, and may do so again. */
  succeeded: Set<number>;
  cancelled: Set<number>;
  timers: Set<string>;
  finals: number;
}

const NOBODY = hop('10.0.0.9');
const [one, two] = ['10.0.0.11', '10.0.0.12'].map(
  (host, index): Target => ({
    uri: sipUri({ user: 'b', host }),
    q: 1 - index / 2,
    route: [],
    hop: hop(host),
  }),
) as [Target, Target];
const unresolved: Target = { uri: sipUri({ user: 'b', host: 'far.example' }), q: 1, route: [] };

const located =
  (found: readonly Target[] | number) =>
  ({ locating }: ProxyModel): ProxyEvent | undefined =>
    locating ? { type: 'located', found } : undefined;

const resolved =
  (count: number) =>
  ({ resolving }: ProxyModel): ProxyEvent[] =>
    [...resolving].map(branch => ({ type: 'resolved', branch, hops: Array(count).fill(NOBODY) }));

const answers =
  (status: number) =>
  ({ context, sent, succeeded }: ProxyModel): ProxyEvent[] => {
    const again = status >= 200 && status < 300 ? [...succeeded] : [];
    return [...sent.keys(), ...again].map(branch => ({
      type: 'response',
      branch,
      response: responseOf(context.request, status),
    }));
  };

/** With a Via of the proxy's own above the sender's. */
function responseOf(request: SipRequest, status: number): SipResponse {
  const response = makeResponse(request, status, 'b');
  const via = 'SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKown';
  response.headers.setText('Via', via, ...request.headers.texts('Via'));
  return response;
}

const failed =
  (reason: 'timeout' | 'transport') =>
  ({ context, sent }: ProxyModel): ProxyEvent[] => {
    // Only Timer B and F end a wait, and B not once a provisional response came.
    const ended = [...sent].filter(
      ([, state]) =>
        reason === 'transport' || state === 'calling' || context.request.method !== 'INVITE',
    );
    return ended.map(([branch]) => ({ type: 'failed', branch, reason }));
  };

const fires =
  (name: ProxyTimer['name']) =>
  ({ timers }: ProxyModel): ProxyEvent[] =>
    [...timers]
      .map(text => JSON.parse(text) as ProxyTimer)
      .filter(timer => timer.name === name)
      .map(timer => ({ type: 'timer', timer }));

const events = {
  admitted: ({ admission }: ProxyModel): ProxyEvent | undefined =>
    admission ? { type: 'admitted' } : undefined,
  refused: ({ context, admission, locating }: ProxyModel): ProxyEvent | undefined =>
    admission || locating
      ? { type: 'refused', response: makeResponse(context.request, 403, 'p') }
      : undefined,
  'found nobody': located([]),
  'found to be unknown 404': located(404),
  'found at one place': located([one]),
  'found at a place that may ring for long': located([{ ...one, ringMs: 20_000 }]),
  'found at two at once': located([one, { ...two, q: 1 }]),
  'found at two in turn': located([one, two]),
  'found at a place with another way': located([{ ...one, alternates: [two] }]),
  'found at a name': located([unresolved]),
  'resolved to nothing': resolved(0),
  'resolved to one': resolved(1),
  'resolved to two': resolved(2),
  '100 comes': answers(100),
  '180 comes': answers(180),
  '200 comes': answers(200),
  '302 comes': answers(302),
  '486 comes': answers(486),
  '503 comes': answers(503),
  '603 comes': answers(603),
  'no answer': failed('timeout'),
  unreachable: failed('transport'),
  cancelled: ({ context }: ProxyModel): ProxyEvent | undefined =>
    context.request.method === 'INVITE' ? { type: 'cancelled' } : undefined,
  'timer C': fires('C'),
  'timer no-answer': fires('no-answer'),
  'timer cancel': fires('cancel'),
  'timer late': fires('late'),
  'timer linger': fires('linger'),
};

function begin(request: SipRequest): ProxyModel {
  const source = hop('10.0.0.1');
  return {
    context: proxyContext(request, { source, settings: proxySettings, tag: 'p' }),
    admission: true,
    locating: false,
    resolving: new Set(),
    sent: new Map(),
    succeeded: new Set(),
    cancelled: new Set(),
    timers: new Set(),
    finals: 0,
  };
}

function copy(model: ProxyModel): ProxyModel {
  const { context } = model;
  return {
    ...model,
    context: {
      ...context,
      branches: context.branches.map(branch => ({ ...branch })),
      group: [...context.group],
      waiting: context.waiting.map(group => [...group]),
      finals: [...context.finals],
    },
    resolving: new Set(model.resolving),
    sent: new Map(model.sent),
    succeeded: new Set(model.succeeded),
    cancelled: new Set(model.cancelled),
    timers: new Set(model.timers),
  };
}

function step(model: ProxyModel, event: ProxyEvent): readonly ProxyAction[] {
  if (event.type === 'admitted' || event.type === 'refused') model.admission = false;
  if (event.type === 'located' || event.type === 'refused') model.locating = false;
  if (event.type === 'resolved') model.resolving.delete(event.branch);
  if (event.type === 'failed') model.sent.delete(event.branch);
  if (event.type === 'timer') model.timers.delete(JSON.stringify(event.timer));
  if (event.type === 'response') {
    const { branch, response } = event;
    if (response.status < 200) model.sent.set(branch, 'proceeding');
    else model.sent.delete(branch);
    const again = response.status < 300 && model.context.request.method === 'INVITE';
    if (response.status >= 200 && again) model.succeeded.add(branch);
  }
  const actions = stepProxy(model.context, event);
  for (const action of actions) perform(model, action);
  return actions;
}

function perform(model: ProxyModel, action: ProxyAction): void {
  switch (action.type) {
    case 'respond':
      if (action.response.status >= 200) model.finals++;
      return;
    case 'abandon':
      model.finals++;
      return;
    case 'locate':
      model.locating = true;
      return;
    case 'resolve':
      model.resolving.add(action.branch);
      return;
    case 'send':
      if (model.sent.has(action.branch)) throw new Error('sent again while it waits');
      model.sent.set(action.branch, 'calling');
      return;
    case 'cancel':
      if (model.sent.get(action.branch) !== 'proceeding') {
        throw new Error('a CANCEL before a provisional response, or after the final one (§9.1)');
      }
      if (model.cancelled.has(action.branch)) throw new Error('a second CANCEL');
      model.cancelled.add(action.branch);
      return;
    case 'forget':
      model.sent.delete(action.branch);
      return;
    case 'set-timer':
      model.timers.add(JSON.stringify(action.timer));
      return;
    case 'cancel-timer':
      model.timers.delete(JSON.stringify(action.timer));
      return;
    case 'release':
      model.timers.clear();
      return;
  }
}

function brief(action: ProxyAction): string | undefined {
  switch (action.type) {
    case 'respond':
      return String(action.response.status);
    case 'set-timer':
      return `+${action.timer.name}`;
    case 'cancel-timer':
      return undefined;
    case 'cancel':
      return 'CANCEL';
    default:
      return action.type;
  }
}

const modeOf = ({ context: { request, phase, cancelled } }: ProxyModel) =>
  `${request.method} ${phase === 'forwarding' && cancelled ? 'cancelled' : phase}`;

t.test('a proxied request', async t => {
  const walk = explore<ProxyModel, ProxyEvent, ProxyAction>({
    types: {
      admitted: true,
      refused: true,
      located: true,
      resolved: true,
      response: true,
      failed: true,
      cancelled: true,
      timer: true,
    },
    starts: [
      begin(proxied('INVITE', 'sip:b@one.example')),
      begin(proxied('INVITE', 'sip:b@far.example')),
      begin(proxied('OPTIONS', 'sip:b@one.example')),
    ],
    events,
    copy,
    step,
    key: model => {
      const { context } = model;
      const { request, phase, cancelled, group, waiting } = context;
      const branches = context.branches.map(({ state, cancel, timedOut, hops, target }) =>
        [state, cancel, timedOut, hops.length, target.alternates?.length, target.ringMs].join(),
      );
      return JSON.stringify([
        ...[
          request.method,
          request.uri,
          phase,
          cancelled,
          group.length,
          waiting.map(({ length }) => length),
        ],
        ...[
          branches,
          context.finals.map(({ status }) => status).sort(),
          model.admission,
          model.locating,
        ],
        ...[[...model.resolving], [...model.sent], [...model.succeeded], [...model.cancelled]],
        [...model.timers].sort(),
      ]);
    },
    mode: modeOf,
    brief,
    check: ({ before, actions, after }) => {
      const { request, phase } = after.context;
      const released = before.context.phase === 'released';
      if (released && actions.length > 0) throw new Error('something is done after the end');
      const several = request.method === 'INVITE' && (phase === 'answered' || phase === 'released');
      if (after.finals > 1 && !several) throw new Error('a second final response');
      if (phase === 'released' && after.timers.size > 0) throw new Error('a timer is left');
      const begins = actions.some(({ type }) => type === 'send' || type === 'resolve');
      if (begins && (before.finals > 0 || before.context.cancelled)) {
        throw new Error('a branch begins though the request has its answer, or needs none');
      }
      const waits = [after.timers, after.sent, after.resolving].some(({ size }) => size > 0);
      if (phase !== 'released' && !waits && !after.admission && !after.locating) {
        throw new Error('nothing will happen any more');
      }
    },
  });
  sameTable(t, walk, PROXY);
});
