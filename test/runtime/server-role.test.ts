import {
  formatUri,
  isSipUri,
  ProxyAuthenticate,
  ProxyAuthorization,
  parseUri,
  RecordRoute,
  type SipUri,
  WwwAuthenticate,
} from '@sip-stack/parser';
import t from 'tap';
import { literalLocation } from '../../src/discovery/address-locator.js';
import { Household, KITCHEN, type OrdinaryPhone } from './ordinary-phones.js';

const ANNA = '10.0.0.11';
const BEN = '10.0.0.12';
const STRANGER = '10.0.0.66';

async function household(t: Tap, ...users: string[]): Promise<Household> {
  const house = new Household();
  await house.open(...users);
  t.teardown(() => house.close());
  return house;
}
type Tap = { teardown(fn: () => Promise<void>): void };

/** Anna and Ben with a registered phone each. */
async function annaAndBen(t: Tap) {
  const house = await household(t, 'anna', 'ben');
  const anna = await house.phone(ANNA, 'anna');
  const ben = await house.phone(BEN, 'ben');
  await house.register(anna, `anna@${KITCHEN}`);
  await house.register(ben, `ben@${KITCHEN}`);
  return { house, anna, ben };
}

/** First lines of what a phone was sent by the kitchen. */
const heardBy = ({ world }: Household, { address }: OrdinaryPhone): string[] =>
  world.network.trace
    .filter(({ from, to }) => from.startsWith(`${KITCHEN}:`) && to.startsWith(`${address}:`))
    .map(({ what }) => what.split(' ').slice(1, 3).join(' '));

t.test('who registers is asked for a password, by SHA-256 and by MD5', async t => {
  const house = await household(t, 'anna');
  const nobody = await house.phone(STRANGER);
  const answer = await house.ask(nobody, 'REGISTER', `anna@${KITCHEN}`);
  t.equal(answer.status, 401);
  const algorithms = answer.headers
    .all(WwwAuthenticate)
    .map(({ params }) => params.get('algorithm'));
  t.same(algorithms, ['SHA-256', 'MD5']);
});

t.test(
  'a device that cannot answer two challenges is offered MD5 alone when it comes again',
  async t => {
    const house = await household(t, 'anna');
    const old = await house.phone(STRANGER);
    const offered = async (method: string, field: typeof WwwAuthenticate) => {
      const from = `anna@${KITCHEN}`;
      const { headers } = await house.ask(old, method, `anna@${KITCHEN}`, { from });
      return headers.all(field).map(({ params }) => params.get('algorithm'));
    };
    await offered('REGISTER', WwwAuthenticate);
    t.equal(
      (await offered('REGISTER', WwwAuthenticate)).length,
      2,
      'at once it is a second request',
    );
    await house.world.clock.advance(1000);
    t.same(await offered('REGISTER', WwwAuthenticate), ['MD5']);
    t.same(await offered('MESSAGE', ProxyAuthenticate), ['MD5']);
  },
);

t.test('who answers a challenge is offered both the next time', async t => {
  const { house, anna } = await annaAndBen(t);
  const left = anna.agent.stop();
  await house.world.clock.advance(60_000);
  await left;
  const forgetful = await house.phone(ANNA);
  const { headers } = await house.ask(forgetful, 'REGISTER', `anna@${KITCHEN}`);
  t.equal(headers.all(WwwAuthenticate).length, 2);
});

t.test('the right password registers, and status tells from where', async t => {
  const { house } = await annaAndBen(t);
  const at = (address: string) => [
    { at: `${address}:5060`, protocol: 'UDP', expiresInSeconds: 600 },
  ];
  t.match(house.kitchen.server.status, [
    { name: 'anna', devices: at(ANNA) },
    { name: 'ben', devices: at(BEN) },
  ]);
});

t.test('a wrong password registers nothing', async t => {
  const house = await household(t, 'anna');
  const eve = await house.phone(STRANGER, 'anna', 'password-guessed');
  t.equal(await house.register(eve, `anna@${KITCHEN}`), 401);
  t.same(house.kitchen.server.status, [{ name: 'anna', devices: [] }]);
});

t.test('nobody registers for another, nor in another domain', async t => {
  const house = await household(t, 'anna', 'ben');
  const anna = await house.phone(ANNA, 'anna');
  t.equal(await house.register(anna, `ben@${KITCHEN}`), 403);
  t.equal(await house.register(anna, `carl@${KITCHEN}`), 404);
  t.equal(await house.register(anna, 'anna@example.net'), 404);
});

t.test('two users call each other; the whole call passes this phone', async t => {
  const { house, anna, ben } = await annaAndBen(t);
  const { session, events } = house.call(anna, 'anna', `ben@${KITCHEN}`);
  await house.world.clock.advance(3000);
  t.same(events, ['ringing', 'answered answer']);
  t.same(ben.calls, [['confirmed undefined']]);
  const [called] = ben.sessions;
  t.equal(called?.invite.headers.all(RecordRoute).length, 1);
  called?.hangUp();
  await house.world.clock.advance(1000);
  t.equal(events.at(-1), 'ended by remote 200');
  t.ok(
    heardBy(house, anna).some(line => line.startsWith('BYE')),
    'the BYE came by the kitchen',
  );
  t.notOk(session.established);
});

t.test('a user is reached by any address and name of this phone, in any case', async t => {
  const { house, anna, ben } = await annaAndBen(t);
  house.call(anna, 'anna', 'Ben@kitchen.local');
  await house.world.clock.advance(3000);
  t.equal(ben.calls.length, 1);
});

t.test('credentials are seen by nobody but this phone', async t => {
  const { house, anna, ben } = await annaAndBen(t);
  house.call(anna, 'anna', `ben@${KITCHEN}`);
  await house.world.clock.advance(3000);
  t.ok(
    heardBy(house, anna).some(line => line.includes('407')),
    'the caller was challenged',
  );
  t.equal(ben.sessions[0]?.invite.headers.has(ProxyAuthorization), false);
});

t.test('an unknown user is 404, one who is not registered 480', async t => {
  const house = await household(t, 'anna', 'ben');
  const anna = await house.phone(ANNA, 'anna');
  const ask = (to: string) => house.ask(anna, 'MESSAGE', to, { from: `anna@${KITCHEN}` });
  t.equal((await ask(`nobody@${KITCHEN}`)).status, 404);
  t.equal((await ask(`ben@${KITCHEN}`)).status, 480);
});

t.test('who claims to be a user has to prove it', async t => {
  const { house, ben } = await annaAndBen(t);
  const ask = (phone: OrdinaryPhone) =>
    house.ask(phone, 'MESSAGE', `ben@${KITCHEN}`, { from: `anna@${KITCHEN}` });
  const refusal = await ask(await house.phone(STRANGER));
  t.equal(refusal.status, 407);
  t.equal(refusal.headers.all(ProxyAuthenticate).length, 2);
  t.equal((await ask(ben)).status, 403, 'the password of another does not do');
});

t.test('the phone itself is called without credentials, by users and by strangers', async t => {
  const { house, anna } = await annaAndBen(t);
  const stranger = await house.phone(STRANGER);
  const ask = async (phone: OrdinaryPhone, from: string, to: string) =>
    (await house.ask(phone, 'OPTIONS', to, { from })).status;
  t.equal(await ask(anna, `anna@${KITCHEN}`, `kitchen@${KITCHEN}`), 200);
  t.equal(await ask(stranger, `eve@${STRANGER}`, `*43@${KITCHEN}`), 200);
  const { events } = house.call(anna, 'anna', `kitchen@${KITCHEN}`);
  await house.world.clock.advance(1000);
  t.notOk(heardBy(house, anna).some(line => line.includes('407')));
  t.same(events, ['ended by remote 488'], 'it does not ring for an offer that it cannot take');
});

t.test('a stranger reaches users without credentials, and nobody else through here', async t => {
  const { house, ben } = await annaAndBen(t);
  await house.world.addPhone('den', '10.0.0.2');
  const stranger = await house.phone(STRANGER);
  const from = `eve@${STRANGER}`;
  const ask = async (to: string, headers = {}) =>
    (await house.ask(stranger, 'MESSAGE', to, { from, headers })).status;
  t.equal(await ask(`den@${KITCHEN}`), 404, 'a phone of this network, by its name');
  const route = { Route: `<sip:${KITCHEN};lr>` };
  t.equal(await ask('den@10.0.0.2', route), 403, 'by a route through here');
  const further = { Route: `<sip:${KITCHEN};lr>, <sip:10.0.0.2;lr>` };
  t.equal(await ask(`ben@${KITCHEN}`, further), 403, 'by a route through here and there');
  const tagged = { ...route, To: '<sip:den@10.0.0.2>;tag=forged' };
  t.equal(await ask('den@10.0.0.2', tagged), 403, 'as if within a call');
  const { world } = house;
  const reached = world.network.trace.filter(({ to }) => to.startsWith('10.0.0.2:'));
  t.same(reached, []);
  house.call(stranger, 'eve', `ben@${KITCHEN}`);
  await world.clock.advance(3000);
  t.equal(ben.calls.length, 1);
});

t.test('an ACK of a stranger goes no further', async t => {
  const { house } = await annaAndBen(t);
  const { world } = house;
  const socket = await world.network
    .host(STRANGER)
    .bindDatagram({ address: STRANGER, port: 5099, trafficClass: 'default' });
  const ack = [
    'ACK sip:den@10.0.0.2 SIP/2.0',
    `Via: SIP/2.0/UDP ${STRANGER}:5099;branch=z9hG4bKack`,
    `Route: <sip:${KITCHEN};lr>`,
    'From: <sip:eve@example.net>;tag=1',
    'To: <sip:den@10.0.0.2>;tag=2',
    'Call-ID: forged',
    'CSeq: 1 ACK',
    'Max-Forwards: 70',
  ];
  socket.send(Buffer.from(`${ack.join('\r\n')}\r\n\r\n`), { address: KITCHEN, port: 5060 });
  await world.clock.advance(1000);
  t.notOk(world.network.trace.some(({ to }) => to.startsWith('10.0.0.2:')));
  socket.close();
});

t.test('a user calls a phone of this network by its name, through here', async t => {
  const { house, anna } = await annaAndBen(t);
  const den = await house.world.addPhone('den', '10.0.0.2');
  const asked = await house.ask(anna, 'OPTIONS', `den@${KITCHEN}`, { from: `anna@${KITCHEN}` });
  t.equal(asked.status, 200);
  t.match(
    house.world.network.trace.filter(({ to }) => to === '10.0.0.2:5060').map(({ what }) => what),
    [/OPTIONS sip:den@10\.0\.0\.2:5060/],
  );
  t.equal(den.calls.current.length, 0);
});

const OVERLAY = 'ringline';
/** Of a phone that was reached, and takes no texts. */
const THERE = 405;

/** A kitchen in an overlay that knows where somebody is: the places, by what was asked. */
async function inOverlay(t: Tap, places: Record<string, string>, ...users: string[]) {
  const house = new Household();
  const asked: string[] = [];
  const locator = {
    locate: async (uri: SipUri) => {
      const wanted = formatUri(uri);
      const at = places[wanted];
      if (/@(local|ringline)$/.test(wanted)) asked.push(wanted);
      const found = at === undefined ? undefined : parseUri(`sip:${at}`);
      const place = found && isSipUri(found) ? literalLocation(found, 'ring') : undefined;
      return place ? [place] : [];
    },
  };
  const address = () => ({ user: 'kitchen', host: OVERLAY });
  await house.open({ overlay: { address, calledUs: () => undefined }, locator }, ...users);
  t.teardown(() => house.close());
  return { house, asked };
}

t.test('a user calls by a name that only the overlay knows, alone or with the overlay', async t => {
  const carl = `carl@${STRANGER}:5060`;
  const { house, asked } = await inOverlay(
    t,
    { 'sip:carl@local': carl, [`sip:carl@${OVERLAY}`]: carl },
    'anna',
  );
  const anna = await house.phone(ANNA, 'anna');
  await house.phone(STRANGER);
  await house.register(anna, `anna@${KITCHEN}`);
  const routed = { from: `anna@${KITCHEN}` };
  t.equal((await house.ask(anna, 'MESSAGE', `carl@${OVERLAY}`, routed)).status, THERE);
  t.equal((await house.ask(anna, 'MESSAGE', `carl@${KITCHEN}`, routed)).status, THERE);
  t.same(asked, [`sip:carl@${OVERLAY}`, 'sip:carl@local']);
  t.equal((await house.ask(anna, 'MESSAGE', `dora@${OVERLAY}`, routed)).status, 404);
});

t.test(
  'a user whose phone is registered elsewhere is found by users, and by no stranger',
  async t => {
    const { house, asked } = await inOverlay(
      t,
      { [`sip:ben@${OVERLAY}`]: `ben@${STRANGER}:5060` },
      'anna',
      'ben',
    );
    const anna = await house.phone(ANNA, 'anna');
    const ben = await house.phone(STRANGER);
    await house.register(anna, `anna@${KITCHEN}`);
    house.call(anna, 'anna', `ben@${KITCHEN}`);
    await house.world.clock.advance(5000);
    t.equal(ben.calls.length, 1);
    t.same(asked, [`sip:ben@${OVERLAY}`]);
    const nobody = await house.phone('10.0.0.67');
    const from = 'nobody@10.0.0.67';
    t.equal((await house.ask(nobody, 'MESSAGE', `ben@${KITCHEN}`, { from })).status, 480);
  },
);

t.test(
  'users and the phone itself are called by their names in the overlay, from here',
  async t => {
    const { house, asked } = await inOverlay(t, {}, 'anna', 'ben');
    const anna = await house.phone(ANNA, 'anna');
    const ben = await house.phone(BEN, 'ben');
    await house.register(anna, `anna@${KITCHEN}`);
    await house.register(ben, `ben@${KITCHEN}`);
    house.call(anna, 'anna', `ben@${OVERLAY}`);
    house.kitchen.calls.dial(`sip:ben@${OVERLAY}`);
    await house.world.clock.advance(3000);
    t.equal(ben.calls.length, 2);
    const from = `anna@${KITCHEN}`;
    t.equal((await house.ask(anna, 'OPTIONS', `kitchen@${OVERLAY}`, { from })).status, 200);
    t.same(asked, []);
  },
);

t.test('the phone calls its users by their names', async t => {
  const { house, anna } = await annaAndBen(t);
  const call = house.kitchen.calls.dial('anna');
  await house.world.clock.advanceUntil(() => anna.calls.length === 1, 5000);
  await house.world.clock.advance(100);
  t.equal(call.phase, 'ringing');
  call.hangUp();
});

t.test('a registration that leads back here is no way to anybody', async t => {
  const house = await household(t, 'anna', 'ben');
  const anna = await house.phone(ANNA, 'anna');
  const ben = await house.phone(BEN, 'ben');
  const contact = (user: string) => ({ Contact: `<sip:${user}@${KITCHEN}:5060>` });
  const register = async (phone: OrdinaryPhone, user: string, to: string) =>
    (await house.ask(phone, 'REGISTER', `${user}@${KITCHEN}`, { headers: contact(to) })).status;
  t.equal(await register(anna, 'anna', 'ben'), 200);
  t.equal(await register(ben, 'ben', 'anna'), 200);
  const before = house.world.network.trace.length;
  const from = `anna@${KITCHEN}`;
  t.equal((await house.ask(anna, 'MESSAGE', `ben@${KITCHEN}`, { from })).status, 480);
  t.equal(house.world.network.trace.length - before, 4, 'asked, challenged, asked again, refused');
});

t.test('a registration ends with its time', async t => {
  const { house, anna } = await annaAndBen(t);
  await house.world.clock.advance(601_000);
  t.same(house.kitchen.server.status, [
    { name: 'anna', devices: [] },
    { name: 'ben', devices: [] },
  ]);
  const from = `anna@${KITCHEN}`;
  t.equal((await house.ask(anna, 'MESSAGE', `ben@${KITCHEN}`, { from })).status, 480);
});

t.test('registrations outlive a restart, for as long as they were granted', async t => {
  const { house, anna, ben } = await annaAndBen(t);
  await house.restart('anna', 'ben');
  t.equal(house.kitchen.server.status[1]?.devices.length, 1, 'what was not written yet, was then');
  await house.world.clock.advance(300_000);
  await house.restart('anna', 'ben');
  house.call(anna, 'anna', `ben@${KITCHEN}`);
  await house.world.clock.advance(3000);
  t.equal(ben.calls.length, 1);
  t.match(house.kitchen.server.status, [
    { name: 'anna', devices: [{ at: `${ANNA}:5060`, protocol: 'UDP' }] },
    { name: 'ben', devices: [{ expiresInSeconds: 597 }] },
  ]);
  await house.register(ben, `ben@${KITCHEN}`);
  t.equal(
    house.kitchen.server.status[1]?.devices.length,
    1,
    'it registers again as the same device',
  );
  await house.world.clock.advance(600_000);
  t.same(house.kitchen.server.status[0]?.devices, []);
});

t.test('who is no user any more, is not registered after a restart', async t => {
  const { house, anna } = await annaAndBen(t);
  await house.restart('anna');
  const from = `anna@${KITCHEN}`;
  t.equal((await house.ask(anna, 'MESSAGE', `ben@${KITCHEN}`, { from })).status, 404);
  await house.restart('anna', 'ben');
  t.same(house.kitchen.server.status[1]?.devices, []);
});

t.test('a registration is written once, and its refreshes are not', async t => {
  const house = new Household();
  let written = 0;
  const { set } = house.store;
  house.store.set = (...record) => {
    written++;
    return set.apply(house.store, record);
  };
  await house.open('anna', 'ben');
  t.teardown(() => house.close());
  const anna = await house.phone(ANNA, 'anna');
  const ben = await house.phone(BEN, 'ben');
  await house.register(anna, `anna@${KITCHEN}`);
  await house.register(ben, `ben@${KITCHEN}`);
  for (let refresh = 0; refresh < 10; refresh++) {
    await house.world.clock.advance(60_000);
    await house.register(anna, `anna@${KITCHEN}`);
    await house.register(ben, `ben@${KITCHEN}`);
  }
  t.equal(written, 1);
});

t.test('a user cannot be called like the phone or its services', async t => {
  for (const name of ['kitchen', 'Kitchen', 'room']) {
    await t.rejects(new Household().open(name), { code: 'NAME_TAKEN' }, name);
  }
});
