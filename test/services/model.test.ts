/** Every state a message on its way and an inbox can reach, every event in each; see `test/harness/explore.ts`. */
import { sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Location } from '../../src/discovery/locator.js';
import {
  type InboxAction,
  type InboxEvent,
  type InboxState,
  newInbox,
  stepInbox,
} from '../../src/services/messages/inbox-machine.js';
import {
  newSending,
  type SendingAction,
  type SendingEvent,
  type SendingState,
  stepSending,
} from '../../src/services/messages/sending-machine.js';
import { explore, sameTable } from '../harness/explore.js';

const SENDING = `
locating: start: locate
locating: located nowhere: -> over finish NO_SUCH_NAME
locating: located at one place: -> sending send
locating: located at two: -> sending +timer send
locating: not located: -> over finish UNREACHABLE
locating: give up: -> over finish HUNG_UP
locating: ! taken 200, sent elsewhere 302, not found 404, out of order 503, declined 603, unanswered, timer
over: - start, located nowhere, located at one place, located at two, not located, taken 200, sent elsewhere 302, not found 404, out of order 503, declined 603, unanswered, give up
over: ! timer
sending: taken 200: -> over finish taken
sending: sent elsewhere 302: +timer send | -> over finish FAILED | -> over finish NO_ROUTE | -> over finish NO_SUCH_NAME | nothing | send
sending: not found 404, out of order 503: -> over finish FAILED | -> over finish NO_ROUTE | -> over finish NO_SUCH_NAME | nothing | send
sending: declined 603: -> over finish REFUSED
sending: unanswered: -> over finish FAILED | -> over finish NO_ROUTE | -> over finish NO_SUCH_NAME | -> over finish UNREACHABLE | nothing | send
sending: timer: send
sending: give up: -> over finish HUNG_UP
sending: ! start, located nowhere, located at one place, located at two, not located
`;

const INBOX = `
empty: one of Anna, another of Anna, one of Ben, one of Carl: -> room store | 200
empty: all seen, seen what is to come: keep-seen | nothing
empty: ! stored, not stored
room: one of Anna, another of Anna: -> full store | 200 | 480 | nothing
room: one of Ben, one of Carl: -> full store | 200 | nothing
room: stored: 200 200 tell | 200 tell
room: not stored: -> empty 500 | -> empty 500 500
room: all seen, seen what is to come: keep-seen | nothing
full: one of Anna, another of Anna, one of Ben, one of Carl: 200 | 480 | drop store | nothing
full: stored: 200 200 tell | 200 tell
full: not stored: -> room 500 | -> room 500 500
full: all seen, seen what is to come: keep-seen | nothing
`;

const location: Location = {
  uri: sipUri({ user: 'anna', host: '192.0.2.7' }),
  endpoint: { address: '192.0.2.7', port: 5060 },
  source: 'test',
};
const end = { code: 'UNREACHABLE', message: 'it does not respond' } as const;

interface Sending {
  readonly state: SendingState;
  readonly started: boolean;
  readonly locating: boolean;
  /** Requests without an answer. */
  readonly asked: number;
  readonly timer: boolean;
  readonly finished: number;
}

const located =
  (count: number) =>
  (model: Sending): SendingEvent | undefined =>
    model.locating
      ? { type: 'located', locations: Array<Location>(count).fill(location) }
      : undefined;
const answered =
  (status: number, more = 0) =>
  (model: Sending): SendingEvent | undefined =>
    model.asked > 0
      ? { type: 'answered', status, reason: '', locations: Array<Location>(more).fill(location) }
      : undefined;

t.test('messages on their way', async t => {
  const walk = explore<{ -readonly [K in keyof Sending]: Sending[K] }, SendingEvent, SendingAction>(
    {
      types: {
        start: true,
        located: true,
        'not-located': true,
        answered: true,
        unanswered: true,
        timer: true,
        'give-up': true,
      },
      starts: [
        {
          state: newSending('anna'),
          started: false,
          locating: false,
          asked: 0,
          timer: false,
          finished: 0,
        },
      ],
      events: {
        start: ({ started }) => (started ? undefined : { type: 'start' }),
        'located nowhere': located(0),
        'located at one place': located(1),
        'located at two': located(2),
        'not located': ({ locating }) => (locating ? { type: 'not-located', end } : undefined),
        'taken 200': answered(200),
        'sent elsewhere 302': answered(302, 1),
        'not found 404': answered(404),
        'out of order 503': answered(503),
        'declined 603': answered(603),
        unanswered: ({ asked }) => (asked > 0 ? { type: 'unanswered', end } : undefined),
        timer: ({ timer }) => (timer ? { type: 'timer' } : undefined),
        'give up': () => ({ type: 'give-up' }),
      },
      copy: model => ({ ...model, state: { ...model.state } }),
      step: (model, event) => {
        const actions = stepSending(model.state, event);
        if (event.type === 'start') model.started = true;
        if (event.type === 'located' || event.type === 'not-located') model.locating = false;
        if (event.type === 'answered' || event.type === 'unanswered') model.asked--;
        if (event.type === 'timer') model.timer = false;
        for (const action of actions) {
          if (action.type === 'locate') model.locating = true;
          if (action.type === 'send') model.asked++;
          if (action.type === 'set-timer') model.timer = true;
          if (action.type === 'cancel-timer') model.timer = false;
          if (action.type === 'finish') model.finished++;
        }
        return actions;
      },
      key: ({ state, started, locating, asked, timer }) => {
        const { phase, untried, pending, redirections } = state;
        const counts = [untried.length, pending, redirections, asked];
        return [phase, state.end?.code, ...counts, started, locating, timer].join();
      },
      mode: ({ state }) => state.phase,
      brief: action => {
        if (action.type === 'set-timer') return '+timer';
        if (action.type === 'cancel-timer') return undefined;
        return action.type === 'finish' ? `finish ${action.end?.code ?? 'taken'}` : action.type;
      },
      check: ({ after }) => {
        const { state, locating, asked, timer, started, finished } = after;
        const over = state.phase === 'over';
        if (finished !== (over ? 1 : 0)) throw new Error(`${finished} ends told`);
        if (over && timer) throw new Error('a timer is left');
        if (!over && started && !locating && asked === 0) throw new Error('nothing will happen');
        if (!over && state.pending !== asked) throw new Error('it has lost count');
      },
    },
  );
  sameTable(t, walk, SENDING);
});

interface Kept {
  inbox: InboxState;
  tokens: number;
  /** Requests that await their answer. */
  open: Set<number>;
  storing: Set<number>;
}

/** An inbox of two, one for each source. */
const limits = { messages: 2, perSource: 1, remembered: 1 };
const MOST_OPEN = 2;
const MOST_IDS = 4;

const received =
  (key: string, source: string) =>
  (model: Kept): InboxEvent | undefined => {
    if (model.open.size >= MOST_OPEN || model.inbox.lastId >= MOST_IDS) return undefined;
    const message = { from: 'sip:a@b', name: 'a', text: 'x', receivedAt: 0, key, source };
    return { type: 'received', message, token: model.tokens + 1 };
  };
const ofStoring =
  (type: 'stored' | 'not-stored') =>
  (model: Kept): InboxEvent[] =>
    [...model.storing].map(id => ({ type, id }));

t.test('inboxes', async t => {
  const walk = explore<Kept, InboxEvent, InboxAction>({
    types: { received: true, stored: true, 'not-stored': true, seen: true },
    starts: [{ inbox: newInbox(limits), tokens: 0, open: new Set(), storing: new Set() }],
    events: {
      'one of Anna': received('a1', 'anna'),
      'another of Anna': received('a2', 'anna'),
      'one of Ben': received('b1', 'ben'),
      'one of Carl': received('c1', 'carl'),
      stored: ofStoring('stored'),
      'not stored': ofStoring('not-stored'),
      'all seen': ({ inbox }) => ({ type: 'seen', id: inbox.lastId }),
      'seen what is to come': ({ inbox }) => ({ type: 'seen', id: inbox.lastId + 1 }),
    },
    copy: ({ inbox, tokens, open, storing }) => ({
      inbox: {
        ...inbox,
        entries: new Map(
          [...inbox.entries].map(([id, entry]) => [id, { ...entry, waiting: [...entry.waiting] }]),
        ),
        gone: new Set(inbox.gone),
      },
      tokens,
      open: new Set(open),
      storing: new Set(storing),
    }),
    step: (model, event) => {
      if (event.type === 'received') {
        model.tokens++;
        model.open.add(model.tokens);
      }
      if (event.type === 'stored' || event.type === 'not-stored') model.storing.delete(event.id);
      const actions = stepInbox(model.inbox, event);
      for (const action of actions) {
        if (action.type === 'store') model.storing.add(action.message.id);
        if (action.type === 'respond' && !model.open.delete(action.token)) {
          throw new Error('answered twice');
        }
      }
      return actions;
    },
    key: ({ inbox, open, storing }) => {
      const entries = [...inbox.entries.values()].map(
        ({ message: { id, key }, stored, waiting }) => `${id}${key}${stored}${waiting.length}`,
      );
      return [
        ...entries,
        ...inbox.gone,
        inbox.seenTo,
        inbox.lastId,
        open.size,
        storing.size,
      ].join();
    },
    mode: ({ inbox }) => {
      const full = inbox.entries.size >= limits.messages;
      return full ? 'full' : inbox.entries.size === 0 ? 'empty' : 'room';
    },
    brief: action => (action.type === 'respond' ? `${action.status}` : action.type),
    check: ({ after: { inbox, open, storing } }) => {
      if (inbox.entries.size > limits.messages) throw new Error('more than it may hold');
      if (inbox.gone.size > limits.remembered) throw new Error('more remembered than it may');
      const waiting = [...inbox.entries.values()].flatMap(entry => entry.waiting);
      if (waiting.length !== open.size) throw new Error('a request is never answered');
      const writing = [...inbox.entries.values()].filter(({ stored }) => !stored);
      if (writing.length !== storing.size) throw new Error('a message that nobody stores');
      const keys = [...inbox.entries.values()].map(({ message }) => message.key);
      if (new Set(keys).size < keys.length) throw new Error('the same message twice');
    },
  });
  sameTable(t, walk, INBOX);
});
