/** Calls through proxies, as phones see them: the flows of RFC 3665 and what can go wrong with them. */
import { isSipUri, parseUri, sipUri } from '@sip-stack/parser';
import t from 'tap';
import { Lab, type Phone, target } from './proxy-lab.js';

const ALICE = '10.0.0.1';
const BOB = '10.0.0.2';
const CAROL = '10.0.0.3';
const P1 = '10.0.1.1';
const P2 = '10.0.1.2';

/** Alice, Bob and Carol at one proxy; Bob is registered as `bob@one.example`. */
async function house(seed = 1, link = {}) {
  const lab = new Lab(seed, link);
  const proxy = await lab.proxy(P1, 'one.example');
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  const carol = await lab.phone(CAROL);
  return { lab, proxy, alice, bob, carol };
}

const ringing = (phone: Phone) => {
  phone.onSession = session => session.ring();
};

t.test('a call through one proxy: all of its requests pass there, and nothing is left', async t => {
  const { lab, alice, bob } = await house();
  await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
  const { session, events } = lab.call(alice, 'bob@one.example', P1);
  await lab.clock.advance(3000);
  t.same(events, ['ringing', 'answered answer']);
  t.same(bob.calls, [['confirmed undefined']]);
  session.hangUp();
  await lab.clock.advance(100);
  t.same(bob.calls[0]?.at(-1), 'ended by remote 200');
  t.same(lab.sent(ALICE, BOB), [], 'nothing goes past the proxy');
  const uri = `sip:bob@${BOB}`;
  t.same(lab.sent(P1, BOB), [`INVITE ${uri}`, `ACK ${uri}:5060`, `BYE ${uri}:5060`]);
  await lab.isIdle(t);
});

t.test('a proxy that does not record its route sees no more of the call', async t => {
  const lab = new Lab();
  await lab.proxy(P1, 'one.example', { recordRoute: () => false });
  const alice = await lab.phone(ALICE, P1);
  await lab.phone(BOB);
  await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
  const { session, events } = lab.call(alice, 'bob@one.example', P1);
  await lab.clock.advance(3000);
  session.hangUp();
  await lab.clock.advance(100);
  t.same(events.slice(0, 2), ['ringing', 'answered answer']);
  t.same(lab.sent(ALICE, BOB), [`ACK sip:bob@${BOB}:5060`, `BYE sip:bob@${BOB}:5060`]);
  await lab.isIdle(t);
});

t.test('a call through two proxies, hung up by the callee', async t => {
  const lab = new Lab();
  await lab.proxy(P1, 'one.example');
  await lab.proxy(P2, 'two.example');
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  await lab.register('bob@two.example', P2, `<sip:bob@${BOB}>`);
  const { events } = lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(3000);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  t.same(events, ['ringing', 'answered answer', 'ended by remote 200']);
  t.same(lab.sent(P2, P1), ['180 Ringing', '200 OK', `BYE sip:caller@${ALICE}:5060`]);
  t.same(lab.sent(ALICE, BOB).concat(lab.sent(BOB, ALICE)), []);
  await lab.isIdle(t);
});

t.test('a caller that gives up cancels all the way, and both sides hear it', async t => {
  const lab = new Lab();
  await lab.proxy(P1, 'one.example');
  await lab.proxy(P2, 'two.example');
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  ringing(bob);
  await lab.register('bob@two.example', P2, `<sip:bob@${BOB}>`);
  const { session, events } = lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(500);
  session.hangUp();
  await lab.clock.advance(500);
  t.same(events, ['ringing', 'ended by local 487']);
  t.same(bob.calls, [['ended by remote 487']]);
  t.equal(lab.sent(P1, ALICE).filter(line => line.startsWith('487')).length, 1);
  // The ACK to a refusal is each hop's own: none that came from before passes.
  for (const [from, to] of [
    [ALICE, P1],
    [P1, P2],
    [P2, BOB],
  ] as const) {
    t.equal(lab.sent(from, to).filter(line => line.startsWith('ACK')).length, 1);
  }
  await lab.isIdle(t);
});

const refusals: readonly [what: string, to: string, status: number][] = [
  ['busy', 'bob@one.example', 486],
  ['an address nobody has', 'nobody@one.example', 404],
  ['an address that is not registered', 'dave@one.example', 480],
  ['a domain that cannot be found', 'bob@three.example', 500],
];
for (const [what, to, status] of refusals) {
  t.test(`refused with ${status}: ${what}`, async t => {
    const { lab, alice, bob } = await house();
    bob.onSession = session => session.reject(486);
    await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
    const { events } = lab.call(alice, to, P1);
    await lab.clock.advance(500);
    t.same(events, [`ended by remote ${status}`]);
    t.equal(lab.sent(ALICE, P1).filter(line => line.startsWith('ACK')).length, 1);
    await lab.isIdle(t);
  });
}

t.test('phones of equal q ring together; the first to answer ends the others', async t => {
  const { lab, alice, bob, carol } = await house();
  ringing(carol);
  await lab.register('team@one.example', P1, `<sip:b@${BOB}>`, `<sip:c@${CAROL}>`);
  const { session, events } = lab.call(alice, 'team@one.example', P1);
  await lab.clock.advance(3000);
  t.same(events, ['ringing', 'ringing', 'answered answer']);
  t.same(carol.calls, [['ended by remote 487']]);
  t.ok(lab.sent(P1, CAROL).some(line => line.startsWith('CANCEL')));
  session.hangUp();
  await lab.clock.advance(100);
  t.same(bob.calls, [['confirmed undefined', 'ended by remote 200']]);
  await lab.isIdle(t);
});

t.test('phones of lower q ring when those of higher q do not answer', async t => {
  const lab = new Lab();
  await lab.proxy(P1, 'one.example', {
    targets: async () => [
      target(sipUri({ user: 'c', host: CAROL }), { q: 0.5 }),
      target(sipUri({ user: 'b', host: BOB }), { q: 0.9, ringMs: 20_000 }),
    ],
  });
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  const carol = await lab.phone(CAROL);
  ringing(bob);
  const { session, events } = lab.call(alice, 'anyone@one.example', P1);
  await lab.clock.advance(19_900);
  t.equal(carol.calls.length, 0);
  await lab.clock.advance(2000);
  t.same(bob.calls, [['ended by remote 487']]);
  t.same(events, ['ringing', 'ringing', 'answered answer']);
  session.hangUp();
  await lab.isIdle(t);
});

t.test(
  'a phone that refuses leaves the call to the next; all refusing, the best refusal goes back',
  async t => {
    const { lab, alice, bob, carol } = await house();
    bob.onSession = session => session.reject(486);
    carol.onSession = session => session.reject(480);
    await lab.register('team@one.example', P1, `<sip:b@${BOB}>;q=0.9`, `<sip:c@${CAROL}>;q=0.1`);
    const { events } = lab.call(alice, 'team@one.example', P1);
    await lab.clock.advance(1000);
    t.equal(carol.calls.length, 1);
    t.same(events, ['ended by remote 486']);
    await lab.isIdle(t);
  },
);

t.test('a refusal for all ends the phones that still ring, and nobody else is tried', async t => {
  const { lab, alice, bob, carol } = await house();
  ringing(bob);
  carol.onSession = session => session.reject(603);
  const dave = await lab.phone('10.0.0.4');
  await lab.register(
    'team@one.example',
    P1,
    `<sip:b@${BOB}>`,
    `<sip:c@${CAROL}>`,
    '<sip:d@10.0.0.4>;q=0.1',
  );
  const { events } = lab.call(alice, 'team@one.example', P1);
  await lab.clock.advance(2000);
  t.same(events.at(-1), 'ended by remote 603');
  t.same(bob.calls, [['ended by remote 487']]);
  t.same(dave.calls, []);
  await lab.isIdle(t);
});

t.test(
  'two phones answer at once: both 200 go back, and the caller ends one call (RFC 6026)',
  async t => {
    const { lab, alice, bob, carol } = await house(1, { delayMs: 20 });
    for (const phone of [bob, carol]) phone.onSession = session => session.accept('answer');
    await lab.register('team@one.example', P1, `<sip:b@${BOB}>`, `<sip:c@${CAROL}>`);
    const { session, events } = lab.call(alice, 'team@one.example', P1);
    await lab.clock.advance(3000);
    t.equal(
      lab.sent(P1, ALICE).filter(line => line === '200 OK').length,
      3,
      'two for INVITE, one for BYE',
    );
    t.same(events, ['answered answer']);
    const ends = [...bob.calls, ...carol.calls].map(call => call.at(-1));
    t.same(ends.sort(), ['confirmed undefined', 'ended by remote 200']);
    session.hangUp();
    await lab.isIdle(t);
  },
);

t.test('a lost 200 is made good by the callee through the proxy', async t => {
  const { lab, alice, bob } = await house();
  await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
  const { session, events } = lab.call(alice, 'bob@one.example', P1);
  await lab.clock.advance(1000);
  lab.network.setLink(ALICE, false);
  await lab.clock.advance(1000);
  lab.network.setLink(ALICE, true);
  t.same(bob.calls, [[]]);
  await lab.clock.advance(3000);
  t.same(events, ['ringing', 'answered answer']);
  t.same(bob.calls, [['confirmed undefined']]);
  session.hangUp();
  await lab.isIdle(t);
});

t.test('a phone that is gone costs 32 s and is told as 408; the next is tried then', async t => {
  const { lab, alice, carol } = await house();
  await lab.register('team@one.example', P1, '<sip:x@10.0.0.77>', `<sip:c@${CAROL}>;q=0.1`);
  const { session, events } = lab.call(alice, 'team@one.example', P1);
  await lab.clock.advance(31_000);
  t.equal(carol.calls.length, 0);
  await lab.clock.advance(3000);
  t.same(events, ['ringing', 'answered answer']);
  session.hangUp();
  const alone = lab.call(alice, 'gone@one.example', P1);
  await lab.clock.advance(100);
  t.same(alone.events, ['ended by remote 480']);
  await lab.isIdle(t);
});

t.test(
  'a phone may ring for three minutes (Timer C), then it is cancelled and told as 408',
  async t => {
    const { lab, alice, bob } = await house();
    ringing(bob);
    await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
    const { events } = lab.call(alice, 'bob@one.example', P1);
    await lab.clock.advance(180_000);
    t.same(events, ['ringing']);
    await lab.clock.advance(2000);
    t.same(events, ['ringing', 'ended by remote 408']);
    t.same(bob.calls, [['ended by remote 487']]);
    await lab.isIdle(t);
  },
);

t.test('a phone that dies while it rings leaves nothing behind', async t => {
  const { lab, alice, bob } = await house();
  ringing(bob);
  await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
  const { session, events } = lab.call(alice, 'bob@one.example', P1);
  await lab.clock.advance(500);
  lab.network.setLink(BOB, false);
  lab.phones.splice(lab.phones.indexOf(bob), 1);
  session.hangUp();
  await lab.clock.advance(40_000);
  t.same(events, ['ringing', 'ended by local 487']);
  await lab.isIdle(t);
});

t.test('a request that comes back unchanged is a loop: 482, after one round', async t => {
  const lab = new Lab();
  const round = (host: string) => async () => [target(sipUri({ user: 'x', host }))];
  await lab.proxy(P1, 'one.example', { targets: round('two.example') });
  await lab.proxy(P2, 'two.example', { targets: round('one.example') });
  const alice = await lab.phone(ALICE, P1);
  const { events } = lab.call(alice, 'x@one.example', P1);
  await lab.clock.advance(1000);
  t.same(events, ['ended by remote 482']);
  t.equal(lab.sent(P1, P2).filter(line => line.startsWith('INVITE')).length, 1);
  await lab.isIdle(t);
});

t.test('a request that comes back for another address spirals, and is no loop', async t => {
  const lab = new Lab();
  const one = await lab.proxy(P1, 'one.example', {
    targets: async ({ uri }) => {
      if (isSipUri(uri) && uri.user === 'desk') return [target(sipUri({ user: 'bob', host: BOB }))];
      return [target(sipUri({ user: 'sales', host: 'two.example' }))];
    },
  });
  await lab.proxy(P2, 'two.example', {
    targets: async () => [target(sipUri({ user: 'desk', host: 'one.example' }))],
  });
  const alice = await lab.phone(ALICE, P1);
  await lab.phone(BOB);
  const { session, events } = lab.call(alice, 'x@one.example', P1);
  await lab.clock.advance(3000);
  t.same(events, ['ringing', 'answered answer']);
  t.equal(one.proxy.size, 2, 'the same proxy twice');
  session.hangUp();
  await lab.clock.advance(100);
  t.same(events.at(-1), 'ended by local 200');
  await lab.isIdle(t);
});

t.test(
  'a REGISTER by way of a proxy leaves its Path, and calls come back by it (RFC 3327)',
  async t => {
    const lab = new Lab();
    await lab.proxy(P1, 'one.example');
    await lab.proxy(P2, 'two.example');
    const alice = await lab.phone(ALICE, P1);
    await lab.phone(BOB);
    // Bob knows only P1; the registrar of his domain is at P2.
    await lab.register('bob@two.example', P1, `<sip:bob@${BOB}>`);
    const contacts = lab.proxies[1]?.registrar.lookup(parseUri('sip:bob@two.example'));
    t.same(
      contacts?.[0]?.path.map(({ uri }) => isSipUri(uri) && uri.host),
      [P1],
    );
    const { session, events } = lab.call(alice, 'bob@two.example', P2);
    await lab.clock.advance(3000);
    t.same(events, ['ringing', 'answered answer']);
    t.same(lab.sent(P2, BOB), [], 'only by way of P1');
    session.hangUp();
    await lab.isIdle(t);
  },
);

for (const seed of [1, 2, 3, 4, 5, 6]) {
  t.test(`both ends agree on every call over bad links (seed ${seed})`, async t => {
    const link = { delayMs: 10, jitterMs: 60, loss: 0.15, duplication: 0.1 };
    const lab = new Lab(seed);
    await lab.proxy(P1, 'one.example');
    await lab.proxy(P2, 'two.example');
    const alice = await lab.phone(ALICE, P1);
    const phones = [await lab.phone(BOB), await lab.phone(CAROL)];
    ringing(phones[1]!);
    await lab.register('team@two.example', P2, `<sip:b@${BOB}>`, `<sip:c@${CAROL}>`);
    lab.network.link = link;
    const calls = Array.from({ length: 12 }, (_, index) => {
      const call = lab.call(alice, 'team@two.example', P1);
      lab.clock.after(300 + index * 181, () => call.session.hangUp());
      return call;
    });
    await lab.clock.advance(200_000);
    for (const { events } of calls) t.match(events.at(-1), /^ended/);
    for (const phone of phones) for (const call of phone.calls) t.match(call.at(-1), /^ended/);
    await lab.isIdle(t);
  });
}
