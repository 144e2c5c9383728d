import { sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';

/** Alice answers what comes; Bob and Carol are there too. */
async function office(seed = 1) {
  const world = new Simulation({ seed });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  const carol = await world.addPhone('carol', '10.0.0.3');
  const taken: Call[] = [];
  for (const phone of [alice, carol]) {
    phone.person.attend(call => {
      taken.push(call);
      call.answer();
    });
  }
  return { world, alice, bob, carol, taken };
}

function follow(call: Call): string[] {
  const events: string[] = [];
  call.on('phase', phase => events.push(phase));
  call.on('transferred', target => events.push(`transferred ${target}`));
  call.on('transferFailed', status => events.push(`transfer failed ${status}`));
  call.once('ended', end => events.push(end.code));
  return events;
}

t.test('a call is passed on to somebody else, and what it hears goes along', async t => {
  const { world, alice, bob, carol, taken } = await office();
  const call = bob.calls.dial('alice');
  const bobs = follow(call);
  await world.clock.advance(1000);
  const tone = await bob.media.openTone({ tones: [{ frequencies: [440] }] });
  if (call.leg) bob.media.connect(tone, call.leg);
  const [atAlice] = taken;
  const alices = atAlice ? follow(atAlice) : [];
  atAlice?.transfer(sipUri({ user: '*43', host: '10.0.0.3' }));
  await world.clock.advance(2000);
  t.same(bobs, ['trying', 'ringing', 'connected', 'transferred *43']);
  t.same(alices, ['HUNG_UP']);
  t.equal(call.target, '*43');
  t.equal(alice.calls.current.length, 0);
  t.equal(carol.calls.current.length, 1);
  const { packetsReceived = 0, concealedFrames } = (await call.statistics()) ?? {};
  t.ok(packetsReceived > 90, 'Carol’s echo is heard');
  t.equal(concealedFrames, 0);
  call.hangUp();
  await world.clock.advance(100);
  t.equal(carol.calls.current.length, 0);
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('somebody who does not exist: the call stays where it was', async t => {
  const { world, bob, taken } = await office();
  const call = bob.calls.dial('alice');
  const bobs = follow(call);
  await world.clock.advance(1000);
  const [atAlice] = taken;
  const alices = atAlice ? follow(atAlice) : [];
  atAlice?.transfer(sipUri({ user: 'nobody', host: '10.0.0.3' }));
  await world.clock.advance(2000);
  t.same(alices, ['transfer failed 404']);
  t.same(bobs, ['trying', 'ringing', 'connected']);
  t.equal(call.phase, 'connected');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('an attended transfer: who was consulted goes on with the other, by Replaces', async t => {
  const { world, alice, bob, carol, taken } = await office();
  const call = bob.calls.dial('alice');
  const bobs = follow(call);
  await world.clock.advance(1000);
  const [atAlice] = taken;
  const consultation = alice.calls.dial('carol');
  const consulted = follow(consultation);
  await world.clock.advance(1000);
  t.equal(consultation.phase, 'connected');
  const atCarol = taken[1];
  const carols = atCarol ? follow(atCarol) : [];
  atAlice?.transfer(consultation);
  await world.clock.advance(2000);
  t.same(bobs, ['trying', 'ringing', 'connected', 'transferred carol']);
  t.same(carols, ['transferred bob']);
  t.equal(consulted.at(-1), 'REMOTE_HUNG_UP');
  t.equal(alice.calls.current.length, 0, 'Alice is out of it');
  t.equal(carol.calls.current.length, 1, 'for Carol it is the same call');
  call.hangUp();
  await world.clock.advance(100);
  t.equal(carols.at(-1), 'REMOTE_HUNG_UP');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a call that would replace one that is not there is refused', async t => {
  const { world, bob } = await office();
  const { clock } = world;
  const call = bob.userAgent.invite({
    uri: sipUri({ user: 'alice', host: '10.0.0.1' }),
    to: { address: '10.0.0.1', port: 5060 },
    from: { user: 'bob' },
    local: bob.userAgent.local,
    offer: 'v=0\r\n',
    headers: { Replaces: 'nothing;to-tag=a;from-tag=b' },
  });
  let status = 0;
  call.on('ended', end => {
    status = end.status;
  });
  await clock.advance(500);
  t.equal(status, 481);
  await world.stop();
});
