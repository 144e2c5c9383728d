import t from 'tap';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import type { LinkOptions } from '../../src/simulation/virtual-network.js';

/** Bob calls Alice's echo test by name, talks for ten seconds and hangs up; returns all that was sent. */
async function callTrace(seed: number, link: Partial<LinkOptions> = {}) {
  const world = new Simulation({ seed, link });
  await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const phases: string[] = [];
  const call = bob.calls.dial('*43@alice');
  call.on('phase', phase => phases.push(phase));
  call.once('ended', end => phases.push(end.code));
  await world.clock.advanceUntil(() => call.phase === 'connected', 40_000);
  const tone = await bob.media.openTone({ tones: [{ frequencies: [440] }] });
  if (call.leg) bob.media.connect(tone, call.leg);
  await world.clock.advance(10_000);
  const statistics = await call.statistics();
  call.hangUp();
  await world.stop();
  return { trace: world.network.traceText(), phases, statistics, pending: world.clock.pending };
}

t.test('a call by name between two simulated phones carries voice both ways', async t => {
  const { phases, statistics, trace, pending } = await callTrace(1);
  t.same(phases, ['trying', 'connected', 'HUNG_UP']);
  t.ok(
    (statistics?.packetsReceived ?? 0) >= 495,
    `${statistics?.packetsReceived} packets came back`,
  );
  t.equal(statistics?.packetsLost, 0);
  t.equal(statistics?.concealedFrames, 0);
  t.match(trace, /INVITE sip:\*43@10\.0\.0\.1/);
  t.match(trace, /BYE sip:/);
  t.equal(pending, 0, 'no timer outlives the phones');
});

t.test('the same seed gives the same trace, octet for octet; another seed another', async t => {
  const rough = { delayMs: 10, jitterMs: 30, loss: 0.05, duplication: 0.02 };
  const [first, second, other] = [
    await callTrace(7, rough),
    await callTrace(7, rough),
    await callTrace(8, rough),
  ];
  t.ok(first.trace.split('\n').length > 1000, 'the trace holds the voice too');
  t.equal(first.trace, second.trace);
  t.not(first.trace, other.trace);
});

t.test('a call survives five seconds without a link', async t => {
  const world = new Simulation({ seed: 3 });
  await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const call = bob.calls.dial('*43@alice');
  await world.clock.advanceUntil(() => call.phase === 'connected', 5000);
  await world.clock.advance(3000);
  world.network.setLink('10.0.0.2', false);
  await world.clock.advance(5000);
  world.network.setLink('10.0.0.2', true);
  const before = (await call.statistics())?.packetsReceived ?? 0;
  await world.clock.advance(3000);
  const after = (await call.statistics())?.packetsReceived ?? 0;
  t.equal(call.phase, 'connected');
  t.ok(after - before >= 145, `${after - before} packets in the three seconds after`);
  call.hangUp();
  await world.stop();
});

t.test('a far end that vanishes is given up after a minute, at both ends of nothing', async t => {
  const world = new Simulation({ seed: 4 });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const call = bob.calls.dial('*43@alice');
  await world.clock.advanceUntil(() => call.phase === 'connected', 5000);
  await world.clock.advance(2000);
  world.network.setLink('10.0.0.2', false);
  await world.clock.advance(70_000);
  t.equal(alice.calls.current.length, 0, 'the phone that is still on the network');
  t.equal(bob.calls.current.length, 0, 'the one that is not');
  await world.stop();
});

/** Two phones of one name start at once; bob calls alice-2, whoever that is; all that was sent. */
async function namesakesTrace(seed: number) {
  const world = new Simulation({ seed, mdns: true, link: { loss: 0.02, jitterMs: 5 } });
  const alices = [
    await world.addPhone('alice', '10.0.0.1'),
    await world.addPhone('alice', '10.0.0.2'),
  ];
  const bob = await world.addPhone('bob', '10.0.0.3');
  const call = bob.calls.dial('*43@alice-2');
  await world.clock.advanceUntil(() => call.phase === 'connected', 6000);
  const connectedAt = world.clock.now();
  const names = alices.map(({ name }) => name).sort();
  call.hangUp();
  await world.stop();
  return { names, connectedAt, trace: world.network.traceText(), pending: world.clock.pending };
}

t.test(
  'phones that find each other by multicast DNS: no name twice, and the same seed the same trace',
  async t => {
    const [first, second] = [await namesakesTrace(5), await namesakesTrace(5)];
    t.same(first.names, ['alice', 'alice-2']);
    t.comment(`connected ${Math.round(first.connectedAt)} ms after the start of all three`);
    t.equal(first.trace, second.trace);
    t.equal(first.pending, 0, 'no timer outlives them');
  },
);

t.test('a phone that vanished from the LAN is forgotten after a call in vain', async t => {
  const world = new Simulation({ seed: 6, mdns: true });
  await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  await world.clock.advance(3000);
  const knows = () => bob.browser.phones().some(({ name }) => name === 'alice');
  t.ok(knows());
  world.network.setLink('10.0.0.1', false);
  const call = bob.calls.dial('alice');
  await world.clock.advanceUntil(() => !knows(), 40_000);
  t.ok(world.clock.now() < 60_000, 'long before its records run out');
  await world.clock.advanceUntil(() => call.phase === 'ended', 60_000);
  await world.stop();
});
