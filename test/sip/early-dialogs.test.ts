/** What a phone that rings may ask of its caller, in the dialog its provisional response began (RFC 3261 §12). */
import type { SipRequest } from '@sip-stack/parser';
import t from 'tap';
import { MAX_EARLY_DIALOGS } from '../../src/sip/session/early.js';
import { ALICE, pair, record } from './pair.js';
import { type Answer, insteadOfBob, methodsOf } from './peer.js';

const idle = { sessions: 0, dialogs: 0, clientTransactions: 0, serverTransactions: 0 };
const SETTLED_MS = 100_000;
const ALICE_SIP = { address: ALICE, port: 5060 };
const RELIABLY = { Require: '100rel', RSeq: '1' };

/** Alice calls; phones of a fork are told by their tags. */
async function calling() {
  const lab = await pair();
  const peer = await insteadOfBob(lab, ({ method }) =>
    method === 'INVITE' || method === 'ACK' ? [] : [{ status: 200 }],
  );
  const session = lab.call();
  const events = record(session);
  await lab.clock.advance(50);
  const invite = (): SipRequest => {
    const last = peer.requests.filter(({ method }) => method === 'INVITE').at(-1);
    if (!last) throw new Error('expected an INVITE');
    return last;
  };
  /** A phone answers the INVITE. */
  const answer = async (tag: string, { headers, ...response }: Answer) => {
    const to = `${invite().headers.text('To')};tag=${tag}`;
    peer.reply(invite(), { ...response, headers: { To: to, ...headers } }, ALICE_SIP);
    await lab.clock.advance(50);
  };
  /** A phone asks something; with the status it gets. */
  const ask = async (tag: string, request: string, lines: string[] = [], body = '') => {
    const [sequence, method] = request.split(' ');
    const { headers } = invite();
    const head = [
      `${method} sip:alice@${ALICE} SIP/2.0`,
      `Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK${tag}${method}${sequence}`,
      `From: ${headers.text('To')};tag=${tag}`,
      `To: ${headers.text('From')}`,
      `Call-ID: ${headers.text('Call-ID')}`,
      `CSeq: ${request}`,
      'Max-Forwards: 70',
      'Contact: <sip:bob@10.0.0.2>',
      ...(body ? ['Content-Type: application/sdp'] : []),
      `Content-Length: ${body.length}`,
      ...lines,
    ];
    peer.send(`${head.join('\r\n')}\r\n\r\n${body}`, ALICE_SIP);
    await lab.clock.advance(50);
    return peer.responses.at(-1)?.status;
  };
  return { lab, peer, session, events, answer, ask };
}

t.test('a phone that rings may refresh its target, and ask what the user answers', async t => {
  const { session, answer, ask } = await calling();
  await answer('b', { status: 180 });
  t.equal(await ask('b', '1 UPDATE'), 200);
  t.equal(await ask('b', '2 OPTIONS'), 200);
  t.equal(await ask('b', '3 INFO'), 405, 'nobody here knows INFO');
  session.on('request', request => session.respond(request, 202));
  t.equal(await ask('b', '4 NOTIFY', ['Event: refer']), 202);
  t.equal(await ask('b', '4 UPDATE'), 500, 'out of order');
  t.equal(await ask('c', '1 UPDATE'), 481, 'of a dialog nobody began');
});

t.test('it may not hang up before it has answered, nor call back (§14.2, §15)', async t => {
  const { events, answer, ask } = await calling();
  await answer('b', { status: 180 });
  t.equal(await ask('b', '1 BYE'), 481);
  t.equal(await ask('b', '2 INVITE', [], 'offer'), 491);
  t.equal(await ask('b', '3 PRACK', ['RAck: 1 1 INVITE']), 481);
  await answer('b', { status: 200, body: 'answer' });
  t.same(events, ['ringing', 'answered answer'], 'the call is none the worse for it');
});

t.test('its offer has to wait until ours is answered (RFC 3311 §5.2)', async t => {
  const { session, events, answer, ask, peer } = await calling();
  session.on('reoffer', () => session.accept('our answer'));
  await answer('b', { status: 183, body: 'perhaps' });
  t.equal(await ask('b', '1 UPDATE', [], 'offer'), 491, 'a 183 that may be lost answers nothing');
  await answer('b', { status: 183, headers: RELIABLY, body: 'answer' });
  t.equal(await ask('b', '2 UPDATE', [], 'offer'), 200);
  t.equal(Buffer.from(peer.responses.at(-1)?.body ?? '').toString(), 'our answer');
  await answer('b', { status: 200, body: 'answer' });
  t.same(events, ['early perhaps', 'early answer', 'reoffer offer', 'answered offer']);
  t.equal(await ask('b', '3 UPDATE'), 200);
});

t.test(
  'of several phones that ring the one that answers goes on, and the others are gone',
  async t => {
    const { lab, session, peer, answer, ask } = await calling();
    await answer('b', { status: 180 });
    await answer('c', { status: 180 });
    t.equal(await ask('b', '1 UPDATE'), 200);
    t.equal(await ask('c', '7 UPDATE'), 200);
    t.equal(lab.alice.load.dialogs, 2);
    await answer('c', { status: 200, body: 'answer' });
    t.equal(lab.alice.load.dialogs, 1);
    t.equal(await ask('b', '2 UPDATE'), 481);
    t.equal(await ask('c', '7 OPTIONS'), 500, 'its requests are counted on');
    t.equal(await ask('c', '8 UPDATE'), 200);
    await answer('b', { status: 200, body: 'too late' });
    t.same(
      methodsOf(peer).slice(-3),
      ['1 ACK', '1 ACK', '2 BYE'],
      'who answers too late is sent home',
    );
    session.hangUp();
    await lab.clock.advance(SETTLED_MS);
    t.same(lab.alice.load, idle);
  },
);

t.test('a question nobody has answered is refused when another phone takes the call', async t => {
  const { peer, answer, ask } = await calling();
  await answer('b', { status: 183, headers: RELIABLY, body: 'answer' });
  t.equal(await ask('b', '1 UPDATE', [], 'offer'), undefined, 'the user thinks it over');
  await answer('c', { status: 200, body: 'answer' });
  t.equal(peer.responses.at(-1)?.status, 487);
});

const ends: Record<string, Answer> = {
  refused: { status: 486 },
  challenged: { status: 401, headers: { 'WWW-Authenticate': 'Digest realm="r", nonce="n"' } },
};

for (const [how, last] of Object.entries(ends)) {
  t.test(`early dialogs are over when the INVITE is ${how}`, async t => {
    const { lab, answer, ask } = await calling();
    await answer('b', { status: 180 });
    await answer('c', last);
    t.equal(lab.alice.load.dialogs, 0);
    t.equal(await ask('b', '1 UPDATE'), 481);
    await lab.clock.advance(SETTLED_MS);
    t.same(lab.alice.load, idle);
  });
}

t.test('early dialogs are over when the INVITE is made again (RFC 4028 §7.4)', async t => {
  const { lab, peer, answer, ask } = await calling();
  await answer('b', { status: 180 });
  await answer('c', { status: 422, headers: { 'Min-SE': '3600' } });
  t.same(methodsOf(peer), ['1 INVITE', '1 ACK', '2 INVITE']);
  t.equal(await ask('b', '1 UPDATE'), 481);
  await answer('d', { status: 180 });
  t.equal(await ask('d', '1 UPDATE'), 200);
  t.equal(lab.alice.load.dialogs, 1);
});

t.test('a caller that gives up keeps its early dialogs until the INVITE is over', async t => {
  const { lab, session, answer, ask } = await calling();
  await answer('b', { status: 180 });
  session.hangUp();
  t.equal(await ask('b', '1 UPDATE'), 200);
  t.equal(await ask('b', '2 UPDATE', [], 'offer'), 491);
  await answer('b', { status: 487 });
  t.same(lab.alice.load.dialogs, 0);
});

t.test('a fork that rings more phones than anybody has takes no more room', async t => {
  const { lab, events, answer, ask } = await calling();
  for (let phone = 0; phone <= MAX_EARLY_DIALOGS; phone++) {
    await answer(`phone${phone}`, { status: 180 });
  }
  t.equal(lab.alice.load.dialogs, MAX_EARLY_DIALOGS);
  t.equal(await ask(`phone${MAX_EARLY_DIALOGS}`, '1 UPDATE'), 481);
  await answer(`phone${MAX_EARLY_DIALOGS}`, { status: 200, body: 'answer' });
  t.equal(events.at(-1), 'answered answer', 'but may take the call like the others');
});
