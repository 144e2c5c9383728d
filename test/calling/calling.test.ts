import { formatUri, parseMessage, serializeMessage } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import { parseDialled } from '../../src/calling/dialled.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { makeResponse } from '../../src/sip/response.js';

const dialled: readonly [typed: string, uri: string][] = [
  ['alice', 'sip:alice@local'],
  ['room@alice', 'sip:room@alice.local'],
  ['*43@alice', 'sip:*43@alice.local'],
  ['room@alice.local', 'sip:room@alice.local'],
  ['192.0.2.7', 'sip:192.0.2.7'],
  ['192.0.2.7:5070', 'sip:192.0.2.7:5070'],
  ['bob@192.0.2.7:5070', 'sip:bob@192.0.2.7:5070'],
  ['2001:db8::7', 'sip:[2001:db8::7]'],
  ['bob@2001:db8::7', 'sip:bob@[2001:db8::7]'],
  ['bob@example.net', 'sip:bob@example.net'],
  ['bob@localhost', 'sip:bob@localhost'],
  ['sip:bob@192.0.2.7', 'sip:bob@192.0.2.7'],
  ['SIP:bob@192.0.2.7', 'sip:bob@192.0.2.7'],
  ['sips:bob@example.net', 'sips:bob@example.net'],
  [' alice ', 'sip:alice@local'],
];
for (const [typed, uri] of dialled) {
  t.test(`"${typed}" dials ${uri}`, async t => {
    t.equal(formatUri(parseDialled(typed)), uri);
  });
}
for (const typed of ['', 'a b', 'sip:', '<sip:a@b>', 'bob@']) {
  t.test(`"${typed}" is no address, and the error says what is`, async t => {
    t.throws(() => parseDialled(typed), { code: 'BAD_TARGET', remedy: /Give a name/ });
  });
}

async function town(seed = 1) {
  const world = new Simulation({ seed });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  return { world, alice, bob };
}

/** Everything a call goes through, its end's code last. */
function follow(call: Call): string[] {
  const phases: string[] = [];
  call.on('phase', phase => phases.push(phase));
  call.once('ended', end => phases.push(end.code));
  return phases;
}

t.test('beyond its limit of calls a phone is busy, and free again when one ends', async t => {
  const world = new Simulation({ seed: 1 });
  await world.addPhone('alice', '10.0.0.1', { maxCalls: 2 });
  const bob = await world.addPhone('bob', '10.0.0.2');
  const calls = ['*43@alice', '*43@alice', '*43@alice'].map(target => bob.calls.dial(target));
  const phases = calls.map(follow);
  await world.clock.advance(2000);
  t.same(phases, [
    ['trying', 'connected'],
    ['trying', 'connected'],
    ['trying', 'BUSY'],
  ]);
  calls[0]?.hangUp();
  await world.clock.advance(1000);
  const again = follow(bob.calls.dial('*43@alice'));
  await world.clock.advance(2000);
  t.same(again, ['trying', 'connected']);
  await world.stop();
});

t.test('a call to a name rings until somebody there answers', async t => {
  const { world, alice, bob } = await town();
  const phases = follow(bob.calls.dial('alice'));
  await world.clock.advance(2000);
  t.same(phases, ['trying', 'ringing']);
  const leave = alice.person.attend(call => call.answer());
  await world.clock.advance(100);
  t.same(phases, ['trying', 'ringing', 'connected']);
  t.equal(
    alice.person.attend(() => undefined),
    undefined,
    'only one can answer',
  );
  leave?.();
  alice.calls.hangUpAll();
  await world.clock.advance(100);
  t.equal(phases.at(-1), 'REMOTE_HUNG_UP');
  await world.stop();
});

const failures: readonly [what: string, target: string, code: string, withinMs: number][] = [
  ['a name nobody has', 'zoe', 'NO_SUCH_NAME', 5000],
  ['somebody unknown at a phone', 'zoe@alice', 'NO_SUCH_NAME', 5000],
  ['an address where nothing is', '10.0.0.99', 'UNREACHABLE', 10_000],
];
for (const [what, target, code, withinMs] of failures) {
  t.test(`${what} ends as ${code}`, async t => {
    const { world, bob } = await town();
    const phases = follow(bob.calls.dial(target));
    await world.clock.advance(withinMs);
    t.equal(phases.at(-1), code);
    await world.stop();
    t.equal(world.clock.pending, 0);
  });
}

const refusals: readonly [status: number, code: string][] = [
  [486, 'BUSY'],
  [600, 'BUSY'],
  [603, 'REFUSED'],
  [480, 'NO_ANSWER'],
  [488, 'NO_COMMON_CODEC'],
  [404, 'NO_SUCH_NAME'],
  [500, 'FAILED'],
];
for (const [status, code] of refusals) {
  t.test(`${status} ends as ${code}, with a sentence`, async t => {
    const { world, alice, bob } = await town();
    alice.person.attend(call => call.refuse(status));
    const call = bob.calls.dial('alice');
    let message = '';
    call.once('ended', end => (message = end.message));
    const phases = follow(call);
    await world.clock.advance(1000);
    t.equal(phases.at(-1), code);
    t.match(message, /alice/);
    await world.stop();
  });
}

t.test('no route is told at once', async t => {
  const { world, bob } = await town();
  world.network.setLink('10.0.0.2', false);
  const phases = follow(bob.calls.dial('alice'));
  await world.clock.advance(100);
  t.equal(phases.at(-1), 'NO_ROUTE');
  await world.stop();
});

t.test('an IPv6 address is out of reach for a phone on IPv4, and the error says so', async t => {
  const { world, bob } = await town();
  const call = bob.calls.dial('fe80::1%eth0');
  const phases = follow(call);
  await world.clock.advance(100);
  t.equal(phases.at(-1), 'NO_ROUTE');
  await world.stop();
});

t.test('phones without a codec in common do not connect', async t => {
  const world = new Simulation({ seed: 1 });
  await world.addPhone('alice', '10.0.0.1', { codecs: ['pcmu'] });
  const bob = await world.addPhone('bob', '10.0.0.2', { codecs: ['pcma'] });
  const phases = follow(bob.calls.dial('*43@alice'));
  await world.clock.advance(1000);
  t.same(phases, ['trying', 'NO_COMMON_CODEC']);
  await world.stop();
});

t.test('a caller who gives up: for the phone that rang that is no failure', async t => {
  const { world, alice, bob } = await town();
  const ends: string[] = [];
  alice.calls.on('call', call =>
    call.once('ended', ({ code, message }) => ends.push(`${code}: ${message}`)),
  );
  const call = bob.calls.dial('alice');
  await world.clock.advance(1000);
  call.hangUp();
  await world.clock.advance(1000);
  t.same(ends, ['REMOTE_HUNG_UP: bob gave up']);
  await world.stop();
});

t.test('a phone left ringing gives up after two minutes, and so does the caller', async t => {
  const { world, alice, bob } = await town();
  const phases = follow(bob.calls.dial('alice'));
  await world.clock.advance(119_000);
  t.equal(phases.at(-1), 'ringing');
  await world.clock.advance(2000);
  t.equal(phases.at(-1), 'NO_ANSWER');
  t.equal(alice.calls.current.length, 0);
  await world.stop();
});

t.test('a gateway that says 100 and is slow to ring is not taken for absent', async t => {
  const { world, bob } = await town();
  const gateway = await world.network
    .host('10.0.0.7')
    .bindDatagram({ address: '10.0.0.7', port: 5060, trafficClass: 'default' });
  gateway.onMessage = (data, from) => {
    const request = parseMessage(data);
    if (request.kind !== 'request' || request.method !== 'INVITE') return;
    gateway.send(serializeMessage(makeResponse(request, 100)), from);
  };
  const phases = follow(bob.calls.dial('10.0.0.7'));
  await world.clock.advance(100_000);
  t.same(phases, ['trying']);
  await world.clock.advance(30_000);
  t.same(phases, ['trying', 'NO_ANSWER']);
  await world.stop();
});

t.test('a caller that hangs up while it rings leaves nothing behind', async t => {
  const { world, alice, bob } = await town();
  const call = bob.calls.dial('alice');
  await world.clock.advance(1000);
  t.equal(alice.calls.current.length, 1);
  call.hangUp();
  await world.clock.advance(1000);
  t.equal(alice.calls.current.length, 0);
  t.equal(bob.calls.current.length, 0);
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('hanging up while the name is still looked for ends the search', async t => {
  const { world, bob } = await town();
  const call = bob.calls.dial('zoe');
  const phases = follow(call);
  await world.clock.advance(100);
  call.hangUp();
  await world.clock.advance(1);
  t.same(phases, ['HUNG_UP']);
  await world.stop();
});

t.test('three phones meet in a room, and it is empty when they leave', async t => {
  const { world, alice, bob } = await town();
  const carol = await world.addPhone('carol', '10.0.0.3');
  const calls = [bob.calls.dial('room@alice'), carol.calls.dial('ROOM@alice')];
  await world.clock.advance(1000);
  t.equal(alice.room.members.length, 2);
  for (const call of calls) {
    const heard = await call.statistics();
    t.ok((heard?.packetsReceived ?? 0) > 40, 'everybody hears the room');
    call.hangUp();
  }
  await world.clock.advance(1000);
  t.equal(alice.room.members.length, 0);
  await world.stop();
});

t.test('more calls than a phone can carry are told busy', async t => {
  const { world, alice, bob } = await town();
  const calls = Array.from({ length: 101 }, () => follow(bob.calls.dial('alice')));
  await world.clock.advance(3000);
  t.equal(alice.calls.current.length, 100);
  t.equal(calls.filter(phases => phases.at(-1) === 'BUSY').length, 1);
  await world.stop();
});

t.test('a call on hold is silent from one side, and taken up again', async t => {
  const { world, alice, bob } = await town();
  const call = bob.calls.dial('*43@alice');
  await world.clock.advance(1000);
  const packets = async () => {
    const { packetsSent = 0, packetsReceived = 0 } = (await call.statistics()) ?? {};
    return { packetsSent, packetsReceived };
  };
  call.hold(true);
  await world.clock.advance(1000);
  const held = await packets();
  await world.clock.advance(2000);
  const later = await packets();
  t.equal(later.packetsReceived, held.packetsReceived, 'Alice sends nothing');
  t.ok(later.packetsSent > held.packetsSent, 'we may still be heard');
  t.equal(call.held, true);
  call.hold(false);
  await world.clock.advance(2000);
  t.ok((await packets()).packetsReceived > later.packetsReceived + 90);
  t.equal(alice.calls.current.length, 1);
  call.hangUp();
  await world.clock.advance(100);
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a redirection is followed, but not in circles', async t => {
  const { world, bob } = await town();
  const redirect = async (address: string, ...to: string[]) => {
    const options = { address, port: 5060, trafficClass: 'default' } as const;
    const socket = await world.network.host(address).bindDatagram(options);
    socket.onMessage = (data, from) => {
      const request = parseMessage(data);
      if (request.kind !== 'request' || request.method !== 'INVITE') return;
      const response = makeResponse(request, 302, 'moved');
      response.headers.setText('Contact', to.map(place => `<sip:*43@${place}>`).join(', '));
      socket.send(serializeMessage(response), from);
    };
  };
  await redirect('10.0.0.7', '10.0.0.1');
  const moved = bob.calls.dial('10.0.0.7');
  await world.clock.advance(1000);
  t.equal(moved.phase, 'connected');
  await redirect('10.0.0.9', 'a.example', '10.0.0.1;transport=sctp', '10.0.0.1;transport=tcp');
  const byTcp = bob.calls.dial('10.0.0.9');
  await world.clock.advance(1000);
  t.equal(byTcp.phase, 'connected');
  t.equal(byTcp.location?.target?.protocol, 'TCP', 'the first place that can be tried');
  await redirect('10.0.0.8', '10.0.0.8');
  const circles = follow(bob.calls.dial('10.0.0.8'));
  await world.clock.advance(1000);
  t.equal(circles.at(-1), 'FAILED');
  t.equal(circles.filter(phase => phase === 'trying').length, 6);
  await world.stop();
});
