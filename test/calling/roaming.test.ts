import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import type { CallEnd } from '../../src/calling/call-end.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';

const ALICE = '10.0.0.1';
const BOB = '10.0.0.2';
const ELSEWHERE = '10.0.0.77';

/** A change is noticed within 250 ms, settled 100 ms later, and told at once. */
const NOTICED_MS = 400;

/** Bob calls Alice, who answers; both say something all the time. */
async function talk(seed = 1, options = {}, mdns = false) {
  const world = new Simulation({ seed, mdns });
  const alice = await world.addPhone('alice', ALICE, { roams: true, ...options });
  const bob = await world.addPhone('bob', BOB, { roams: true, ...options });
  const taken: Call[] = [];
  alice.person.attend(call => {
    taken.push(call);
    call.answer();
  });
  const call = bob.calls.dial('alice');
  await world.clock.advanceUntil(() => call.phase === 'connected', 5000);
  await world.clock.advance(1000);
  const [atAlice] = taken;
  if (!atAlice) throw new Error('Alice has no call');
  return { world, alice, bob, call, atAlice };
}

async function packets(call: Call): Promise<number> {
  return (await call.statistics())?.packetsReceived ?? 0;
}

function endOf(call: Call): { end: CallEnd | undefined } {
  const ended: { end: CallEnd | undefined } = { end: undefined };
  call.once('ended', end => {
    ended.end = end;
  });
  return ended;
}

/** How much of the next `ms` is heard at each end, in ms. */
async function heardIn(world: Simulation, calls: readonly Call[], ms: number): Promise<number[]> {
  const before = await Promise.all(calls.map(packets));
  await world.clock.advance(ms);
  const after = await Promise.all(calls.map(packets));
  return after.map((count, index) => (count - (before[index] ?? 0)) * 20);
}

for (const [mover, from] of [
  ['the caller', BOB],
  ['who was called', ALICE],
] as const) {
  for (const hangsUp of ['who moved', 'who did not'] as const) {
    t.test(`${mover} moves: voice goes on both ways, and ${hangsUp} can hang up`, async t => {
      const { world, call, atAlice } = await talk();
      const calls = [call, atAlice];
      world.network.moveHost(from, ELSEWHERE);
      const heard = await heardIn(world, calls, 3000);
      t.comment(`heard ${heard.join(' and ')} ms of 3000`);
      for (const ms of heard) t.ok(ms >= 3000 - NOTICED_MS - 40, `${ms} ms`);
      for (const ms of await heardIn(world, calls, 1000)) t.ok(ms >= 980);
      const [moved, stayed] = from === BOB ? calls : calls.toReversed();
      const [first, second] = hangsUp === 'who moved' ? [moved, stayed] : [stayed, moved];
      if (!first || !second) throw new Error('two calls');
      const ended = endOf(second);
      first.hangUp();
      await world.clock.advance(100);
      t.match(ended.end, { code: 'REMOTE_HUNG_UP' });
      const bye = world.network.trace.findLast(({ what }) => what.includes(' BYE '));
      if (hangsUp === 'who did not') t.equal(bye?.to, `${ELSEWHERE}:5060`, 'by the new address');
      await world.stop();
      t.equal(world.clock.pending, 0);
    });
  }
}

t.test('the stream is the same one before and after: nothing begins anew', async t => {
  const { world, call, atAlice } = await talk();
  const before = await atAlice.statistics();
  world.network.moveHost(BOB, ELSEWHERE);
  await world.clock.advance(3000);
  const after = await atAlice.statistics();
  const missed = (after?.packetsLost ?? 0) - (before?.packetsLost ?? 0);
  t.ok(
    missed > 0 && missed * 20 <= NOTICED_MS + 40,
    `${missed} packets were lost, all of them counted`,
  );
  t.equal(after?.packetsDuplicate, 0);
  t.equal(call.phase, 'connected');
  await world.stop();
});

t.test('what is encrypted goes on under its keys', async t => {
  const { world, call, atAlice } = await talk(2, { srtp: 'offer' });
  t.ok(call.encryption);
  world.network.moveHost(ALICE, ELSEWHERE);
  await world.clock.advance(1500);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980);
  t.same(call.encryption, atAlice.encryption);
  await world.stop();
});

t.test('who moves once more while the first move is told ends up where it is', async t => {
  const { world, call, atAlice } = await talk();
  world.network.moveHost(BOB, '10.0.0.76');
  await world.clock.advance(360);
  world.network.moveHost('10.0.0.76', ELSEWHERE);
  await world.clock.advance(3000);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980);
  const ended = endOf(call);
  atAlice.hangUp();
  await world.clock.advance(100);
  t.match(ended.end, { code: 'REMOTE_HUNG_UP' });
  await world.stop();
});

t.test('who moves on hold stays on hold, and is heard again where it is', async t => {
  const { world, call, atAlice } = await talk();
  call.hold(true);
  await world.clock.advance(200);
  t.ok(call.held);
  const held: boolean[] = [];
  call.on('held', state => held.push(state));
  world.network.moveHost(BOB, ELSEWHERE);
  await world.clock.advance(1000);
  t.ok(call.held, 'the move tells that they wait still');
  t.same(held, [], 'nobody asked for it');
  const [waits] = await heardIn(world, [call], 1000);
  t.equal(waits, 0);
  call.hold(false);
  await world.clock.advance(200);
  t.same(held, [false]);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980);
  await world.stop();
});

t.test('hold pressed in the very moment of a move reaches the other side', async t => {
  const { world, call, atAlice } = await talk();
  const held: boolean[] = [];
  call.on('held', state => held.push(state));
  world.network.moveHost(BOB, ELSEWHERE);
  await world.clock.advance(10);
  call.hold(true);
  await world.clock.advance(6000);
  t.same(held, [true]);
  const [, hears] = await heardIn(world, [call, atAlice], 1000);
  t.ok((hears ?? 0) >= 980, 'music would be heard');
  await world.stop();
});

t.test('an attended transfer by who has moved between consulting and passing on', async t => {
  const { world, alice, call, atAlice } = await talk();
  const carol = await world.addPhone('carol', '10.0.0.3', { roams: true });
  carol.person.attend(incoming => incoming.answer());
  atAlice.hold(true);
  const consultation = alice.calls.dial('carol');
  await world.clock.advance(1000);
  t.equal(consultation.phase, 'connected');
  world.network.moveHost(ALICE, ELSEWHERE);
  await world.clock.advance(1000);
  const transferred: string[] = [];
  call.on('transferred', target => transferred.push(target));
  atAlice.transfer(consultation);
  await world.clock.advance(2000);
  t.same(transferred, ['carol']);
  t.equal(alice.calls.current.length, 0);
  const [ms] = await heardIn(world, [call], 1000);
  t.ok((ms ?? 0) >= 980, 'Carol is heard');
  await world.stop();
});

t.test('offers that meet: who has moved tells it again', async t => {
  const { world, call, atAlice } = await talk();
  world.network.moveHost(BOB, ELSEWHERE);
  await world.clock.advanceUntil(
    () => world.network.traceText().includes(`${ELSEWHERE}:5060 ${ALICE}:5060`),
    1000,
  );
  // Bob's re-INVITE is under way: Alice's meets it.
  atAlice.hold(true);
  await world.clock.advance(6000);
  t.ok(atAlice.held);
  t.equal(call.phase, 'connected');
  atAlice.hold(false);
  await world.clock.advance(1000);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980);
  await world.stop();
});

t.test('both move at once: who has called finds the other by its name', async t => {
  const { world, call, atAlice } = await talk(6, {}, true);
  world.network.moveHost(BOB, ELSEWHERE);
  world.network.moveHost(ALICE, '10.0.0.78');
  await world.clock.advance(5000);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980, `${ms} ms`);
  await world.clock.advance(40_000);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980, 'and it lasts');
  const ended = endOf(call);
  atAlice.hangUp();
  await world.clock.advance(100);
  t.match(ended.end, { code: 'REMOTE_HUNG_UP' });
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('what was asked of who has moved meanwhile is asked again where it is', async t => {
  const { world, call, atAlice } = await talk();
  const held: boolean[] = [];
  atAlice.on('held', state => held.push(state));
  world.network.moveHost(BOB, ELSEWHERE);
  // To where Bob is no more.
  atAlice.hold(true);
  await world.clock.advance(1500);
  t.same(held, [true]);
  t.equal(call.phase, 'connected');
  await world.stop();
});

t.test('a new address without a network yet: told again until it is there', async t => {
  const { world, call, atAlice } = await talk();
  world.network.setLink(BOB, false);
  await world.clock.advance(2000);
  world.network.moveHost(BOB, ELSEWHERE);
  world.network.link = { ...world.network.link, loss: 1 };
  await world.clock.advance(3000);
  world.network.link = { ...world.network.link, loss: 0 };
  await world.clock.advance(4000);
  for (const ms of await heardIn(world, [call, atAlice], 1000)) t.ok(ms >= 980);
  await world.stop();
});

t.test('the network never comes back: both ends say so within two minutes', async t => {
  const { world, call, atAlice } = await talk();
  const [bobs, alices] = [endOf(call), endOf(atAlice)];
  world.network.setLink(BOB, false);
  await world.clock.advance(70_000);
  t.match(bobs.end, { code: 'MEDIA_LOST', message: /nothing has been heard/ });
  t.match(alices.end, { code: 'MEDIA_LOST' });
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('an address in a network where nobody hears us: the call ends, and says why', async t => {
  const { world, call } = await talk();
  const bobs = endOf(call);
  world.network.moveHost(BOB, ELSEWHERE);
  world.network.link = { ...world.network.link, loss: 1 };
  await world.clock.advance(35_000);
  t.match(bobs.end, { code: 'UNREACHABLE', message: /alice does not respond any more/ });
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a phone that rings and moves can be answered, and tells where it is', async t => {
  const world = new Simulation({ seed: 5 });
  const alice = await world.addPhone('alice', ALICE, { roams: true });
  const bob = await world.addPhone('bob', BOB, { roams: true });
  let ringing: Call | undefined;
  alice.person.attend(call => {
    ringing = call;
    call.ring();
  });
  const call = bob.calls.dial('alice');
  await world.clock.advanceUntil(() => call.phase === 'ringing', 5000);
  world.network.moveHost(ALICE, ELSEWHERE);
  await world.clock.advance(1000);
  t.match(world.network.traceText(), new RegExp(`${ELSEWHERE}:5060 ${BOB}:5060 .* UPDATE `));
  ringing?.answer();
  await world.clock.advance(500);
  t.equal(call.phase, 'connected');
  if (!ringing) throw new Error('nobody rang');
  for (const ms of await heardIn(world, [call, ringing], 1000)) t.ok(ms >= 980);
  const ended = endOf(ringing);
  call.hangUp();
  await world.clock.advance(100);
  t.match(ended.end, { code: 'REMOTE_HUNG_UP' });
  await world.stop();
  t.equal(world.clock.pending, 0);
});
