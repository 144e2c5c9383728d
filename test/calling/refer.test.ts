/** REFER outside calls (RFC 3515): click to dial, for whom the phone lets; RFC 4488, RFC 3892. */
import { parseUri, type SipUri, sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../src/calling/call.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { peerAt } from '../sip/peer.js';

const KITCHEN = '10.0.0.1';
const USERS = ['anna', 'ben'].map(name => ({ name, password: `${name}-password` }));

async function house(options: { clickToDial?: boolean; password?: string } = {}) {
  const { clickToDial = true, password = 'anna-password' } = options;
  const world = new Simulation({ seed: 9 });
  const kitchen = await world.addPhone('kitchen', KITCHEN, { users: USERS, clickToDial });
  const aor = sipUri({ user: 'anna', host: KITCHEN });
  const accounts = [{ aor, user: 'anna', password }];
  const annas = await world.addPhone('annas', '10.0.0.2', { accounts });
  const den = await world.addPhone('den', '10.0.0.3');
  await world.clock.advance(500);
  den.person.attend(call => call.answer());
  return { world, kitchen, annas, den };
}

/** What a phone tells of a call it is asked to make, and how that ended. */
async function ask({ clock }: Simulation, from: Telephone, phone: string, who: string) {
  const told: (number | string)[] = [];
  let over = false;
  void from.referrals
    .ask(phone, who, status => told.push(status))
    .then(end => told.push(end?.code ?? 'talking'))
    .finally(() => (over = true));
  await clock.advanceUntil(() => over, 200_000);
  return told;
}

const PHONE = `sip:kitchen@${KITCHEN}`;

t.test('a user has the phone call somebody, and hears how it goes', async t => {
  const { world, kitchen, annas, den } = await house();
  const lent: Call[] = [];
  kitchen.person.attend(call => lent.push(call));
  t.same(await ask(world, annas, PHONE, 'den'), [100, 180, 200, 'talking']);
  t.equal(lent.length, 1, 'whoever answers at the phone talks');
  t.equal(lent[0]?.direction, 'outgoing');
  t.equal(den.calls.current[0]?.phase, 'connected');
  t.same(await ask(world, annas, PHONE, 'nobody'), [100, 404, 'NO_SUCH_NAME']);
  den.calls.hangUpAll();
  await world.clock.advance(500);
  t.equal(kitchen.userAgent.notifier.size, 0, 'nothing is left of the subscriptions');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('nobody else does', async t => {
  const off = await house({ clickToDial: false });
  off.kitchen.person.attend(() => undefined);
  t.same(await ask(off.world, off.annas, PHONE, 'den'), ['REFUSED'], 'by default none');
  await off.world.stop();

  const { world, kitchen, annas, den } = await house();
  t.same(await ask(world, annas, PHONE, 'den'), ['NO_ANSWER'], 'nobody is there to talk');
  kitchen.person.attend(() => undefined);
  t.same(await ask(world, den, PHONE, 'den'), ['REFUSED'], 'a stranger');
  t.same(await ask(world, annas, `sip:room@${KITCHEN}`, 'den'), ['NO_SUCH_NAME']);
  t.same(await ask(world, annas, PHONE, 'sip:x@10.0.0.9;method=BYE'), ['REFUSED'], 'no call');
  t.equal(kitchen.calls.current.length, 0);
  await world.stop();

  const guessing = await house({ password: 'a guess' });
  guessing.kitchen.person.attend(() => undefined);
  t.same(await ask(guessing.world, guessing.annas, PHONE, 'den'), ['REFUSED'], 'no password');
  await guessing.world.stop();
});

/** A server that has an account of the kitchen registered, and sends REFERs. */
async function office() {
  const world = new Simulation({ seed: 10 });
  const place = { address: '10.0.0.9', port: 5060 };
  const server = await peerAt(world.network, place, ({ method }) =>
    method === 'REGISTER' ? [{ status: 200 }] : method === 'NOTIFY' ? [{ status: 200 }] : [],
  );
  const accounts = [
    {
      aor: sipUri({ user: 'kit', host: 'example.net' }),
      user: 'kit',
      password: 'x',
      server: parseUri('sip:10.0.0.9') as SipUri,
    },
  ];
  const kitchen = await world.addPhone('kitchen', KITCHEN, { accounts, clickToDial: true });
  const den = await world.addPhone('den', '10.0.0.3');
  den.person.attend(call => call.answer());
  kitchen.person.attend(() => undefined);
  await world.clock.advance(500);
  let sent = 0;
  const refer = async (...lines: string[]) => {
    sent++;
    const usual = [
      `REFER sip:kit@${KITCHEN} SIP/2.0`,
      `Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKr${sent}`,
      'From: <sip:other@10.0.0.9>;tag=o',
      'To: <sip:kit@example.net>',
      `Call-ID: r${sent}`,
      'CSeq: 1 REFER',
      'Max-Forwards: 70',
      'Contact: <sip:10.0.0.9>',
      'Content-Length: 0',
      ...lines,
    ];
    server.send(`${usual.join('\r\n')}\r\n\r\n`, { address: KITCHEN, port: 5060 });
    await world.clock.advance(3000);
    return server.responses.at(-1);
  };
  return { world, server, kitchen, den, refer };
}

const VOUCHED = 'P-Asserted-Identity: <sip:kit@example.net>';
const TO_DEN = 'Refer-To: <sip:den@10.0.0.3>';

t.test('another device of an account is let, as its server vouches', async t => {
  const { world, server, den, refer } = await office();
  t.equal((await refer(TO_DEN))?.status, 403, 'anybody else is not');
  t.equal((await refer(TO_DEN, VOUCHED))?.status, 202);
  const told = server.requests
    .filter(({ method }) => method === 'NOTIFY')
    .map(({ headers, body }) => {
      const state = headers.text('Subscription-State')?.replace(/=\d+/, '=…');
      return `${headers.text('Event')} ${state}: ${Buffer.from(body).toString().trim()}`;
    });
  t.same(told, [
    'refer active;expires=…: SIP/2.0 100 Trying',
    'refer active;expires=…: SIP/2.0 180 Ringing',
    'refer terminated;reason=noresource: SIP/2.0 200 OK',
  ]);
  t.equal(den.calls.current.length, 1);
  await world.stop();
});

t.test('a REFER without a subscription is told nothing (RFC 4488)', async t => {
  const { world, server, den, refer } = await office();
  const response = await refer(TO_DEN, VOUCHED, 'Refer-Sub: false', 'Require: norefersub');
  t.equal(response?.status, 202);
  t.equal(response?.headers.text('Refer-Sub'), 'false');
  t.notOk(server.requests.some(({ method }) => method === 'NOTIFY'));
  t.equal(den.calls.current.length, 1);
  await world.stop();
});

t.test('who is called learns at whose wish (RFC 3892)', async t => {
  const { world, server, refer } = await office();
  const by = '<sip:other@10.0.0.9>';
  await refer('Refer-To: <sip:ext@10.0.0.9>', VOUCHED, `Referred-By: ${by}`);
  const invite = server.requests.find(({ method }) => method === 'INVITE');
  t.equal(invite?.headers.text('Referred-By'), by);
  await world.stop();
});

t.test('a REFER names one place to call', async t => {
  const { world, refer } = await office();
  t.equal((await refer(VOUCHED))?.status, 400);
  t.equal((await refer(VOUCHED, 'Refer-To: <tel:+49>'))?.status, 603);
  await world.stop();
});

t.test('within a call too, a REFER without a subscription is told nothing', async t => {
  const world = new Simulation({ seed: 11 });
  const alice = await world.addPhone('alice', '10.0.0.1');
  const bob = await world.addPhone('bob', '10.0.0.2');
  await world.addPhone('carol', '10.0.0.3');
  const taken: Call[] = [];
  alice.person.attend(call => {
    taken.push(call);
    call.answer();
  });
  const call = bob.calls.dial('alice');
  await world.clock.advance(500);
  const answers: string[] = [];
  const [atAlice] = taken;
  atAlice?.on('answeredRequest', (method, status) => answers.push(`${method} ${status}`));
  const headers = { 'Refer-To': '<sip:*43@10.0.0.3>', 'Refer-Sub': 'false' };
  atAlice?.send({ method: 'REFER', headers });
  await world.clock.advance(1000);
  t.same(answers, ['REFER 202']);
  t.equal(call.target, '*43', 'Bob is with Carol’s echo');
  const notified = world.network.trace.filter(({ what }) => what.includes('NOTIFY sip'));
  t.same(notified, []);
  await world.stop();
});
