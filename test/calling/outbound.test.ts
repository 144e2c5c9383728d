/** Accounts as servers know them: flows (RFC 5626), the way there (RFC 3608), addresses (RFC 5627, RFC 3581). */
import { parseUri, type SipRequest, type SipUri, sipUri, Via } from '@sip-stack/parser';
import t from 'tap';
import { instanceUrnOf } from '../../src/identity/identity.js';
import type { Telephone } from '../../src/runtime/telephone.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { type Answer, peerAt } from '../sip/peer.js';

const SERVER = '10.0.0.9';
const KITCHEN = '10.0.0.1';
const INSTANCE = instanceUrnOf('00112233445566778899aabbccddeeff01234567');

function account(server: string, host = 'example.net') {
  return {
    aor: sipUri({ user: 'anna', host }),
    user: 'anna',
    password: 'anna-password',
    server: parseUri(`sip:${server}`) as SipUri,
  };
}

/** Anna's phone, and a server that answers as a test says. */
async function office(answer: (request: SipRequest, nth: number) => Answer) {
  const world = new Simulation({ seed: 6 });
  const server = await peerAt(world.network, { address: SERVER, port: 5060 }, (request, nth) => [
    answer(request, nth),
  ]);
  const accounts = [account(SERVER)];
  const anna = await world.addPhone('annas', '10.0.0.2', { accounts, instance: () => INSTANCE });
  await world.clock.advance(100);
  const registers = () => server.requests.filter(({ method }) => method === 'REGISTER');
  const contacts = () => registers().map(({ headers }) => headers.texts('Contact').join(', '));
  return { world, server, anna, registers, contacts };
}

const granted = (contact = '', more: Record<string, string> = {}): Answer => ({
  status: 200,
  headers: { Contact: `<sip:anna@10.0.0.2:5060>;expires=600${contact}`, ...more },
});

t.test('a device has one UUID, the same after each restart', async t => {
  t.equal(INSTANCE, 'urn:uuid:00112233-4455-8677-8899-aabbccddeeff');
});

t.test('a REGISTER names the device, the flow, and what we understand', async t => {
  const { world, registers } = await office(() => granted());
  const [first] = registers();
  t.equal(
    first?.headers.text('Contact'),
    `<sip:anna@10.0.0.2:5060>;+sip.instance="<${INSTANCE}>";reg-id=1`,
  );
  t.equal(first?.headers.text('Supported'), 'path, outbound, gruu');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('after a change of address it is registered there within a second', async t => {
  const world = new Simulation({ seed: 8 });
  const server = await peerAt(world.network, { address: SERVER, port: 5060 }, () => [granted()]);
  await world.addPhone('annas', '10.0.0.2', { accounts: [account(SERVER)], roams: true });
  await world.clock.advance(3000);
  const changedAt = world.clock.now();
  world.network.moveHost('10.0.0.2', '10.0.0.77');
  const there = () => server.requests.at(-1)?.headers.text('Contact')?.includes('10.0.0.77');
  await world.clock.advanceUntil(() => there() === true, 5000);
  const tookMs = world.clock.now() - changedAt;
  t.comment(`${tookMs} ms`);
  t.ok(tookMs <= 400, `noticed within 250 ms, settled after 100: ${tookMs} ms`);
  await world.stop();
});

t.test('what was granted to another device of the user is not ours', async t => {
  const { world, anna, registers } = await office(() =>
    granted('', {
      Contact: `<sip:anna@10.0.0.7>;expires=60, <sip:anna@10.0.0.2>;+sip.instance="<${INSTANCE}>";expires=3600`,
    }),
  );
  t.equal(anna.accounts.status[0]?.phase, 'registered');
  await world.clock.advance(3_500_000);
  t.equal(registers().length, 1, 'refreshed after most of an hour, not within a minute');
  await world.clock.advance(100_000);
  t.equal(registers().length, 2);
  await world.stop();
});

t.test('a first hop that keeps no flows gets a registration by address', async t => {
  const { world, anna, contacts } = await office(request =>
    request.headers.text('Contact')?.includes('reg-id') ? { status: 439 } : granted(),
  );
  t.equal(contacts().at(-1), '<sip:anna@10.0.0.2:5060>');
  t.equal(anna.accounts.status[0]?.phase, 'registered');
  await world.stop();
});

t.test('calls and messages go by the way the server wants, CANCEL and ACK too', async t => {
  const route = `<sip:edge@${SERVER};lr>, <sip:core.example.net;lr>`;
  const { world, server, anna } = await office(({ method }) => {
    if (method === 'REGISTER') return granted('', { 'Service-Route': route });
    return { status: method === 'INVITE' ? 180 : 200 };
  });
  const call = anna.calls.dial('ben@example.net');
  await world.clock.advance(500);
  call.hangUp();
  await world.clock.advance(500);
  void anna.messages.send('ben@example.net', 'hi');
  await world.clock.advance(500);
  await world.stop();
  const sent = server.requests.filter(({ method }) => method !== 'REGISTER');
  const methods = [...new Set(sent.map(({ method }) => method))];
  t.same(methods, ['INVITE', 'CANCEL', 'MESSAGE']);
  for (const { method, headers } of sent) t.equal(headers.texts('Route').join(', '), route, method);
});

t.test('a GRUU without outbound is not relied on: a BYE to it might be lost', async t => {
  const { world, anna } = await office(() => granted(';pub-gruu="sip:anna@example.net;gr=x"'));
  t.match(anna.accounts.status, [{ contact: 'sip:anna@10.0.0.2:5060' }]);
  await world.stop();
});

t.test('a GRUU is what calls through the account are reached by', async t => {
  const gruu = 'sip:anna@example.net;gr=urn:uuid:x';
  const { world, server, anna } = await office(({ method }) =>
    method === 'REGISTER'
      ? granted(`;pub-gruu="${gruu}"`, { Require: 'outbound' })
      : { status: 486 },
  );
  t.match(anna.accounts.status, [{ server: 'UDP 10.0.0.9:5060', contact: gruu }]);
  anna.calls.dial('ben@example.net');
  anna.calls.dial('sip:x@10.0.0.9');
  await world.clock.advance(500);
  const contactOf = (user: string) =>
    server.requests
      .find(({ method, uri }) => method === 'INVITE' && isUser(uri, user))
      ?.headers.text('Contact');
  t.equal(contactOf('ben'), `<${gruu}>`);
  t.equal(contactOf('x'), '<sip:annas@10.0.0.2:5060>', 'a call that is none of the account’s');
  await world.stop();
});

t.test('behind a NAT it registers where it is seen, and keeps that open', async t => {
  const seen = { address: '203.0.113.7', port: 40_000 };
  const { world, server, anna, contacts } = await office(request => {
    const via = request.headers.require(Via);
    via.params.set('received', seen.address).set('rport', String(seen.port));
    request.headers.set(Via, via);
    return request.method === 'REGISTER' ? granted() : { status: 486 };
  });
  const named = `;+sip.instance="<${INSTANCE}>";reg-id=1`;
  t.same(contacts(), [
    `<sip:anna@10.0.0.2:5060>${named}`,
    `<sip:anna@203.0.113.7:40000>${named}, <sip:anna@10.0.0.2:5060>;expires=0`,
  ]);
  anna.calls.dial('ben@example.net');
  await world.clock.advance(100);
  const invite = server.requests.find(({ method }) => method === 'INVITE');
  t.equal(invite?.headers.text('Contact'), '<sip:anna@203.0.113.7:40000>');
  const pings = () =>
    world.network.trace.filter(({ to, octets }) => to === `${SERVER}:5060` && octets === 4).length;
  await world.clock.advance(120_000);
  t.ok(pings() >= 4, `${pings()} line ends in two minutes`);
  seen.port++;
  await world.clock.advance(600_000);
  t.match(contacts().at(-1), /^<sip:anna@203\.0\.113\.7:40001>.*, <sip:anna@203\.0\.113\.7:40000>/);
  await world.stop();
  t.equal(world.clock.pending, 0);
});

const isUser = (uri: unknown, user: string) =>
  typeof uri === 'object' && uri !== null && 'user' in uri && uri.user === user;

const users = ['anna', 'ben'].map(name => ({ name, password: `${name}-password` }));

/** The kitchen has users, and Anna's phone is one of them. */
async function house(server: string) {
  const world = new Simulation({ seed: 7 });
  const kitchen = await world.addPhone('kitchen', KITCHEN, { users });
  const anna = await world.addPhone('annas', '10.0.0.2', {
    accounts: [account(server, KITCHEN)],
    instance: () => INSTANCE,
  });
  const ben = await world.addPhone('bens', '10.0.0.3');
  await world.clock.advance(500);
  return { world, kitchen, anna, ben };
}

const phaseOf = ({ accounts }: Telephone) => accounts.status[0]?.phase;

t.test('our own registrar gives a GRUU, keeps the flow, and answers keep-alives', async t => {
  const { world, kitchen, anna, ben } = await house(KITCHEN);
  const gruu = `sip:anna@${KITCHEN};gr=${INSTANCE}`;
  t.match(anna.accounts.status, [{ phase: 'registered', contact: gruu }]);
  await world.clock.advance(60_000);
  const asked = world.network.trace.filter(
    ({ from, to, octets }) => from === '10.0.0.2:5060' && to === `${KITCHEN}:5060` && octets === 20,
  );
  t.ok(asked.length >= 2, 'STUN from Anna’s phone');
  anna.person.attend(call => call.answer());
  const call = ben.calls.dial(gruu);
  await world.clock.advance(1000);
  t.equal(call.phase, 'connected', 'the GRUU leads to her phone');
  t.equal(kitchen.person.attended, false);
  call.hold(true);
  await world.clock.advance(1000);
  t.equal(anna.calls.current.length, 1, 'and so do requests within the call');
  call.hangUp();
  await world.clock.advance(1000);
  t.equal(anna.calls.current.length, 0, 'its BYE too');
  const other = ben.calls.dial(`sip:anna@${KITCHEN};gr=urn:uuid:other`);
  await world.clock.advance(1000);
  t.equal(other.phase, 'ended', 'another device is not rung instead');
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('a connection that breaks is noticed, and made anew', async t => {
  const { world, kitchen, anna, ben } = await house(`${KITCHEN};transport=tcp`);
  t.match(anna.accounts.status, [{ phase: 'registered', server: `TCP ${KITCHEN}:5060` }]);
  const stopped = kitchen.stop();
  await world.clock.advance(2000);
  await stopped;
  t.equal(phaseOf(anna), 'failed', 'at once, though the registration would last for minutes');
  await world.addPhone('kitchen', KITCHEN, { users });
  await world.clock.advance(31_000);
  t.equal(phaseOf(anna), 'registered');
  anna.person.attend(call => call.answer());
  const call = ben.calls.dial('anna@kitchen');
  await world.clock.advance(1000);
  t.equal(call.phase, 'connected', 'by the new connection');
  await world.stop();
});

t.test(
  'a server that falls silent is noticed by its keep-alives, and registered at again',
  async t => {
    const { world, anna } = await house(KITCHEN);
    world.network.setLink(KITCHEN, false);
    await world.clock.advance(29_000 + 39_500 + 32_500);
    t.equal(phaseOf(anna), 'failed', 'long before the registration would have been refreshed');
    world.network.setLink(KITCHEN, true);
    await world.clock.advance(31_000);
    t.equal(phaseOf(anna), 'registered');
    await world.stop();
  },
);
