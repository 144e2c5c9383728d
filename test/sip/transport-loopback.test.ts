import { X509Certificate } from 'node:crypto';
import { connect } from 'node:net';
import { sipUri } from '@sip-stack/parser';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { SystemClock } from '../../src/core/clock.js';
import { silentLogger } from '../../src/core/logger.js';
import type { Endpoint, StreamConnection } from '../../src/core/network.js';
import { SystemRandom } from '../../src/core/random.js';
import { SystemNetwork } from '../../src/core/system-network.js';
import { resolverByLookup } from '../../src/sip/resolver.js';
import { speaksFor } from '../../src/sip/transport/tls-trust.js';
import type { TransportOptions } from '../../src/sip/transport/transport-manager.js';
import { UserAgent } from '../../src/sip/user-agent.js';
import { selfSigned, type TestIdentity } from './certificate.js';
import { record } from './pair.js';
import { tap, text } from './transport-lab.js';

const LOOPBACK = { address: '127.0.0.1', port: 0 };
const network = new SystemNetwork();

/** A user agent on real sockets; it is stopped with the test. */
async function agent(t: Test, options: TransportOptions): Promise<UserAgent> {
  const agent = new UserAgent({
    network,
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
    product: 'Test/1',
    resolve: resolverByLookup(async () => []),
    ...options,
  });
  await agent.start();
  t.teardown(() => agent.stop());
  return agent;
}

type Protocol = 'UDP' | 'TCP' | 'TLS' | 'WS' | 'WSS';

function bound(agent: UserAgent, protocol: Protocol): Endpoint {
  const local = agent.transports.local(protocol);
  if (!local) throw new Error(`expected ${protocol} to be listened for`);
  return local;
}

function uriOf({ address, port }: Endpoint, protocol: Protocol, host = address) {
  return sipUri({ user: 'bob', host, port, params: { transport: protocol.toLowerCase() } });
}

/** OPTIONS, then a call that the callee ends, from `alice` to `bob`. */
async function talk(t: Test, alice: UserAgent, bob: UserAgent, protocol: Protocol): Promise<void> {
  const to = bound(bob, protocol);
  const uri = uriOf(to, protocol);
  const response = await alice.ping(uri, to, 'alice');
  t.equal(response.status, 200);
  t.match(response.headers.text('Via'), new RegExp(`^SIP/2\\.0/${protocol} `));
  bob.onSession = session => {
    session.on('confirmed', () => session.hangUp());
    session.accept('answer');
  };
  const local = await alice.localEndpointFor(to.address);
  const session = alice.invite({ uri, to, from: { user: 'alice' }, local, offer: 'offer' });
  const events = record(session);
  await new Promise(resolve => session.once('ended', resolve));
  t.same(events, ['answered answer', 'ended by remote 200']);
  t.equal(alice.transports.connections, protocol === 'UDP' ? 0 : 1);
}

const anybody = { type: 'anybody' } as const;
const withTls = (identity: TestIdentity) => ({ tls: { identity, trust: anybody } });

t.test('a call over TCP, and over UDP by the same port', async t => {
  const [alice, bob] = [await agent(t, { listen: LOOPBACK }), await agent(t, { listen: LOOPBACK })];
  t.equal(bound(bob, 'TCP').port, bob.local.port);
  await talk(t, alice, bob, 'TCP');
  const udp = await alice.ping(uriOf(bob.local, 'UDP'), bob.local, 'alice');
  t.match(udp.headers.text('Via'), /^SIP\/2\.0\/UDP /);
});

t.test('a call over TLS between certificates nobody has signed', async t => {
  const listen = { tls: LOOPBACK };
  const alice = await agent(t, { listen, ...withTls(selfSigned('alice')) });
  const bob = await agent(t, { listen, ...withTls(selfSigned('bob')) });
  await talk(t, alice, bob, 'TLS');
});

t.test('calls over WebSocket, plain and on TLS, from an agent nobody can connect to', async t => {
  const bob = await agent(t, {
    listen: { ws: LOOPBACK, wss: LOOPBACK },
    ...withTls(selfSigned('bob')),
  });
  const plain = await agent(t, { listen: { udp: LOOPBACK } });
  await talk(t, plain, bob, 'WS');
  const secured = await agent(t, { listen: { udp: LOOPBACK }, tls: { trust: anybody } });
  await talk(t, secured, bob, 'WSS');
  const { port, address } = bound(bob, 'WS');
  const other = await plain.ping(uriOf({ address, port }, 'WS'), { address, port }, 'alice');
  t.match(
    other.headers.text('Via'),
    /^SIP\/2\.0\/WS [0-9a-f]{16}\.invalid;.*received=127\.0\.0\.1/,
  );
});

t.test('a call over IPv6, by each kind of stream', async t => {
  const here = { address: '::1', port: 0 };
  const everywhere = { udp: here, tcp: here, tls: here, ws: here };
  const alice = await agent(t, { listen: everywhere, ...withTls(selfSigned('alice')) });
  const bob = await agent(t, { listen: everywhere, ...withTls(selfSigned('bob')) });
  await talk(t, alice, bob, 'UDP');
  await talk(t, alice, bob, 'TCP');
  for (const protocol of ['TLS', 'WS'] as const) {
    const to = bound(bob, protocol);
    t.equal((await alice.ping(uriOf(to, protocol), to, 'alice')).status, 200, protocol);
  }
});

t.test('who is called by name over TLS has to prove it (RFC 5922)', async t => {
  const names = { dns: ['Bob.Example', '*.wild.example'], uri: ['sip:sip.example'] };
  const certificate = selfSigned('bob', names);
  const bob = await agent(t, { listen: { tls: LOOPBACK }, ...withTls(certificate) });
  const to = bound(bob, 'TLS');
  const caller = (certificates: string[]) =>
    agent(t, {
      listen: { udp: LOOPBACK },
      tls: { trust: { type: 'authorities', certificates } },
    });
  const alice = await caller([certificate.cert]);
  const ping = (from: UserAgent, host: string) => from.ping(uriOf(to, 'TLS', host), to, 'alice');
  t.equal((await ping(alice, 'bob.example')).status, 200);
  t.equal((await ping(alice, 'sip.example')).status, 200);
  t.equal(alice.transports.connections, 1, 'one certificate, one connection');
  for (const host of ['mallory.example', 'a.wild.example', 'bob.example.evil']) {
    await t.rejects(ping(alice, host), { code: 'TLS_UNTRUSTED', message: new RegExp(host) });
  }
  const stranger = await caller([selfSigned('other').cert]);
  await t.rejects(ping(stranger, 'bob.example'), { code: 'TLS_UNTRUSTED' });
  t.ok(speaksFor(new X509Certificate(selfSigned('carol.example').cert), 'carol.example'));
});

t.test('trust may depend on who is called: what one name proved counts for no other', async t => {
  const certificate = selfSigned('bob', { dns: ['bob.example'] });
  const bob = await agent(t, { listen: { tls: LOOPBACK }, ...withTls(certificate) });
  const to = bound(bob, 'TLS');
  const caller = async (known: string) => {
    const authorities = { type: 'authorities', certificates: [known] } as const;
    const trust = (name?: string) => (name === undefined ? anybody : authorities);
    const from = await agent(t, { listen: { udp: LOOPBACK }, tls: { trust } });
    const ping = async (host?: string) => {
      const { status } = await from.ping(uriOf(to, 'TLS', host), to, 'alice');
      return [status, from.transports.connections];
    };
    return ping;
  };
  const knowing = await caller(certificate.cert);
  t.same(await knowing(), [200, 1]);
  t.same(await knowing('bob.example'), [200, 2], 'nobody asked for proof on the first connection');
  t.same(await knowing('bob.example'), [200, 2]);
  t.same(await knowing(), [200, 2]);
  const unknowing = await caller(selfSigned('other').cert);
  t.same(await unknowing(), [200, 1]);
  await t.rejects(unknowing('bob.example'), { code: 'TLS_UNTRUSTED', message: /self.signed/i });
});

t.test(
  'one more protocol may be listened for later, with a certificate made when needed',
  async t => {
    let asked = 0;
    let broken = true;
    const certificate = selfSigned('bob');
    const identity = async () => {
      asked++;
      if (broken) throw new Error('no key yet');
      return certificate;
    };
    const bob = await agent(t, { listen: LOOPBACK, tls: { identity, trust: anybody } });
    const alice = await agent(t, { listen: LOOPBACK, tls: { trust: anybody } });
    t.equal(bob.transports.local('TLS'), undefined);
    await bob.transports.listen('TLS', LOOPBACK);
    await bob.transports.listen('WS', LOOPBACK);
    t.equal(asked, 0);
    const [tls, ws] = [bound(bob, 'TLS'), bound(bob, 'WS')];
    t.equal((await alice.ping(uriOf(ws, 'WS'), ws, 'alice')).status, 200);
    await t.rejects(alice.ping(uriOf(tls, 'TLS'), tls, 'alice'), { name: 'CodedError' });
    broken = false;
    t.equal((await alice.ping(uriOf(tls, 'TLS'), tls, 'alice')).status, 200);
    t.equal(asked, 2);
    await t.rejects(bob.transports.listen('WSS', tls), { code: 'ADDRESS_IN_USE' });
    await t.rejects((await agent(t, { listen: LOOPBACK })).transports.listen('TLS', LOOPBACK), {
      code: 'NO_TLS',
    });
  },
);

t.test('keys that are pinned hold in both directions', async t => {
  const [a, b, m] = [selfSigned('alice'), selfSigned('bob'), selfSigned('mallory')];
  const knowing = (identity: TestIdentity, ...known: TestIdentity[]) => ({
    listen: { tls: LOOPBACK },
    tls: {
      identity,
      trust: {
        type: 'keys',
        accept: (key: string) => known.some(({ fingerprint }) => fingerprint === key),
      } as const,
    },
  });
  const alice = await agent(t, knowing(a, b));
  const bob = await agent(t, knowing(b, a));
  const mallory = await agent(t, knowing(m, b));
  await talk(t, alice, bob, 'TLS');
  const to = bound(bob, 'TLS');
  await t.rejects(mallory.ping(uriOf(to, 'TLS'), to, 'm'), { name: 'CodedError' });
  const nameless = await agent(t, { listen: { udp: LOOPBACK }, tls: { trust: anybody } });
  await t.rejects(nameless.ping(uriOf(to, 'TLS'), to, 'n'), { name: 'CodedError' });
  t.equal(bob.transports.connections, 1);
});

t.test('what does not speak the protocol of the port is told apart at once', async t => {
  const bob = await agent(t, {
    listen: { udp: LOOPBACK, tcp: LOOPBACK, tls: LOOPBACK, ws: LOOPBACK },
    ...withTls(selfSigned('bob')),
  });
  const alice = await agent(t, { listen: { udp: LOOPBACK }, tls: { trust: anybody } });
  const tcp = bound(bob, 'TCP');
  await t.rejects(alice.ping(uriOf(tcp, 'TLS'), tcp, 'a'), { code: 'TLS_FAILED', remedy: /TLS/ });
  await t.rejects(alice.ping(uriOf(tcp, 'WS'), tcp, 'a'), { code: 'WEBSOCKET_FAILED' });
  const tls = bound(bob, 'TLS');
  await t.rejects(alice.ping(uriOf(tls, 'TCP'), tls, 'a'), { code: 'CONNECTION_CLOSED' });
  const nobody = { address: '127.0.0.1', port: 1 };
  await t.rejects(alice.ping(uriOf(nobody, 'TCP'), nobody, 'a'), {
    code: 'CONNECTION_REFUSED',
    message: /127\.0\.0\.1:1/,
    remedy: /TCP/,
  });
  t.equal(alice.transports.connections, 0);
});

/** What a WebSocket client is told at the door. */
function knock(to: Endpoint, protocols: string[], origin?: string): Promise<WebSocket | number> {
  const socket = new WebSocket(`ws://127.0.0.1:${to.port}`, protocols, {
    ...(origin && { origin }),
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.once('error', reject);
  });
}

t.test('a WebSocket is for SIP only, and for pages that may', async t => {
  const bob = await agent(t, {
    listen: { ws: LOOPBACK },
    webSocket: { acceptOrigin: origin => origin !== 'https://evil.example' },
  });
  const to = bound(bob, 'WS');
  t.equal(await knock(to, []), 400);
  t.equal(await knock(to, ['chat']), 400);
  t.equal(await knock(to, ['sip'], 'https://evil.example'), 403);
  const page = await fetch(`http://127.0.0.1:${to.port}/`);
  t.equal(page.status, 426);
  const socket = await knock(to, ['chat', 'sip'], 'https://panel.example');
  if (typeof socket === 'number') throw new Error(`expected a WebSocket, found status ${socket}`);
  const next = () =>
    new Promise<string>(resolve => socket.once('message', data => resolve(String(data))));
  const via = 'SIP/2.0/WS a1.invalid;branch=z9hG4bK-ws';
  socket.send(text('OPTIONS', { Via: via }));
  t.match(await next(), /^SIP\/2\.0 200 OK/);
  socket.send(Buffer.from(text('OPTIONS', { Via: `${via}2`, 'Content-Length': '0' })));
  t.match(await next(), /^SIP\/2\.0 200 OK/, 'binary too');
  socket.send('\r\n\r\n');
  t.equal(await next(), '\r\n');
  socket.send('nonsense');
  socket.send(text('OPTIONS', { Via: `${via}3` }));
  t.match(await next(), /^SIP\/2\.0 200 OK/);
  t.equal(bob.statistics.malformed, 1);
  const closed = new Promise(resolve => socket.once('close', resolve));
  await bob.stop();
  await closed;
});

t.test('a browser is called back by the connection it opened', async t => {
  const bob = await agent(t, { listen: { ws: LOOPBACK } });
  bob.onSession = session => {
    session.on('confirmed', () => session.hangUp());
    session.accept('answer');
  };
  const socket = await knock(bound(bob, 'WS'), ['sip']);
  if (typeof socket === 'number') throw new Error(`expected a WebSocket, found status ${socket}`);
  const heard: string[] = [];
  const until = (pattern: RegExp) =>
    new Promise<string>(resolve => {
      socket.on('message', data => {
        heard.push(String(data));
        if (pattern.test(String(data))) resolve(String(data));
      });
    });
  const fields = {
    Via: 'SIP/2.0/WS a1.invalid;branch=z9hG4bK-b',
    Contact: '<sip:page@a1.invalid;transport=ws>',
  };
  socket.send(text('INVITE', fields));
  const answer = await until(/^SIP\/2\.0 200/);
  const to = /^To: (.*)$/m.exec(answer)?.[1] ?? '';
  socket.send(text('ACK', { ...fields, To: to }));
  t.match(await until(/^BYE/), /^BYE sip:page@a1\.invalid;transport=ws SIP\/2\.0/);
  socket.terminate();
});

t.test('a port that TCP cannot have is an error that says so', async t => {
  const taken = await network.listenStream({ ...LOOPBACK, onConnection: () => undefined });
  await t.rejects(agent(t, { listen: taken.local }), {
    code: 'ADDRESS_IN_USE',
    message: /^TCP port \d+ on 127\.0\.0\.1 is in use/,
    remedy: /another port/,
  });
  await t.rejects(agent(t, { listen: { tls: LOOPBACK } }), { code: 'NO_TLS' });
  taken.close();
});

t.test('streams of the system: data waits, a slow reader is felt, an end arrives', async t => {
  const accepted = new Promise<StreamConnection>(resolve => {
    void network.listenStream({ ...LOOPBACK, onConnection: resolve }).then(listener => {
      t.teardown(() => listener.close());
      const socket = connect(listener.local.port, '127.0.0.1');
      socket.write('early');
      clients.push(socket);
    });
  });
  const clients: ReturnType<typeof connect>[] = [];
  const stream = await accepted;
  const [client] = clients;
  t.equal(stream.remote.port, client?.localPort);
  await new Promise(resolve => setTimeout(resolve, 20));
  const far = tap(stream);
  while (far.heard === '') await new Promise(resolve => setTimeout(resolve, 5));
  t.equal(far.heard, 'early', 'it waited for somebody to listen');
  const block = Buffer.alloc(1024 * 1024);
  let [written, received, ended] = [0, 0, false];
  client?.once('end', () => {
    ended = true;
  });
  while (stream.backlog < 8 * block.length) {
    stream.write(block);
    written += block.length;
  }
  const drained = new Promise<void>(resolve => {
    stream.onDrain = resolve;
  });
  client?.on('data', data => {
    received += data.length;
  });
  await drained;
  t.equal(stream.backlog, 0);
  client?.pause();
  for (let i = 0; i < 8; i++) stream.write(block);
  stream.end();
  await new Promise(resolve => setTimeout(resolve, 20));
  client?.resume();
  while (!far.closed || !ended) await new Promise(resolve => setTimeout(resolve, 5));
  t.same(far.closed, { error: undefined });
  t.equal(received, written + 8 * block.length, 'what was written before the end arrives');
  t.equal(stream.write(block), false, 'a closed connection takes no harm from being used');
  const abort = new AbortController();
  const unanswered = network.connectStream({
    to: { address: '127.0.0.1', port: stream.local.port },
    signal: abort.signal,
  });
  abort.abort(new Error('enough'));
  await t.rejects(unanswered, /enough/);
});
