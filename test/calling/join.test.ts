/** Calls that others join (RFC 3911), and what a call says of who it is from. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatUri, Params, sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import { MAX_GUESTS } from '../../src/calling/joins.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { makeOffer } from '../../src/sip/offer-answer.js';
import type { SipSession } from '../../src/sip/session/session.js';
import { readSound, SAMPLE_RATE } from '../harness/sound.js';
import { levelAtDb } from '../media/signal.js';
import { peerAt } from '../sip/peer.js';

const directory = mkdtempSync(join(tmpdir(), 'ringline-join-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

const ALICE = '10.0.0.1';

async function office() {
  const world = new Simulation({ seed: 8 });
  const alice = await world.addPhone('alice', ALICE);
  const bob = await world.addPhone('bob', '10.0.0.2');
  const carol = await world.addPhone('carol', '10.0.0.3');
  const taken: Call[] = [];
  alice.person.attend(call => {
    taken.push(call);
    call.answer();
  });
  return { world, alice, bob, carol, taken };
}

/** Sends Alice an INVITE with these header fields; it counts from there as one of the phone's calls. */
function invite(phone: Telephone, headers: Record<string, string>, user = 'alice'): SipSession {
  const { userAgent } = phone;
  const endpoint = { address: userAgent.local.address, port: 40_000 };
  return userAgent.invite({
    uri: sipUri({ user, host: ALICE }),
    to: { address: ALICE, port: 5060 },
    from: { user: phone.name },
    local: userAgent.local,
    offer: makeOffer({
      endpoint,
      formats: [{ name: 'PCMU', payloadType: 0, clockRate: 8000 }],
      sessionId: 1,
      version: 0,
    }),
    headers,
  });
}

/** How an INVITE ended, or `answered`. */
async function outcome({ clock }: Simulation, session: SipSession): Promise<string> {
  let told = '';
  session.on('answered', () => (told = 'answered'));
  session.on('ended', ({ status }) => (told = String(status)));
  await clock.advanceUntil(() => told !== '', 5000);
  return told;
}

/** Calls Alice to take part in a call of hers. */
function joinBy(phone: Telephone, call: Call | undefined): Call {
  const headers = new Params().set('Join', call?.dialogName ?? '');
  return phone.calls.dial(formatUri({ ...sipUri({ user: 'alice', host: ALICE }), headers }));
}

t.test('who joins a call hears both sides and is heard by both', async t => {
  const { world, alice, bob, carol, taken } = await office();
  const call = bob.calls.dial('alice');
  await world.clock.advance(1000);
  const tone = async (phone: Telephone, hz: number, at: Call | undefined) => {
    const player = await phone.media.openTone({ tones: [{ frequencies: [hz] }] });
    if (at?.leg) phone.media.connect(player, at.leg);
  };
  const record = async (phone: Telephone, name: string, at: Call | undefined) => {
    const recorder = await phone.media.openRecorder({ file: join(directory, `${name}.wav`) });
    if (at?.leg) phone.media.connect(at.leg, recorder);
    return recorder;
  };
  await tone(alice, 500, taken[0]);
  await tone(bob, 900, call);
  const atAlice = await record(alice, 'alice', taken[0]);
  const atBob = await record(bob, 'bob', call);
  const joining = joinBy(carol, taken[0]);
  await world.clock.advance(1000);
  t.equal(joining.phase, 'connected');
  t.equal(taken.length, 1, 'it did not ring');
  await tone(carol, 1300, joining);
  const atCarol = await record(carol, 'carol', joining);
  await world.clock.advance(4000);
  for (const recorder of [atAlice, atBob, atCarol]) await recorder.close();
  const heard = (name: string) => {
    const samples = readSound(join(directory, `${name}.wav`));
    const last = samples.subarray(-SAMPLE_RATE * 2, -SAMPLE_RATE / 2);
    return [500, 900, 1300].map(hz => levelAtDb(last, hz, SAMPLE_RATE) > -30);
  };
  t.same(heard('alice'), [true, true, true], 'a recorder at Alice’s hears everybody');
  t.same(heard('bob'), [true, false, true]);
  t.same(heard('carol'), [true, true, false]);
  t.equal(alice.calls.current.length, 2);
  joining.hangUp();
  await world.clock.advance(500);
  t.equal(call.phase, 'connected', 'who joined may go');
  const again = joinBy(carol, taken[0]);
  await world.clock.advance(500);
  t.equal(again.phase, 'connected');
  call.hangUp();
  await world.clock.advance(500);
  t.equal(again.phase, 'ended', 'when the call that was joined is over, so is the rest');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a guest may be joined too, and there is an end to it', async t => {
  const { world, bob, carol, taken } = await office();
  bob.calls.dial('alice');
  await world.clock.advance(500);
  const guests: Call[] = [];
  for (let nth = 0; nth <= MAX_GUESTS; nth++) {
    guests.push(joinBy(carol, taken[0]));
    await world.clock.advance(300);
  }
  t.equal(guests.filter(({ phase }) => phase === 'connected').length, MAX_GUESTS);
  t.equal(guests.at(-1)?.phase, 'ended');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a call in the room is joined by coming into the room', async t => {
  const { world, alice, bob, carol } = await office();
  bob.calls.dial('room@alice');
  await world.clock.advance(500);
  const joining = joinBy(carol, alice.calls.current[0]);
  await world.clock.advance(500);
  t.equal(joining.phase, 'connected');
  t.equal(alice.room.members.length, 2);
  await world.stop();
});

t.test('what cannot be joined is refused as the RFCs say', async t => {
  const { world, alice, bob, carol, taken } = await office();
  const [nothing, nobody] = ['x;to-tag=a;from-tag=b', 'y;to-tag=c;from-tag=d'];
  const ask = (headers: Record<string, string>) => outcome(world, invite(carol, headers));
  t.equal(await ask({ Join: nothing }), '481');
  t.equal(await ask({ Join: nothing, Replaces: nobody }), '400', 'both at once');
  t.equal(await ask({ Join: 'no tags' }), '400');
  bob.calls.dial('alice');
  await world.clock.advance(500);
  const Join = taken[0]?.dialogName ?? '';
  t.equal(await ask({ Join, Require: 'join' }), 'answered');
  t.equal(await ask({ Join: Join.replace('to-tag=', 'to-tag=0') }), '481');
  bob.calls.dial('*43@alice');
  await world.clock.advance(500);
  const echo = alice.calls.current.find(({ calledUser }) => calledUser === '*43');
  t.equal(
    await ask({ Join: echo?.dialogName ?? '' }),
    '488',
    'nobody is to be heard at the echo test',
  );
  alice.calls.hangUpAll();
  await world.clock.advance(500);
  t.equal(await ask({ Join }), '481', 'it is over');
  await world.stop();
});

t.test('a call that rings cannot be joined yet', async t => {
  const { world, alice, bob, carol } = await office();
  alice.person.attend(() => undefined);
  const far = await world.addPhone('far', '10.0.0.4');
  bob.calls.dial('far');
  await world.clock.advance(500);
  const [ringing] = far.calls.current;
  const headers = new Params().set('Join', ringing?.dialogName ?? '');
  const uri = formatUri({ ...sipUri({ user: 'far', host: '10.0.0.4' }), headers });
  const joining = carol.calls.dial(uri);
  await world.clock.advance(500);
  t.equal(joining.phase, 'ended');
  t.equal(far.calls.current.length, 1);
  await world.stop();
});

t.test('who sent a call on is told, and who calls only by whom may say so', async t => {
  const { world, alice, taken } = await office();
  const peer = await peerAt(world.network, { address: '10.0.0.9', port: 5060 });
  const call = async (nth: number, ...lines: string[]) => {
    const usual = [
      `INVITE sip:alice@${ALICE} SIP/2.0`,
      `Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK${nth}`,
      'From: <sip:gateway@10.0.0.9>;tag=g',
      `To: <sip:alice@${ALICE}>`,
      `Call-ID: c${nth}`,
      'CSeq: 1 INVITE',
      'Max-Forwards: 70',
      'Contact: <sip:10.0.0.9>',
      'Content-Length: 0',
    ];
    peer.send(`${[...usual, ...lines].join('\r\n')}\r\n\r\n`, { address: ALICE, port: 5060 });
    await world.clock.advance(100);
    return taken.at(-1);
  };
  const asserted = 'P-Asserted-Identity: "Anna" <sip:anna@example.net>';
  const sentOn = [
    'Diversion: "Reception" <sip:reception@example.net>;reason=No-Answer',
    'Diversion: <tel:+4930123>',
  ];
  const diverted = await call(1, asserted, ...sentOn);
  t.equal(diverted?.target, 'gateway', 'anybody can assert anything');
  t.same(diverted?.divertedBy, [
    { name: 'Reception', uri: 'sip:reception@example.net', reason: 'no-answer' },
    { name: 'tel:+4930123', uri: 'tel:+4930123', reason: 'unknown' },
  ]);
  const broken = await call(2, 'Diversion: <<<');
  t.same(broken?.divertedBy, []);
  t.not(broken, diverted, 'and it rings all the same');
  alice.accounts.isServer = ({ endpoint }) => endpoint.address === '10.0.0.9';
  t.equal((await call(3, asserted))?.target, 'Anna', 'a server of ours is believed');
  t.equal((await call(4, 'P-Asserted-Identity: <'))?.target, 'gateway');
  await world.stop();
});
