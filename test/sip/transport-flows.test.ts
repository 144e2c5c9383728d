import t from 'tap';
import { DEFAULT_FLOW_LIMITS } from '../../src/sip/transport/flow-limits.js';
import type { Target } from '../../src/sip/transport/transport.js';
import {
  ALICE,
  attempts,
  BOB,
  BOB_SIP,
  lab,
  ping,
  request,
  SIP_PORT,
  TO_BOB,
  text,
  transports,
} from './transport-lab.js';

t.test('what cannot be framed ends the connection', async t => {
  const world = lab();
  const { heard } = await transports(world, BOB);
  const endless = await world.connect();
  endless.stream.write(Buffer.alloc(70_000, 'x'));
  const greedy = await world.connect();
  greedy.stream.write(Buffer.from(text('MESSAGE', { 'Content-Length': '99999999' })));
  await world.clock.advance(50);
  t.ok(endless.closed, 'a head too large');
  t.ok(greedy.closed, 'a body too large');
  t.equal(heard.length, 0);
});

t.test('a connection without traffic is closed after ten minutes', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  await world.during(ping(alice, 'tcp', BOB_SIP));
  await world.clock.advance(DEFAULT_FLOW_LIMITS.idleMs - 1000);
  await world.during(ping(alice, 'tcp', BOB_SIP));
  await world.clock.advance(DEFAULT_FLOW_LIMITS.idleMs - 1000);
  t.equal(alice.transports.connections, 1);
  await world.clock.advance(2000);
  t.equal(alice.transports.connections, 0);
  t.equal(bob.transports.connections, 0);
  t.equal(world.network.streams.size, 0);
  t.equal(world.clock.pending, 0, 'and leaves nothing behind');
});

t.test(
  'there is room for so many connections; one that is idle makes room for a new one',
  async t => {
    const world = lab();
    const flowLimits = { connections: 4, perAddress: 2 };
    const { manager } = await transports(world, BOB, { flowLimits });
    const from = async (host: string, count: number) => {
      const taps = [];
      for (let i = 0; i < count; i++) taps.push(await world.connect(BOB_SIP, host));
      await world.clock.advance(10);
      return taps;
    };
    const greedy = await from('10.0.1.1', 3);
    t.same(
      greedy.map(({ closed }) => closed !== undefined),
      [false, false, true],
      'two from one address',
    );
    const [other] = await from('10.0.1.2', 1);
    const [third] = await from('10.0.1.3', 1);
    const [late] = await from('10.0.1.4', 1);
    t.ok(greedy[0]?.closed, 'four in all: the address that has most makes room');
    t.notOk(late?.closed ?? greedy[1]?.closed ?? other?.closed ?? third?.closed);
    const [fifth] = await from('10.0.1.5', 1);
    t.ok(fifth?.closed, 'where none has more than the newcomer, there is none');
    await world.clock.advance(DEFAULT_FLOW_LIMITS.crowdedIdleMs);
    greedy[1]?.stream.write(Buffer.from('\r\n\r\n'));
    await world.clock.advance(1000);
    const [now] = await from('10.0.1.6', 1);
    t.notOk(now?.closed);
    t.ok(other?.closed, 'the idlest went');
    t.notOk(greedy[1]?.closed ?? third?.closed);
    t.equal(manager.connections, 4);
    const failed: Error[] = [];
    for (const tap of [greedy[1], third, late, now]) tap?.stream.write(Buffer.from('\r\n\r\n'));
    await world.clock.advance(10);
    const towards: Target = { protocol: 'TCP', endpoint: { address: ALICE, port: SIP_PORT } };
    manager.send(request('OPTIONS', 'z9hG4bK1'), towards, error => failed.push(error));
    await world.clock.advance(10);
    t.match(failed, [{ code: 'TOO_MANY_CONNECTIONS' }]);
  },
);

t.test('who does not finish a message is hung up on, who says nothing is not', async t => {
  const world = lab();
  await transports(world, BOB);
  const slow = await world.connect();
  const quiet = await world.connect();
  const halfPing = await world.connect();
  halfPing.stream.write(Buffer.from('\r\n'));
  const started = world.clock.now();
  const options = text('OPTIONS');
  for (let i = 0; !slow.closed && i < options.length; i++) {
    slow.stream.write(Buffer.from(options[i] ?? ''));
    await world.clock.advance(500);
  }
  const took = world.clock.now() - started;
  t.ok(took >= DEFAULT_FLOW_LIMITS.partialMs && took < DEFAULT_FLOW_LIMITS.partialMs + 1000);
  t.notOk(quiet.closed);
  t.notOk(halfPing.closed);
});

t.test('unfinished messages of all connections share one bound', async t => {
  const world = lab();
  const flowLimits = { unfinishedOctets: 200_000 };
  const { manager } = await transports(world, BOB, { flowLimits });
  const open = text('MESSAGE', { 'Content-Length': '100000' });
  const first = await world.connect();
  const second = await world.connect();
  const third = await world.connect();
  for (const { stream } of [first, second, third]) {
    stream.write(Buffer.from(open + 'x'.repeat(80_000)));
    await world.clock.advance(10);
  }
  t.ok(third.closed);
  t.notOk(first.closed ?? second.closed);
  first.stream.write(Buffer.from('x'.repeat(20_000)));
  await world.clock.advance(10);
  const fourth = await world.connect();
  fourth.stream.write(Buffer.from(open + 'x'.repeat(80_000)));
  await world.clock.advance(10);
  t.notOk(fourth.closed, 'what is finished makes room');
  t.equal(manager.connections, 3);
});

t.test('a peer that takes nothing holds up so much and no more', async t => {
  const world = lab();
  const { manager, lost } = await transports(world, ALICE, {
    flowLimits: { backlogOctets: 100_000 },
  });
  await world.agent(BOB);
  const failed: Error[] = [];
  const send = () =>
    manager.send(request('OPTIONS', 'z9hG4bK1', 30_000), TO_BOB, error => failed.push(error));
  send();
  await world.clock.advance(50);
  world.network.setLink(BOB, false);
  const flows = new Set([send(), send(), send()]);
  t.equal(lost.length, 0);
  t.equal(flows.size, 1);
  send();
  t.match(lost, [{ flow: [...flows][0], error: { code: 'BACKLOG_FULL' } }]);
  // The next one opens a connection, which waits as long and holds no more.
  for (let i = 0; i < 4; i++) send();
  await world.clock.advance(0);
  t.match(failed, [{ code: 'BACKLOG_FULL' }]);
  await world.clock.advance(DEFAULT_FLOW_LIMITS.handshakeMs);
  t.equal(failed.length, 4);
  t.equal(manager.connections, 0);
});

t.test(
  'what a short cut of the link holds back arrives, a long one ends the connection',
  async t => {
    const world = lab();
    const alice = await world.agent(ALICE);
    await world.agent(BOB);
    await world.during(ping(alice, 'tcp', BOB_SIP));
    world.network.setLink(BOB, false);
    const patient = ping(alice, 'tcp', BOB_SIP);
    await world.clock.advance(5000);
    world.network.setLink(BOB, true);
    t.equal((await world.during(patient, 5000)).status, 200, 'it may take as long again');
    t.equal(attempts(world), 1);
    world.network.setLink(BOB, false);
    await t.rejects(world.during(ping(alice, 'tcp', BOB_SIP)), { code: 'REQUEST_TIMEOUT' });
    await world.clock.advance(60_000);
    t.equal(alice.transports.connections, 0, 'reset');
  },
);

t.test('who is at the other end is asked for a sign of life at once', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  let heard = 0;
  const hear = () => heard++;
  t.equal(alice.transports.ping(TO_BOB, hear), false, 'there is no connection');
  await world.during(ping(alice, 'tcp', BOB_SIP));
  t.equal(alice.transports.ping(TO_BOB, hear), true);
  await world.clock.advance(100);
  t.equal(heard, 1);
  const back = { protocol: 'TCP', endpoint: { address: ALICE, port: SIP_PORT } } as const;
  t.equal(bob.transports.ping(back, hear), false, 'who opened it asks (RFC 5626 §4.4.1)');
  world.network.setLink(BOB, false);
  t.equal(alice.transports.ping(TO_BOB, hear), true);
  await world.clock.advance(DEFAULT_FLOW_LIMITS.pongMs - 100);
  t.equal(heard, 1);
  t.equal(alice.transports.connections, 1);
  await world.clock.advance(200);
  t.equal(alice.transports.connections, 0, 'and is given up where there is none');
});

t.test('pings are answered; a kept connection is pinged, and given up when it is dead', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  const stranger = await world.connect();
  stranger.stream.write(Buffer.from('\r\n\r\n'));
  await world.clock.advance(50);
  t.equal(stranger.heard, '\r\n');
  t.equal(alice.transports.keepAlive(TO_BOB), false, 'there is none yet');
  await world.during(ping(alice, 'tcp', BOB_SIP));
  t.equal(alice.transports.keepAlive(TO_BOB, 100_000), true);
  const before = world.network.trace.length;
  await world.clock.advance(2 * DEFAULT_FLOW_LIMITS.idleMs);
  t.equal(alice.transports.connections, 1, 'a kept connection is never idle');
  const pings = (world.network.trace.length - before) / 2;
  t.ok(pings >= 12 && pings <= 15, `${pings} pings, every 80 to 100 s`);
  world.network.setLink(BOB, false);
  await world.clock.advance(100_000 + DEFAULT_FLOW_LIMITS.pongMs);
  t.equal(alice.transports.connections, 0);
  t.equal(bob.transports.keepAlive(TO_BOB), false);
});

t.test(
  'a connection by which nobody answers gives way to one that the other end has opened since',
  async t => {
    const world = lab();
    const alice = await world.agent(ALICE);
    const bob = await world.agent(BOB);
    await world.during(ping(alice, 'tcp', BOB_SIP));
    world.network.setLink(BOB, false);
    const unanswered = ping(alice, 'tcp', BOB_SIP).catch(() => undefined);
    await world.during(bob.stop());
    await world.clock.advance(6500);
    world.network.setLink(BOB, true);
    const back = await world.agent(BOB);
    await world.during(ping(back, 'tcp', { address: ALICE, port: SIP_PORT }));
    const from = world.clock.now();
    await world.during(ping(alice, 'tcp', BOB_SIP));
    t.ok(world.clock.now() - from < 100, `answered after ${world.clock.now() - from} ms`);
    await world.clock.advance(10_000);
    await unanswered;
  },
);

t.test('who gets no answer by a connection gives it up, and asks by a new one', async t => {
  const world = lab();
  const alice = await world.agent(ALICE);
  const bob = await world.agent(BOB);
  await world.during(ping(alice, 'tcp', BOB_SIP));
  const silentSince = world.clock.now();
  alice.transports.giveUpSilent(TO_BOB, silentSince);
  t.equal(alice.transports.connections, 1, 'nobody waits');
  world.network.setLink(BOB, false);
  const unanswered = t.rejects(ping(alice, 'tcp', BOB_SIP), { code: 'NO_ANSWER' });
  const since = world.clock.now();
  await world.clock.advance(4000);
  alice.transports.giveUpSilent(TO_BOB, since - 1);
  t.equal(alice.transports.connections, 1, 'not for so long yet');
  alice.transports.giveUpSilent(TO_BOB, since);
  t.equal(alice.transports.connections, 0);
  await unanswered;
  world.network.setLink(BOB, true);
  const from = world.clock.now();
  await world.during(ping(alice, 'tcp', BOB_SIP));
  t.ok(world.clock.now() - from < 100);
  const answered = world.clock.now();
  await world.during(ping(alice, 'tcp', BOB_SIP));
  alice.transports.giveUpSilent(TO_BOB, answered);
  t.equal(alice.transports.connections, 1, 'who has said anything since is there');
  await world.during(bob.stop());
});
