/**
 * Every (state, event) pair of the four transaction machines against a table one can read beside the RFC:
 * RFC 3261 figures 5 to 8, with RFC 6026 figures 1 to 3. `-` stands for nothing happening.
 */
import { parseMessage, type SipRequest, type SipResponse } from '@sip-stack/parser';
import t from 'tap';
import { makeResponse } from '../../src/sip/response.js';
import { inviteClient, stepInviteClient } from '../../src/sip/transaction/invite-client.js';
import { inviteServer, stepInviteServer } from '../../src/sip/transaction/invite-server.js';
import {
  type ClientAction,
  type ClientEvent,
  RFC3261_TIMERS,
  type ServerAction,
  type ServerEvent,
  type TimerName,
  type TransactionSettings,
} from '../../src/sip/transaction/machine.js';
import {
  nonInviteClient,
  stepNonInviteClient,
} from '../../src/sip/transaction/non-invite-client.js';
import {
  nonInviteServer,
  stepNonInviteServer,
} from '../../src/sip/transaction/non-invite-server.js';

const INVITE_CLIENT = `
calling: 1xx -> proceeding: -A -B deliver 180
calling: 2xx -> accepted: -A -B deliver 200 +M
calling: 3xx-6xx -> completed: -A -B ACK deliver 486 +D
calling: transport error -> terminated: fail transport end
calling: timer A: INVITE +A
calling: timer B -> terminated: fail timeout end
calling: - D E F G H I J K L M trying
proceeding: 1xx: -A -B deliver 180
proceeding: 2xx -> accepted: -A -B deliver 200 +M
proceeding: 3xx-6xx -> completed: -A -B ACK deliver 486 +D
proceeding: transport error -> terminated: fail transport end
proceeding: - A B D E F G H I J K L M trying
completed: 3xx-6xx: ACK
completed: transport error -> terminated: end
completed: timer D -> terminated: end
completed: - 1xx 2xx A B E F G H I J K L M trying
accepted: 2xx: deliver 200
accepted: timer M -> terminated: end
accepted: - 1xx 3xx-6xx transport error A B D E F G H I J K L trying
terminated: - 1xx 2xx 3xx-6xx transport error A B D E F G H I J K L M trying
`;

const NON_INVITE_CLIENT = `
trying: 1xx -> proceeding: deliver 180
trying: 2xx -> completed: -E -F deliver 200 +K
trying: 3xx-6xx -> completed: -E -F deliver 486 +K
trying: transport error -> terminated: fail transport end
trying: timer E: OPTIONS +E
trying: timer F -> terminated: fail timeout end
trying: - A B D G H I J K L M trying
proceeding: 1xx: deliver 180
proceeding: 2xx -> completed: -E -F deliver 200 +K
proceeding: 3xx-6xx -> completed: -E -F deliver 486 +K
proceeding: transport error -> terminated: fail transport end
proceeding: timer E: OPTIONS +E
proceeding: timer F -> terminated: fail timeout end
proceeding: - A B D G H I J K L M trying
completed: timer K -> terminated: end
completed: - 1xx 2xx 3xx-6xx transport error A B D E F G H I J L M trying
terminated: - 1xx 2xx 3xx-6xx transport error A B D E F G H I J K L M trying
`;

const INVITE_SERVER = `
proceeding: send 1xx: -trying 180
proceeding: send 2xx -> accepted: -trying 200 +L
proceeding: send 3xx-6xx -> completed: -trying 486 +H +G
proceeding: transport error: fail transport
proceeding: timer trying: -trying 100
proceeding: - again ACK A B D E F G H I J K L M
completed: again: 486
completed: ACK -> confirmed: -G -H +I
completed: transport error: fail transport
completed: timer G: 486 +G
completed: timer H -> terminated: fail timeout end
completed: - send 1xx send 2xx send 3xx-6xx A B D E F I J K L M trying
confirmed: transport error: fail transport
confirmed: timer I -> terminated: end
confirmed: - again ACK send 1xx send 2xx send 3xx-6xx A B D E F G H J K L M trying
accepted: send 2xx: 200
accepted: transport error: fail transport
accepted: timer L -> terminated: end
accepted: - again ACK send 1xx send 3xx-6xx A B D E F G H I J K M trying
terminated: - again ACK send 1xx send 2xx send 3xx-6xx transport error A B D E F G H I J K L M trying
`;

const NON_INVITE_SERVER = `
trying: send 1xx -> proceeding: 180
trying: send 2xx -> completed: 200 +J
trying: send 3xx-6xx -> completed: 486 +J
trying: transport error -> terminated: fail transport end
trying: - again A B D E F G H I J K L M trying
proceeding: again: 180
proceeding: send 1xx: 180
proceeding: send 2xx -> completed: 200 +J
proceeding: send 3xx-6xx -> completed: 486 +J
proceeding: transport error -> terminated: fail transport end
proceeding: - A B D E F G H I J K L M trying
completed: again: 200
completed: transport error -> terminated: fail transport end
completed: timer J -> terminated: end
completed: - send 1xx send 2xx send 3xx-6xx A B D E F G H I K L M trying
terminated: - again send 1xx send 2xx send 3xx-6xx transport error A B D E F G H I J K L M trying
`;

const settings: TransactionSettings = { timers: RFC3261_TIMERS, reliable: false };

function request(method: string): SipRequest {
  const text = `${method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 ${method}\r\n\r\n`;
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

const response = (status: number, method: string): SipResponse =>
  makeResponse(request(method), status, 'b');

const TIMERS: readonly TimerName[] = [
  'A',
  'B',
  'D',
  'E',
  'F',
  'G',
  'H',
  'I',
  'J',
  'K',
  'L',
  'M',
  'trying',
];

type Named<E> = readonly [name: string, event: E];

function clientEvents(method: string): Named<ClientEvent>[] {
  return [
    ['1xx', { type: 'response', response: response(180, method) }],
    ['2xx', { type: 'response', response: response(200, method) }],
    ['3xx-6xx', { type: 'response', response: response(486, method) }],
    ['transport error', { type: 'transport-error' }],
    ...TIMERS.map((timer): Named<ClientEvent> => [`timer ${timer}`, { type: 'timer', timer }]),
  ];
}

function serverEvents(method: string): Named<ServerEvent>[] {
  const ack: Named<ServerEvent>[] =
    method === 'INVITE' ? [['ACK', { type: 'request', request: request('ACK') }]] : [];
  return [
    ['again', { type: 'request', request: request(method) }],
    ...ack,
    ['send 1xx', { type: 'respond', response: response(180, method) }],
    ['send 2xx', { type: 'respond', response: response(200, method) }],
    ['send 3xx-6xx', { type: 'respond', response: response(486, method) }],
    ['transport error', { type: 'transport-error' }],
    ...TIMERS.map((timer): Named<ServerEvent> => [`timer ${timer}`, { type: 'timer', timer }]),
  ];
}

function brief(action: ClientAction | ServerAction): string {
  switch (action.type) {
    case 'send':
      return action.message.kind === 'request'
        ? action.message.method
        : String(action.message.status);
    case 'set-timer':
      return `+${action.timer}`;
    case 'cancel-timer':
      return `-${action.timer}`;
    case 'deliver':
      return `deliver ${action.response.status}`;
    case 'fail':
      return `fail ${action.reason}`;
    case 'terminate':
      return 'end';
  }
}

interface Machine<E> {
  readonly state: () => string;
  readonly step: (event: E) => readonly (ClientAction | ServerAction)[];
}

/** What each event does in each state, a line a pair; pairs that do nothing are counted, not listed. */
function tabulate<E>(
  make: () => Machine<E>,
  ways: Record<string, E[]>,
  events: Named<E>[],
): string[] {
  const lines: string[] = [];
  for (const [state, way] of Object.entries(ways)) {
    const silent: string[] = [];
    for (const [name, event] of events) {
      const machine = make();
      for (const step of way) machine.step(step);
      if (machine.state() !== state)
        throw new Error(`the way to ${state} leads to ${machine.state()}`);
      const actions = machine.step(event).map(brief);
      const next = machine.state() === state ? '' : ` -> ${machine.state()}`;
      if (actions.length === 0 && next === '') silent.push(name.replace('timer ', ''));
      else lines.push(`${state}: ${name}${next}: ${actions.join(' ')}`);
    }
    lines.push(`${state}: - ${silent.join(' ')}`);
  }
  return lines;
}

function linesOf(table: string): string[] {
  return table.trim().split('\n');
}

const on = <E>(events: Named<E>[], name: string): E => {
  const found = events.find(([known]) => known === name);
  if (!found) throw new Error(`no event ${name}`);
  return found[1];
};

t.test('INVITE client', async t => {
  const events = clientEvents('INVITE');
  const start: ClientEvent = { type: 'start' };
  const make = () => {
    const tx = inviteClient(request('INVITE'), settings);
    return { state: () => tx.state, step: (event: ClientEvent) => stepInviteClient(tx, event) };
  };
  const ways = {
    calling: [start],
    proceeding: [start, on(events, '1xx')],
    completed: [start, on(events, '3xx-6xx')],
    accepted: [start, on(events, '2xx')],
    terminated: [start, on(events, 'timer B')],
  };
  t.same(tabulate(make, ways, events), linesOf(INVITE_CLIENT));
});

t.test('non-INVITE client', async t => {
  const events = clientEvents('OPTIONS');
  const start: ClientEvent = { type: 'start' };
  const make = () => {
    const tx = nonInviteClient(request('OPTIONS'), settings);
    return { state: () => tx.state, step: (event: ClientEvent) => stepNonInviteClient(tx, event) };
  };
  const ways = {
    trying: [start],
    proceeding: [start, on(events, '1xx')],
    completed: [start, on(events, '2xx')],
    terminated: [start, on(events, 'timer F')],
  };
  t.same(tabulate(make, ways, events), linesOf(NON_INVITE_CLIENT));
});

t.test('INVITE server', async t => {
  const events = serverEvents('INVITE');
  const make = () => {
    const tx = inviteServer(settings);
    const trying = () => response(100, 'INVITE');
    return {
      state: () => tx.state,
      step: (event: ServerEvent) => stepInviteServer(tx, event, trying),
    };
  };
  const refused = on(events, 'send 3xx-6xx');
  const ways = {
    proceeding: [],
    completed: [refused],
    confirmed: [refused, on(events, 'ACK')],
    accepted: [on(events, 'send 2xx')],
    terminated: [refused, on(events, 'timer H')],
  };
  t.same(tabulate(make, ways, events), linesOf(INVITE_SERVER));
});

t.test('non-INVITE server', async t => {
  const events = serverEvents('OPTIONS');
  const make = () => {
    const tx = nonInviteServer(settings);
    return { state: () => tx.state, step: (event: ServerEvent) => stepNonInviteServer(tx, event) };
  };
  const answered = on(events, 'send 2xx');
  const ways = {
    trying: [],
    proceeding: [on(events, 'send 1xx')],
    completed: [answered],
    terminated: [answered, on(events, 'timer J')],
  };
  t.same(tabulate(make, ways, events), linesOf(NON_INVITE_SERVER));
});
