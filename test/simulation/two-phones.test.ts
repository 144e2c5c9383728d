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
