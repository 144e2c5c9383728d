/** What peers do that is nearly right: whatever it is, nothing of it stays. Found by `make fuzz`, mostly. */
import t from 'tap';
import { playDisorder } from './disorder.js';
import { BOB, pair, record } from './pair.js';
import { insteadOfBob, methodsOf, PEER, peerAt, request, ringingBob } from './peer.js';

/** `make fuzz` plays a thousand. */
const SCENES = 60;
const INPUTS = 100;
const idle = { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 };
/** BYE, CANCEL and INVITE have 64 T1 each. */
const SETTLED_MS = 150_000;

// The stacks that tap wants take most of the time: nobody reads those of refused messages.
Error.stackTraceLimit = 10;

t.test('amid messages that are nearly right nothing is thrown, and nothing is left', async t => {
  for (let seed = 1; seed <= SCENES; seed++) {
    const { complaints } = await playDisorder(seed, INPUTS);
    if (complaints.length > 0) t.fail(`SCENES=1 SCENE_SEED=${seed}`, { complaints });
  }
  t.pass(`${SCENES} scenes`);
});

t.test('a caller whose CANCEL brings no end forgets its INVITE in time (§9.1)', async t => {
  const lab = await pair();
  await insteadOfBob(lab, ({ method }) => [{ status: method === 'INVITE' ? 180 : 200 }]);
  const session = lab.call();
  await lab.clock.advance(1000);
  session.hangUp();
  await lab.clock.advance(SETTLED_MS);
  t.same(lab.alice.load, idle);
});

t.test('a call that ends before its re-INVITE is answered forgets that too', async t => {
  const lab = await pair();
  let invites = 0;
  await insteadOfBob(lab, ({ method }) => {
    if (method !== 'INVITE') return [{ status: 200 }];
    return [{ status: ++invites === 1 ? 200 : 100 }];
  });
  const session = lab.call();
  await lab.clock.advance(1000);
  session.reoffer('other');
  await lab.clock.advance(1000);
  session.hangUp();
  await lab.clock.advance(SETTLED_MS);
  t.same(lab.alice.load, idle);
});

t.test('a re-INVITE nobody has answered is answered 487 when the callee hangs up', async t => {
  const lab = await pair();
  const peer = await peerAt(lab.network, PEER, () => [{ status: 200 }]);
  const ask = async (text: string) => {
    peer.send(text, { address: BOB, port: 5060 });
    await lab.clock.advance(300);
    return `To: ${peer.responses.at(-1)?.headers.text('To')}`;
  };
  let hangUp: () => void = () => undefined;
  lab.bob.onSession = session => {
    hangUp = () => session.hangUp();
    session.accept('answer');
  };
  const to = await ask(request('INVITE', 1, [], 'offer'));
  await ask(request('ACK', 1, [to]));
  await ask(request('INVITE', 2, [to], 'other'));
  t.equal(peer.responses.at(-1)?.status, 100, 'nobody has answered it');
  hangUp();
  await lab.clock.advance(100);
  t.equal(peer.responses.at(-1)?.status, 487);
  t.same(methodsOf(peer), ['1 BYE']);
});

const unreadable = [
  'Session-Expires: soon',
  'Contact: <sip:',
  'Record-Route: <',
  'Allow: @',
  'Content-Type: x',
];

for (const line of unreadable) {
  const [name = '', value = ''] = line.split(': ');
  t.test(`a call is answered though its answer says "${line}"`, async t => {
    const lab = await pair();
    const peer = await insteadOfBob(lab, () => [{ status: 200, headers: { [name]: value } }]);
    const session = lab.call();
    const events = record(session);
    await lab.clock.advance(1000);
    t.match(events.join(), /^answered/);
    t.same(methodsOf(peer), ['1 INVITE', '1 ACK']);
    session.hangUp();
    await lab.clock.advance(SETTLED_MS);
    t.same(lab.alice.load, idle);
  });
}

t.test('a request in a call that cannot be understood gets 400, and the call goes on', async t => {
  const { ask, to, lab } = await ringingBob();
  const refused = await ask(request('UPDATE', 2, [to, 'Content-Type: x']));
  t.equal(refused?.status, 400);
  t.match(refused?.headers.text('To'), /tag=/);
  t.equal((await ask(request('UPDATE', 3, [to])))?.status, 200);
  await ask(request('BYE', 4, [to]));
  await lab.clock.advance(SETTLED_MS);
  t.same(lab.bob.load, idle);
});

t.test('what is malformed and not needed is ignored (§8.2.2)', async t => {
  const { ask, to } = await ringingBob();
  const extra = ['Session-Expires: soon', 'Allow: @', 'Supported: @', 'Accept: /'];
  t.equal((await ask(request('UPDATE', 2, [to, ...extra])))?.status, 200);
});

/** Bob learns his address a while after an INVITE has come in. */
async function slowBob() {
  const lab = await pair(1, {}, undefined, 20);
  const peer = await peerAt(lab.network, PEER);
  let calls = 0;
  lab.bob.onSession = session => {
    calls++;
    session.ring();
  };
  const tell = (text: string) => peer.send(text, { address: BOB, port: 5060 });
  const statuses = () =>
    peer.responses.map(({ status, headers }) => `${status} ${headers.text('CSeq')}`);
  return { lab, peer, tell, statuses, calls: () => calls };
}

t.test('an INVITE that comes by two paths at once makes one call', async t => {
  const { lab, tell, statuses, calls } = await slowBob();
  tell(request('INVITE', 1, [], 'offer'));
  tell(request('INVITE', 1, [], 'offer').replace('z9hG4bKINVITE', 'z9hG4bKother'));
  await lab.clock.advance(100);
  t.equal(calls(), 1);
  t.same(statuses(), ['482 1 INVITE', '180 1 INVITE']);
});

t.test('a CANCEL right behind its INVITE ends it, and nobody is rung', async t => {
  const { lab, peer, tell, statuses, calls } = await slowBob();
  tell(request('INVITE', 1, [], 'offer'));
  tell(request('CANCEL', 1).replace('z9hG4bKCANCEL', 'z9hG4bKINVITE'));
  await lab.clock.advance(100);
  t.equal(calls(), 0);
  t.same(statuses(), ['200 1 CANCEL', '487 1 INVITE']);
  const tags = peer.responses.map(({ headers }) => headers.text('To'));
  t.equal(new Set(tags).size, 1, 'with one tag (§9.2)');
  await lab.clock.advance(SETTLED_MS);
  t.same(lab.bob.load, idle);
});

t.test('a call that comes while the phone stops rings nobody', async t => {
  const { lab, tell, calls } = await slowBob();
  tell(request('INVITE', 1, [], 'offer'));
  await lab.clock.advance(5);
  await lab.bob.stop();
  await lab.clock.advance(100);
  t.equal(calls(), 0);
});
