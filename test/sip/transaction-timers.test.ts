/**
 * How long the timers of transactions run when nothing else happens, in ms: RFC 3261 Table 4 with RFC 6026
 * §8.4 (L, M), for T1 = 500, T2 = 4000, T4 = 5000. A timer that runs several times has all its times.
 */
import { parseMessage, type SipRequest, type SipResponse } from '@sip-stack/parser';
import t from 'tap';
import { makeResponse } from '../../src/sip/response.js';
import { inviteClient, stepInviteClient } from '../../src/sip/transaction/invite-client.js';
import {
  inviteServer,
  startInviteServer,
  stepInviteServer,
} from '../../src/sip/transaction/invite-server.js';
import {
  type ClientAction,
  type ClientEvent,
  RFC3261_TIMERS,
  type ServerAction,
  type ServerEvent,
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

const TIMERS = `
UDP INVITE client: A 500 1000 2000 4000 8000 16000 32000, B 32000
UDP INVITE client, 180:
UDP INVITE client, 200: M 32000
UDP INVITE client, 486: D 32000
UDP OPTIONS client: E 500 1000 2000 4000 4000 4000 4000 4000 4000 4000 4000, F 32000
UDP OPTIONS client, 180: E 500 4000 4000 4000 4000 4000 4000 4000 4000, F 32000
UDP OPTIONS client, 200: K 5000
UDP OPTIONS client, 486: K 5000
UDP INVITE server: trying 200
UDP INVITE server, 180:
UDP INVITE server, 200: L 32000
UDP INVITE server, 486: G 500 1000 2000 4000 4000 4000 4000 4000 4000 4000 4000, H 32000
UDP INVITE server, 486, ACK: I 5000
UDP OPTIONS server:
UDP OPTIONS server, 180:
UDP OPTIONS server, 200: J 32000
UDP OPTIONS server, 486: J 32000
TCP INVITE client: B 32000
TCP INVITE client, 180:
TCP INVITE client, 200: M 32000
TCP INVITE client, 486:
TCP OPTIONS client: F 32000
TCP OPTIONS client, 180: F 32000
TCP OPTIONS client, 200:
TCP OPTIONS client, 486:
TCP INVITE server: trying 200
TCP INVITE server, 180:
TCP INVITE server, 200: L 32000
TCP INVITE server, 486: H 32000
TCP INVITE server, 486, ACK:
TCP OPTIONS server:
TCP OPTIONS server, 180:
TCP OPTIONS server, 200:
TCP OPTIONS server, 486:
`;

type Happening = 'begin' | 180 | 200 | 486 | 'ACK' | { readonly timer: ClientEvent & ServerEvent };
type Machine = (happening: Happening) => readonly (ClientAction | ServerAction)[];

function request(method: string): SipRequest {
  const text = `${method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 ${method}\r\n\r\n`;
  const message = parseMessage(Buffer.from(text));
  if (message.kind !== 'request') throw new Error('expected a request');
  return message;
}

const response = (status: number, method: string): SipResponse =>
  makeResponse(request(method), status, 'b');

function client(method: string, step: (event: ClientEvent) => readonly ClientAction[]): Machine {
  return happening => {
    if (happening === 'begin') return step({ type: 'start' });
    if (happening === 'ACK') return [];
    if (typeof happening === 'object') return step(happening.timer);
    return step({ type: 'response', response: response(happening, method) });
  };
}

function server(
  method: string,
  begin: readonly ServerAction[],
  step: (event: ServerEvent) => readonly ServerAction[],
): Machine {
  return happening => {
    if (happening === 'begin') return begin;
    if (happening === 'ACK') return step({ type: 'request', request: request('ACK') });
    if (typeof happening === 'object') return step(happening.timer);
    return step({ type: 'respond', response: response(happening, method) });
  };
}

const machines: Record<string, (settings: TransactionSettings) => Machine> = {
  'INVITE client': settings => {
    const transaction = inviteClient(request('INVITE'), settings);
    return client('INVITE', event => stepInviteClient(transaction, event));
  },
  'OPTIONS client': settings => {
    const transaction = nonInviteClient(request('OPTIONS'), settings);
    return client('OPTIONS', event => stepNonInviteClient(transaction, event));
  },
  'INVITE server': settings => {
    const transaction = inviteServer(settings);
    const trying = () => response(100, 'INVITE');
    return server('INVITE', startInviteServer(), event =>
      stepInviteServer(transaction, event, trying),
    );
  },
  'OPTIONS server': settings => {
    const transaction = nonInviteServer(settings);
    return server('OPTIONS', [], event => stepNonInviteServer(transaction, event));
  },
};

/** Lets each timer run out in its turn, and answers how long each ran; those called off do not count. */
function waits(machine: Machine, happenings: readonly Happening[]): string {
  const running = new Map<string, { at: number; ms: number }>();
  const ran = new Map<string, number[]>();
  let now = 0;
  const happen = (happening: Happening) => {
    for (const action of machine(happening)) {
      if (action.type === 'set-timer') {
        running.set(action.timer, { at: now + action.ms, ms: action.ms });
        ran.set(action.timer, [...(ran.get(action.timer) ?? []), action.ms]);
      }
      if (action.type === 'cancel-timer' && running.delete(action.timer)) ran.delete(action.timer);
      if (action.type === 'terminate') running.clear();
    }
  };
  for (const happening of happenings) happen(happening);
  while (running.size > 0) {
    const [first] = [...running].sort(([, a], [, b]) => a.at - b.at);
    if (!first) break;
    const [timer, { at }] = first;
    running.delete(timer);
    now = at;
    happen({ timer: { type: 'timer', timer: timer as 'A' } });
  }
  return [...ran]
    .sort()
    .map(([timer, ms]) => [timer, ...ms].join(' '))
    .join(', ');
}

t.test('each timer runs as long as the RFC says', async t => {
  const lines: string[] = [];
  for (const [name, reliable] of [
    ['UDP', false],
    ['TCP', true],
  ] as const) {
    for (const [machine, make] of Object.entries(machines)) {
      const ways: Happening[][] = [[], [180], [200], [486]];
      if (machine === 'INVITE server') ways.push([486, 'ACK']);
      for (const way of ways) {
        const told = waits(make({ timers: RFC3261_TIMERS, reliable }), ['begin', ...way]);
        lines.push(`${name} ${[machine, ...way].join(', ')}: ${told}`.trim());
      }
    }
  }
  t.same(lines, TIMERS.trim().split('\n'));
});
