/** Manners of real peers: what they are owed, message by message. */
import { sipUri } from '@sip-stack/parser';
import t from 'tap';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import type { AuthenticationExchange } from '../../src/sip/request-client.js';
import { ALICE, BOB, pair, record } from './pair.js';
import { insteadOfBob, methodsOf, PEER, peerAt, request, ringingBob } from './peer.js';

t.test('422 to an INVITE brings it again with the interval demanded, then no more', async t => {
  const lab = await pair();
  const tooSmall = { status: 422, headers: { 'Min-SE': '3600' } };
  const peer = await insteadOfBob(lab, ({ method }) => (method === 'INVITE' ? [tooSmall] : []));
  const events = record(lab.call());
  await lab.clock.advance(2000);
  t.same(methodsOf(peer), ['1 INVITE', '1 ACK', '2 INVITE', '2 ACK']);
  const [first, , second] = peer.requests.map(({ headers }) => headers);
  t.equal(first?.text('Session-Expires'), '1800');
  t.equal(second?.text('Session-Expires'), '3600');
  t.equal(second?.text('Min-SE'), '3600');
  t.equal(second?.text('Call-ID'), first?.text('Call-ID'));
  t.not(second?.text('Via'), first?.text('Via'));
  t.same(events, ['ended by remote 422'], 'it demands what it got');
});

t.test('an interval of nothing, granted, makes no storm of refreshes', async t => {
  const lab = await pair();
  const headers = { 'Session-Expires': '0;refresher=uac', Allow: 'UPDATE' };
  const peer = await insteadOfBob(lab, () => [{ status: 200, headers }]);
  const session = lab.call();
  await lab.clock.advance(10_000);
  const refreshes = methodsOf(peer).filter(method => method.endsWith('UPDATE')).length;
  t.ok(refreshes > 2 && refreshes <= 10, `${refreshes} in 10 s`);
  t.equal(session.established, true);
});

t.test('the ACK to a 2xx carries the credentials of its INVITE (§13.2.2.4)', async t => {
  const exchange: AuthenticationExchange = {
    authorize: request => request.headers.setText('Proxy-Authorization', 'Test let me in'),
    receive: () => ({ type: 'proceed' }),
  };
  const lab = await pair(1, {}, { begin: () => exchange });
  const peer = await insteadOfBob(lab, () => [{ status: 200 }]);
  lab.call();
  await lab.clock.advance(100);
  t.same(methodsOf(peer), ['1 INVITE', '1 ACK']);
  t.equal(peer.requests[1]?.headers.text('Proxy-Authorization'), 'Test let me in');
});

t.test('an answer in a reliable 183 stands where the 200 brings none', async t => {
  const lab = await pair();
  await insteadOfBob(lab, ({ method }) => {
    if (method !== 'INVITE') return [{ status: 200 }];
    const reliable = { Require: '100rel', RSeq: '7' };
    return [{ status: 183, headers: reliable, body: 'answer' }, { status: 200 }];
  });
  const events = record(lab.call());
  await lab.clock.advance(100);
  t.same(events, ['early answer', 'answered answer']);
});

t.test('CANCEL goes where its INVITE went, whatever the Request-URI says (§9.1)', async t => {
  const lab = await pair();
  const peer = await insteadOfBob(lab, ({ method }) => [
    { status: method === 'INVITE' ? 180 : 200 },
  ]);
  const session = lab.alice.invite({
    uri: sipUri({ user: 'bob', host: 'example.net' }),
    to: { address: BOB, port: 5060 },
    from: { user: 'alice' },
    local: { address: ALICE, port: 5060 },
    offer: 'offer',
  });
  await lab.clock.advance(100);
  session.hangUp();
  await lab.clock.advance(100);
  t.same(methodsOf(peer), ['1 INVITE', '1 CANCEL']);
});

t.test('the 200 to CANCEL has the To tag of the INVITE it ends (§9.2)', async t => {
  const { ask, peer, to } = await ringingBob();
  await ask(request('CANCEL', 1).replace('z9hG4bKCANCEL', 'z9hG4bKINVITE'));
  const [, cancelled, terminated] = peer.responses;
  t.same([cancelled?.status, terminated?.status], [200, 487]);
  t.equal(`To: ${cancelled?.headers.text('To')}`, to);
});

t.test('an offer by UPDATE before our answer has to come back (RFC 3311 §5.2)', async t => {
  const { ask, to, events } = await ringingBob();
  const refused = await ask(request('UPDATE', 2, [to], 'other offer'));
  t.equal(refused?.status, 500);
  t.match(refused?.headers.text('Retry-After'), /^\d+$/);
  t.same(events, [], 'nobody is asked about it');
  t.equal((await ask(request('UPDATE', 3, [to])))?.status, 200, 'without an offer it is welcome');
});

t.test('an INVITE with too short an interval gets 422, and none of its calls rings', async t => {
  const lab = await pair();
  const peer = await peerAt(lab.network, PEER);
  let calls = 0;
  lab.bob.onSession = () => calls++;
  const short = ['Supported: timer', 'Session-Expires: 89'];
  peer.send(request('INVITE', 1, short, 'offer'), { address: BOB, port: 5060 });
  await lab.clock.advance(50);
  t.equal(peer.responses.at(-1)?.status, 422);
  t.equal(peer.responses.at(-1)?.headers.text('Min-SE'), '90');
  t.equal(calls, 0);
});

t.test('the answer to an offerless re-INVITE, in its ACK, moves our voice', async t => {
  const world = new Simulation({ seed: 1 });
  await world.addPhone('alice', ALICE);
  const alice = { address: ALICE, port: 5060 };
  const heard = { 7000: 0, 7010: 0 };
  for (const port of [7000, 7010] as const) {
    const socket = await world.network
      .host(PEER.address)
      .bindDatagram({ address: PEER.address, port, trafficClass: 'default' });
    socket.onMessage = () => heard[port]++;
  }
  const audioAt = (port: number) =>
    `v=0\r\no=- 1 1 IN IP4 ${PEER.address}\r\ns=-\r\nc=IN IP4 ${PEER.address}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`;
  const peer = await peerAt(world.network, PEER);
  const ask = async (text: string) => {
    peer.send(text, alice);
    await world.clock.advance(200);
    return `To: ${peer.responses.at(-1)?.headers.text('To')}`;
  };
  const to = await ask(request('INVITE', 1, [], audioAt(7000)));
  await ask(request('ACK', 1, [to]));
  await ask(request('INVITE', 2, [to]));
  await ask(request('ACK', 2, [to], audioAt(7010)));
  const before = heard[7000];
  await world.clock.advance(1000);
  t.ok(before > 0);
  t.equal(heard[7000], before);
  t.ok(heard[7010] >= 50);
  await ask(request('BYE', 3, [to]));
  await world.stop();
});
