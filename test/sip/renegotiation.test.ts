/** What sessions do beyond setting up and hanging up: early media, offers under way, session timers, challenges. */
import {
  CSeq,
  formatUri,
  parseMessage,
  type SipRequest,
  type SipResponse,
  serializeMessage,
  To,
} from '@sip-stack/parser';
import t from 'tap';
import type { AuthenticationExchange } from '../../src/sip/request-client.js';
import { makeResponse } from '../../src/sip/response.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { ALICE, BOB, type Pair, pair, record } from './pair.js';

/** A call from Alice to Bob that both have answered, with what each hears of it from then on. */
async function talking(lab: Pair) {
  let bob: SipSession | undefined;
  lab.bob.onSession = session => {
    bob = session;
    session.accept('bob 1');
  };
  const alice = lab.call('alice 1');
  await lab.clock.advance(500);
  if (!bob) throw new Error('no call came');
  return { alice, bob, atAlice: record(alice), atBob: record(bob) };
}

/** Methods and statuses in the order they were sent. */
function sent({ network }: Pair, from?: string): string[] {
  return network.trace
    .filter(entry => from === undefined || entry.from.startsWith(from))
    .map(({ what }) => what.split(' ').slice(1))
    .map(([first, second]) => (first === 'SIP/2.0' ? second : first) ?? '');
}

t.test(
  'early media in a provisional response arrives, by PRACK, before the call is taken',
  async t => {
    const lab = await pair();
    lab.bob.onSession = session => {
      session.progress('ring back tone');
      lab.clock.after(3000, () => session.accept('answer'));
    };
    const events = record(lab.call('offer'));
    await lab.clock.advance(5000);
    t.same(events, ['early ring back tone', 'answered answer']);
    t.same(sent(lab), ['INVITE', '183', 'PRACK', '200', '200', 'ACK']);
  },
);

t.test('a provisional response that is lost comes again until it is acknowledged', async t => {
  const lab = await pair();
  lab.bob.onSession = session => {
    // Nothing gets through at first.
    const { link } = lab.network;
    lab.network.link = { ...link, loss: 1 };
    session.progress('tone');
    session.accept('answer');
    lab.clock.after(1200, () => {
      lab.network.link = link;
    });
  };
  const events = record(lab.call());
  await lab.clock.advance(1000);
  t.same(events, [], 'the 2xx waits for the description before it (RFC 3262 §3)');
  await lab.clock.advance(5000);
  t.same(events, ['early tone', 'answered answer']);
  t.equal(lab.bob.load.sessions, 1);
});

t.test('a provisional response never acknowledged ends the call with 504', async t => {
  const lab = await pair();
  let events: string[] = [];
  lab.bob.onSession = session => {
    events = record(session);
    lab.network.setLink(ALICE, false);
    session.progress('tone');
  };
  lab.call();
  await lab.clock.advance(100_000);
  t.same(events, ['ended by local 504']);
});

t.test('an offer within the call is answered, and both keep talking', async t => {
  const lab = await pair();
  const { alice, bob, atAlice, atBob } = await talking(lab);
  bob.on('reoffer', () => bob.accept('bob 2'));
  alice.reoffer('alice 2');
  await lab.clock.advance(500);
  t.same(atAlice, ['reanswered bob 2']);
  t.same(atBob, ['reoffer alice 2', 'confirmed undefined']);
  alice.on('reoffer', () => alice.reject(488));
  bob.reoffer('bob 3');
  await lab.clock.advance(500);
  t.same(atBob.slice(2), ['offer refused 488']);
  bob.hangUp();
  await lab.clock.advance(500);
  t.equal(atAlice.at(-1), 'ended by remote 200');
});

t.test('offers that meet on their way are made again, one after the other (§14.1)', async t => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const lab = await pair(seed, { delayMs: 30 });
    const { alice, bob, atAlice, atBob } = await talking(lab);
    alice.on('reoffer', () => alice.accept('alice answers'));
    bob.on('reoffer', () => bob.accept('bob answers'));
    alice.reoffer('alice 2');
    bob.reoffer('bob 2');
    await lab.clock.advance(10_000);
    t.match(
      atAlice,
      ['reoffer bob 2', 'confirmed undefined', 'reanswered bob answers'],
      `seed ${seed}`,
    );
    t.match(atBob, ['reanswered alice answers', 'reoffer alice 2', 'confirmed undefined']);
    t.equal(sent(lab).filter(what => what === '491').length, 2);
  }
});

t.test('an offer that meets a refresh without one is in nobody’s way (RFC 3311 §5.2)', async t => {
  const lab = await pair(1, { delayMs: 100 });
  const { alice, bob, atAlice, atBob } = await talking(lab);
  alice.on('reoffer', () => alice.accept('alice 2'));
  await lab.clock.advance(899 * 1000);
  while (!sent(lab).includes('UPDATE')) await lab.clock.advance(10);
  bob.reoffer('bob 2');
  await lab.clock.advance(1000);
  t.same(atAlice, ['reoffer bob 2', 'confirmed undefined']);
  t.same(atBob, ['reanswered alice 2']);
  t.same(sent(lab).slice(3), ['UPDATE', 'INVITE', '200', '200', 'ACK']);
});

t.test('a second offer waits for the answer to the first', async t => {
  const lab = await pair();
  const { alice, bob, atAlice } = await talking(lab);
  bob.on('reoffer', sdp => bob.accept(`to ${sdp}`));
  alice.reoffer('hold');
  alice.reoffer('resume');
  await lab.clock.advance(1000);
  t.same(atAlice, ['reanswered to hold', 'reanswered to resume']);
});

t.test('a silent call is refreshed by UPDATE half-way, and lives on (RFC 4028)', async t => {
  const lab = await pair();
  const { atAlice, atBob } = await talking(lab);
  await lab.clock.advance(4 * 1800 * 1000);
  t.same(atAlice, []);
  t.same(atBob, []);
  t.equal(sent(lab).filter(what => what === 'UPDATE').length, 8, 'every 900 s');
});

t.test(
  'a call whose other side has vanished ends before the interval is over (RFC 4028 §10)',
  async t => {
    const lab = await pair();
    const { atBob } = await talking(lab);
    lab.network.setLink(ALICE, false);
    await lab.clock.advance(1767 * 1000);
    t.same(atBob, []);
    await lab.clock.advance(2000);
    t.same(atBob, ['ended by remote 408']);
  },
);

t.test('a refresh that finds no call there ends it here', async t => {
  const lab = await pair();
  const { alice, atAlice } = await talking(lab);
  // Bob's phone loses power, and starts again with no memory of the call.
  lab.network.setLink(BOB, false);
  const stopped = lab.bob.stop();
  await lab.clock.advance(2000);
  await stopped;
  lab.network.setLink(BOB, true);
  await lab.bob.start();
  await lab.clock.advance(901 * 1000);
  t.same(atAlice, ['ended by remote 481']);
  t.equal(alice.established, false);
});

t.test('too short an interval is answered 422 with what we bear', async t => {
  const lab = await pair();
  const socket = await lab.network
    .host('10.0.0.9')
    .bindDatagram({ address: '10.0.0.9', port: 5060, trafficClass: 'default' });
  const heard: SipResponse[] = [];
  socket.onMessage = data => {
    const message = parseMessage(data);
    if (message.kind === 'response') heard.push(message);
  };
  // The 200 that took the call shows Bob's tag to whoever looks on.
  let toOfBob = '';
  const carry = lab.network.carry.bind(lab.network);
  lab.network.carry = (data, from, to) => {
    const message = parseMessage(data.slice());
    if (message.kind === 'response') toOfBob = message.headers.text('To') ?? '';
    return carry(data, from, to);
  };
  const { bob } = await talking(lab);
  const dialogId = bob.invite.headers;
  const lines = [
    `UPDATE sip:bob@${BOB} SIP/2.0`,
    'Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKshort',
    `From: ${dialogId.text('From')}`,
    `To: ${toOfBob}`,
    `Call-ID: ${dialogId.text('Call-ID')}`,
    'CSeq: 9 UPDATE',
    'Contact: <sip:alice@10.0.0.9>',
    'Supported: timer',
    'Session-Expires: 10',
    '\r\n',
  ];
  socket.send(Buffer.from(lines.join('\r\n')), { address: BOB, port: 5060 });
  await lab.clock.advance(100);
  t.equal(heard[0]?.status, 422);
  t.equal(heard[0]?.headers.text('Min-SE'), '90');
});

t.test('a challenged INVITE goes out again with credentials and the next CSeq (§22.2)', async t => {
  const tried: string[] = [];
  let asked = false;
  const exchange: AuthenticationExchange = {
    authorize: request => {
      if (asked) request.headers.setText('Authorization', 'Test let me in');
    },
    receive: ({ status }) => {
      if (status < 400) return { type: 'proceed' };
      tried.push(String(status));
      if (asked) return { type: 'failed' };
      asked = true;
      return { type: 'retry' };
    },
  };
  const lab = await pair(1, {}, { begin: () => exchange });
  const { requests, respond } = await registrar(lab);
  respond.push(401, 486);
  const events = record(lab.call());
  await lab.clock.advance(2000);
  t.same(tried, ['401', '486']);
  t.same(events, ['ended by remote 486']);
  const invites = requests.filter(({ method }) => method === 'INVITE');
  t.same(
    invites.map(({ headers }) => headers.require(CSeq).sequence),
    [1, 2],
  );
  t.equal(invites[0]?.headers.text('Call-ID'), invites[1]?.headers.text('Call-ID'));
  t.not(invites[0]?.headers.text('Via'), invites[1]?.headers.text('Via'));
  t.equal(invites[1]?.headers.text('Authorization'), 'Test let me in');
});

t.test('a server that is never content is asked no more', async t => {
  const never: AuthenticationExchange = {
    authorize: () => undefined,
    receive: ({ status }) => ({ type: status === 401 ? 'retry' : 'proceed' }),
  };
  const lab = await pair(1, {}, { begin: () => never });
  const { requests, respond } = await registrar(lab);
  respond.push(401, 401, 401, 401, 401, 401);
  const events = record(lab.call());
  await lab.clock.advance(2000);
  t.same(events, ['ended by remote 401']);
  t.equal(requests.filter(({ method }) => method === 'INVITE').length, 4);
});

t.test(
  'a second answer of a fork is acknowledged and ended, and its 481 ends nothing here',
  async t => {
    const lab = await pair();
    await lab.bob.stop();
    const socket = await lab.network
      .host(BOB)
      .bindDatagram({ address: BOB, port: 5060, trafficClass: 'default' });
    const methods: string[] = [];
    socket.onMessage = (data, from) => {
      const message = parseMessage(data.slice());
      if (message.kind !== 'request') return;
      methods.push(`${message.method} ${message.headers.require(To).params.get('tag') ?? '-'}`);
      const answer = (status: number, tag?: string) => {
        const response = makeResponse(message, status, tag);
        if (status === 200) response.headers.setText('Contact', `<sip:bob@${BOB}>`);
        socket.send(serializeMessage(response), from);
      };
      if (message.method === 'INVITE') {
        answer(200, 'one');
        answer(200, 'two');
      } else if (message.method === 'BYE') {
        answer(481);
      }
    };
    const session = lab.call();
    const events = record(session);
    await lab.clock.advance(2000);
    t.same(methods, ['INVITE -', 'ACK one', 'ACK two', 'BYE two']);
    t.equal(session.established, true);
    t.equal(events.length, 1);
  },
);

t.test('behind a strict router requests go to it, with the target as their last Route', async t => {
  const lab = await pair();
  await lab.bob.stop();
  const hosts = new Map<string, string[]>();
  for (const address of [BOB, '10.0.0.3', '10.0.0.4']) {
    const heard: string[] = [];
    hosts.set(address, heard);
    const socket = await lab.network
      .host(address)
      .bindDatagram({ address, port: 5060, trafficClass: 'default' });
    socket.onMessage = (data, from) => {
      const message = parseMessage(data.slice());
      if (message.kind !== 'request') return;
      heard.push(
        `${message.method} ${formatUri(message.uri)} ${message.headers.texts('Route').join()}`,
      );
      if (message.method !== 'INVITE') return;
      const response = makeResponse(message, 200, 'one');
      response.headers.setText('Contact', `<sip:bob@${BOB}>`);
      response.headers.setText('Record-Route', '<sip:10.0.0.4;lr>', '<sip:10.0.0.3>');
      socket.send(serializeMessage(response), from);
    };
  }
  lab.call();
  await lab.clock.advance(200);
  t.same(hosts.get('10.0.0.3'), ['ACK sip:10.0.0.3 <sip:10.0.0.4;lr>,<sip:bob@10.0.0.2>']);
  t.same(hosts.get('10.0.0.4'), []);
});

/** In Bob's place: answers INVITEs with the statuses in `respond`, in turn. */
async function registrar(lab: Pair) {
  await lab.bob.stop();
  const socket = await lab.network
    .host(BOB)
    .bindDatagram({ address: BOB, port: 5060, trafficClass: 'default' });
  const requests: SipRequest[] = [];
  const respond: number[] = [];
  socket.onMessage = (data, from) => {
    const message = parseMessage(data.slice());
    if (message.kind !== 'request') return;
    requests.push(message);
    const status = message.method === 'INVITE' ? respond.shift() : undefined;
    if (status) socket.send(serializeMessage(makeResponse(message, status, 'tag')), from);
  };
  return { requests, respond };
}
