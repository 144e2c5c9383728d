import { parseMessage, type SipRequest, Via } from '@sip-stack/parser';
import t from 'tap';
import type { CodedError } from '../../src/core/errors.js';
import { silentLogger } from '../../src/core/logger.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { makeResponse } from '../../src/sip/response.js';
import {
  MAX_ANSWERED_TRANSACTIONS,
  MAX_SERVER_TRANSACTIONS,
  type ServerTransaction,
  TransactionLayer,
} from '../../src/sip/transaction/layer.js';
import { DEFAULT_FLOW_LIMITS } from '../../src/sip/transport/flow-limits.js';
import type { Target } from '../../src/sip/transport/transport.js';
import { selfSigned } from './certificate.js';
import { record } from './pair.js';
import {
  ALICE,
  attempts,
  BOB,
  BOB_SIP,
  lab,
  ping,
  request,
  SIP_PORT,
  STRANGER,
  TO_BOB,
  tap,
  target,
  text,
  transactions,
  transports,
} from './transport-lab.js';

t.test('a message in single octets is one message, two in one piece are two', async t => {
  const world = lab();
  const { heard, manager } = await transports(world, BOB);
  const { stream } = await world.connect();
  for (const octet of Buffer.from(text('OPTIONS'))) stream.write(Uint8Array.of(octet));
  await world.clock.advance(50);
  t.same(
    heard.map(({ message }) => message.kind === 'request' && message.method),
    ['OPTIONS'],
  );
  t.match(heard[0]?.source, { protocol: 'TCP', endpoint: stream.local });
  const two = text('OPTIONS') + text('MESSAGE', {}, 'hello');
  stream.write(Buffer.from(two.slice(0, 200)));
  stream.write(Buffer.from(two.slice(200)));
  stream.write(Buffer.from('nonsense\r\nContent-Length: 0\r\n\r\n'));
  await world.clock.advance(50);
  t.equal(heard.length, 3);
  t.equal(Buffer.from(heard[2]?.message.body ?? '').toString(), 'hello');
  t.equal(manager.statistics.malformed, 1);
  t.equal(manager.connections, 1, 'what is framed but no SIP does not end the connection');
});

t.test('a response goes back by the connection its request came by', async t => {
  const world = lab();
  await world.agent(BOB);
  const stranger = await world.connect();
  // Nobody listens where Via says.
  stranger.stream.write(Buffer.from(text('OPTIONS')));
  await world.clock.advance(50);
  t.match(stranger.heard, /^SIP\/2\.0 200 OK\r\n/);
  t.equal(attempts(world, BOB), 0);
});

t.test('were that gone, it goes to the port in Via by a new one (§18.2.2)', async t => {
  const world = lab();
  const { heard, manager } = await transports(world, BOB);
  const layer = new TransactionLayer(
    { transports: manager, clock: world.clock, random: new SeededRandom(8), logger: silentLogger },
    {
      request: (message, transaction) =>
        world.clock.after(1000, () => transaction?.respond(makeResponse(message, 200, 'b'))),
    },
  );
  let late = '';
  await world.network.host(STRANGER).listenStream({
    address: STRANGER,
    port: 5070,
    onConnection: stream => {
      stream.onData = data => {
        late += Buffer.from(data).toString();
      };
    },
  });
  const { stream } = await world.connect();
  // The address is not where it comes from: what counts is the latter.
  const via = 'SIP/2.0/TCP 192.0.2.1:5070;rport;branch=z9hG4bK-late';
  stream.write(Buffer.from(text('OPTIONS', { Via: via })));
  await world.clock.advance(100);
  stream.end();
  await world.clock.advance(2000);
  t.match(late, /^SIP\/2\.0 200 OK/);
  t.match(late, /received=10\.0\.0\.9/);
  layer.close();
  t.equal(heard.length, 0, 'the layer heard it instead');
});

t.test('a storm of answered requests is not refused: the oldest are forgotten', async t => {
  const world = lab();
  const { manager } = await transports(world, BOB);
  const layer = new TransactionLayer(
    { transports: manager, clock: world.clock, random: new SeededRandom(8), logger: silentLogger },
    { request: (message, transaction) => storm(message, transaction) },
  );
  let answering = true;
  let taken = 0;
  const storm = (message: SipRequest, transaction: ServerTransaction | undefined) => {
    taken++;
    if (answering) transaction?.respond(makeResponse(message, 200, 'b'));
  };
  const source = { protocol: 'UDP', endpoint: { address: STRANGER, port: 5060 } } as const;
  const say = (branch: number) => {
    const via = `SIP/2.0/UDP ${STRANGER}:5060;branch=z9hG4bK${branch}`;
    manager.onMessage(parseMessage(Buffer.from(text('OPTIONS', { Via: via }))), source);
  };
  const many = MAX_ANSWERED_TRANSACTIONS + 100;
  for (let branch = 0; branch < many; branch++) say(branch);
  t.equal(taken, many);
  t.equal(layer.size.servers, MAX_ANSWERED_TRANSACTIONS);
  say(many - 1);
  t.equal(taken, many, 'the latest is remembered');
  say(0);
  t.equal(taken, many + 1, 'the first is not');

  answering = false;
  for (let branch = 0; branch < MAX_SERVER_TRANSACTIONS + 10; branch++) say(many + branch);
  t.equal(taken, many + 1 + MAX_SERVER_TRANSACTIONS, 'what nobody answers is limited');
  await world.clock.advance(33_000);
  t.equal(layer.size.servers, MAX_SERVER_TRANSACTIONS, 'only those are left');
  layer.close();
  t.equal(layer.size.servers, 0);
});

t.test('one connection serves many requests, and both directions of a call', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  let theirs: string[] = [];
  bob.onSession = session => {
    theirs = record(session);
    session.ring();
    world.clock.after(500, () => session.accept('answer'));
    world.clock.after(5000, () => session.hangUp());
  };
  for (let i = 0; i < 3; i++) {
    t.equal((await world.during(ping(alice, 'tcp', BOB_SIP))).status, 200);
  }
  const session = alice.invite({
    uri: target('tcp'),
    to: BOB_SIP,
    from: { user: 'alice' },
    local: { address: ALICE, port: SIP_PORT },
    offer: 'offer',
  });
  const mine = record(session);
  await world.clock.advance(10_000);
  t.same(mine, ['ringing', 'answered answer', 'ended by remote 200']);
  t.same(theirs, ['confirmed undefined', 'ended by local 200']);
  t.equal(attempts(world), 1);
  t.equal(attempts(world, BOB), 0, 'the BYE came by the connection Alice opened (RFC 5923)');
  t.notOk(world.network.traceText().includes('delivered INVITE'), 'no datagram carried the call');
  t.match(session.invite.headers.text('Via'), /^SIP\/2\.0\/TCP 10\.0\.0\.1:5060;/);
  t.match(session.invite.headers.text('Contact'), /transport=tcp/);
  await world.clock.advance(60_000);
  t.same(alice.load, { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 });
  t.same(bob.load, { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 });
});

t.test('nothing is sent twice over a connection, however late the answer', async t => {
  const world = lab();
  const { ask } = await transactions(world);
  let heard = '';
  await world.network.host(BOB).listenStream({
    ...BOB_SIP,
    onConnection: stream => {
      stream.onData = data => {
        heard += Buffer.from(data).toString();
      };
    },
  });
  const asked = ['OPTIONS', 'INVITE'].map(method => ask(request(method, 'z9hG4bK1'), TO_BOB));
  for (const each of asked) await t.rejects(world.during(each), { code: 'REQUEST_TIMEOUT' });
  t.equal(heard.match(/^OPTIONS/gm)?.length, 1);
  t.equal(heard.match(/^INVITE/gm)?.length, 1);
});

t.test('an alias counts only from where it leads to', async t => {
  const world = lab();
  const { manager } = await transports(world, BOB);
  const stranger = await world.connect();
  const options = (host: string) =>
    text('OPTIONS', { Via: `SIP/2.0/TCP ${host}:5070;branch=z9hG4bK-a;alias` });
  const towards = (address: string): Target => ({
    protocol: 'TCP',
    endpoint: { address, port: 5070 },
  });
  stranger.stream.write(Buffer.from(options(ALICE)));
  await world.clock.advance(50);
  for (const address of [ALICE, STRANGER]) {
    manager.send(request('OPTIONS', 'z9hG4bK1'), towards(address), () => undefined);
  }
  await world.clock.advance(50);
  t.notMatch(stranger.heard, /OPTIONS/, 'who hides behind another address gets nothing');
  t.equal(attempts(world, BOB), 2);
  stranger.stream.write(Buffer.from(options(STRANGER)));
  await world.clock.advance(50);
  manager.send(request('OPTIONS', 'z9hG4bK2'), towards(STRANGER), () => undefined);
  await world.clock.advance(50);
  t.match(stranger.heard, /OPTIONS/);
  t.equal(attempts(world, BOB), 2);
});

t.test('a refused connection fails the request at once and says why', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  await world.agent(BOB, { listen: { udp: BOB_SIP } });
  await t.rejects(world.during(ping(alice, 'tcp', BOB_SIP), 100), {
    code: 'CONNECTION_REFUSED',
    message: /10\.0\.0\.2:5060/,
  });
  const session = alice.invite({
    uri: target('tcp'),
    to: BOB_SIP,
    from: { user: 'alice' },
    local: { address: ALICE, port: SIP_PORT },
    offer: 'offer',
  });
  const events = record(session);
  await world.clock.advance(100);
  t.same(events, ['ended by remote 503']);
  t.equal(alice.transports.connections, 0);
});

t.test('a host that does not answer is given up after 10 s, and so is a name of none', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const asked = world.clock.now();
  await t.rejects(world.during(ping(alice, 'tcp', BOB_SIP)), { code: 'CONNECTION_TIMEOUT' });
  t.equal(world.clock.now() - asked, DEFAULT_FLOW_LIMITS.handshakeMs);
  await t.rejects(world.during(ping(alice, 'sctp', BOB_SIP)), { code: 'UNSUPPORTED_TRANSPORT' });
  await t.rejects(world.during(ping(alice, 'tls', BOB_SIP)), { code: 'NO_TLS' });
  world.network.setLink(ALICE, false);
  await t.rejects(world.during(ping(alice, 'tcp', BOB_SIP), 100), { code: 'NO_ROUTE' });
});

t.test('an unanswered request fails with its connection, an answered one goes on', async t => {
  const world = lab();
  const { ask, layer } = await transactions(world);
  let far: ReturnType<typeof tap> | undefined;
  await world.network.host(BOB).listenStream({
    ...BOB_SIP,
    onConnection: stream => {
      far = tap(stream);
    },
  });
  const unanswered = ask(request('OPTIONS', 'z9hG4bK-silent'), TO_BOB);
  const statuses: number[] = [];
  const failures: CodedError[] = [];
  const invite = request('INVITE', 'z9hG4bK-rings');
  layer.request(invite, TO_BOB, {
    response: ({ status }) => statuses.push(status),
    failed: error => failures.push(error),
  });
  await world.clock.advance(50);
  const answer = (status: string) =>
    text('INVITE', { Via: invite.headers.text('Via') ?? '', To: `<sip:bob@${BOB}>;tag=b` }).replace(
      /^.*/,
      `SIP/2.0 ${status}`,
    );
  far?.stream.write(Buffer.from(answer('180 Ringing')));
  await world.clock.advance(50);
  far?.stream.end();
  await t.rejects(world.during(unanswered, 100), { code: 'CONNECTION_CLOSED' });
  t.same(statuses, [180]);
  t.equal(failures.length, 0);
  // The server comes back by a connection of its own (§18.2.2).
  const again = await world.connect({ address: ALICE, port: SIP_PORT }, BOB);
  again.stream.write(Buffer.from(answer('200 OK')));
  await world.clock.advance(50);
  t.same(statuses, [180, 200]);
});

t.test('a request too large for a datagram goes over TCP, a smaller one does not', async t => {
  const world = lab();
  const { ask } = await transactions(world);
  await world.agent(BOB);
  const overUdp: Target = { protocol: 'UDP', endpoint: BOB_SIP };
  const small = request('OPTIONS', 'z9hG4bK-small', 800);
  t.equal((await world.during(ask(small, overUdp), 200)).status, 200);
  t.equal(attempts(world), 0);
  const large = request('OPTIONS', 'z9hG4bK-large', 5000);
  const response = await world.during(ask(large, overUdp), 200);
  t.equal(response.status, 200);
  t.equal(response.headers.require(Via).transport, 'TCP');
  t.equal(attempts(world), 1);
});

t.test(
  '… unless TCP is refused: then it is tried as a datagram all the same (§18.1.1)',
  async t => {
    const world = lab();
    const { ask } = await transactions(world);
    await world.agent(BOB, { listen: { udp: BOB_SIP } });
    const large = request('OPTIONS', 'z9hG4bK-large', 5000);
    const asked = ask(large, { protocol: 'UDP', endpoint: BOB_SIP });
    const response = await world.during(asked, 200);
    t.equal(response.status, 200);
    const via = response.headers.require(Via);
    t.equal(via.transport, 'UDP');
    t.notOk(via.params.has('alias'));
  },
);

t.test('a CANCEL follows its INVITE where its size has taken it', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  let theirs: string[] = [];
  bob.onSession = session => {
    theirs = record(session);
    session.ring();
  };
  const session = alice.invite({
    uri: target('udp'),
    to: BOB_SIP,
    from: { user: 'alice' },
    local: { address: ALICE, port: SIP_PORT },
    offer: 'x'.repeat(2000),
  });
  const mine = record(session);
  await world.clock.advance(500);
  session.hangUp();
  await world.clock.advance(500);
  t.same(mine, ['ringing', 'ended by local 487']);
  t.same(theirs, ['ended by remote 487']);
  t.match(world.network.traceText(), /TCP \S+ CANCEL/);
});

function pinning(...known: { fingerprint: string }[]) {
  const keys = known.map(({ fingerprint }) => fingerprint);
  return { type: 'keys', accept: (key: string) => keys.includes(key) } as const;
}

t.test('over TLS both ends prove their keys, and may call back by the same connection', async t => {
  const world = lab();
  const [a, b, m] = [selfSigned('alice'), selfSigned('bob'), selfSigned('mallory')];
  const listen = (address: string) => ({ listen: { tls: { address, port: 5061 } } });
  const alice = await world.agent(ALICE, {
    ...listen(ALICE),
    tls: { identity: a, trust: pinning(b) },
  });
  const bob = await world.agent(BOB, { ...listen(BOB), tls: { identity: b, trust: pinning(a) } });
  const mallory = await world.agent(STRANGER, {
    ...listen(STRANGER),
    tls: { identity: m, trust: { type: 'anybody' } },
  });
  const bobTls = { address: BOB, port: 5061 };
  t.equal((await world.during(ping(alice, 'tls', bobTls))).status, 200);
  t.equal((await world.during(ping(bob, 'tls', { address: ALICE, port: 5061 }))).status, 200);
  t.equal(attempts(world, BOB), 0, 'Alice asked for an alias and has proved who she is');
  await t.rejects(world.during(ping(mallory, 'tls', bobTls)), { code: 'TLS_FAILED' });
  const toMallory = { address: STRANGER, port: 5061 };
  await t.rejects(world.during(ping(alice, 'tls', toMallory)), { code: 'TLS_UNTRUSTED' });
  t.equal(bob.statistics.received, 2);
});

t.test('who has proved a key may ask for an alias from behind another address', async t => {
  const world = lab();
  const [a, b] = [selfSigned('alice'), selfSigned('bob')];
  const alice = await transports(world, ALICE, { tls: { identity: a, trust: pinning(b) } });
  const bob = await transports(world, BOB, {
    listen: { tls: { address: BOB, port: 5061 } },
    tls: { identity: b, trust: pinning(a) },
  });
  const ask = request('OPTIONS', 'z9hG4bK1');
  const via = 'SIP/2.0/TLS 192.168.0.7:5061;branch=z9hG4bK1;alias';
  ask.headers.setText('Via', via);
  const toBob: Target = { protocol: 'TLS', endpoint: { address: BOB, port: 5061 } };
  alice.manager.send(ask, toBob, () => undefined);
  await world.clock.advance(50);
  t.equal(bob.heard.length, 1);
  const back: Target = { protocol: 'TLS', endpoint: { address: ALICE, port: 5061 } };
  bob.manager.send(request('OPTIONS', 'z9hG4bK2'), back, () => undefined);
  await world.clock.advance(50);
  t.equal(alice.heard.length, 1);
});

async function callTrace(seed: number): Promise<string> {
  const world = lab(seed);
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  world.network.link = { delayMs: 5, jitterMs: 20, loss: 0.1, duplication: 0 };
  bob.onSession = session => session.accept('answer');
  const session = alice.invite({
    uri: target('tcp'),
    to: BOB_SIP,
    from: { user: 'alice' },
    local: { address: ALICE, port: SIP_PORT },
    offer: 'offer',
  });
  session.on('answered', () => world.clock.after(1000, () => session.hangUp()));
  await world.clock.advance(20_000);
  return world.network.traceText();
}

t.test('the same seed gives the same trace, over a link that loses and jitters', async t => {
  const first = await callTrace(3);
  t.match(first, /BYE sip/);
  t.equal(await callTrace(3), first);
  t.not(await callTrace(4), first);
});

t.test('a port taken for TCP says so', async t => {
  const world = lab();
  await world.network.host(ALICE).listenStream({
    address: ALICE,
    port: SIP_PORT,
    onConnection: () => undefined,
  });
  await t.rejects(world.agent(ALICE), { code: 'ADDRESS_IN_USE', message: /TCP/ });
  const again = await world.agent(ALICE, {
    listen: { udp: { address: ALICE, port: SIP_PORT } },
  });
  t.equal(again.local.port, SIP_PORT, 'and UDP was given back');
});
