/**
 * The flows of RFC 3665, message by message as they stand there: a registrar that asks for passwords (section 2) and
 * calls by way of proxies (section 3). The 100s, which each hop sends as it likes, are left out. Section 3.5 is about a
 * gateway that rewrites session descriptions, which no proxy of ours does.
 */
import {
  Contact,
  isSipUri,
  Params,
  parseUri,
  type SipResponse,
  sipUri,
  type Uri,
} from '@sip-stack/parser';
import t, { type Test } from 'tap';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { DigestClient, passwordAccount } from '../../src/sip/digest/client.js';
import { ha1Of } from '../../src/sip/digest/computation.js';
import { DigestServer } from '../../src/sip/digest/server.js';
import type { RequestAuthenticator } from '../../src/sip/request-client.js';
import { peerAt } from './peer.js';
import { hop, Lab, type Phone } from './proxy-lab.js';

const NAMES: Readonly<Record<string, string>> = {
  '10.0.0.1': 'Alice',
  '10.0.0.2': 'Bob',
  '10.0.1.1': 'P1',
  '10.0.1.2': 'P2',
  '10.0.1.9': 'P1, dead',
  '10.0.1.3': 'Redirect',
};
const [ALICE = '', BOB = '', P1 = '', P2 = '', DEAD = '', REDIRECT = ''] = Object.keys(NAMES);
const PASSWORDS: Readonly<Record<string, string>> = { alice: 'a secret', bob: 'zanzibar' };

function digestServer(lab: Lab, realm: string, role: 'user-agent' | 'proxy'): DigestServer {
  const random = new SeededRandom(lab.seed);
  const ha1 = (user: string, inRealm: string, hash: Parameters<typeof ha1Of>[0]) => {
    const password = PASSWORDS[user];
    return password === undefined ? undefined : ha1Of(hash, user, inRealm, password);
  };
  // The longer hash, asked for by two proxies, would make a request that UDP does not carry.
  return new DigestServer({ realm, role, random, store: { ha1 }, algorithms: ['MD5'] });
}

function login(user: string, password = PASSWORDS[user] ?? ''): RequestAuthenticator {
  const account = passwordAccount(user, password);
  const client = new DigestClient({ account: () => account, random: new SeededRandom(7) });
  return { begin: () => client.begin() };
}

/** Every message between two hosts so far, in order: `Alice > P1 INVITE`, `P1 > Alice 180`. */
function ladder(lab: Lab): string[] {
  const nameOf = (endpoint: string) => NAMES[endpoint.split(':')[0] ?? ''] ?? endpoint;
  return lab.network.trace.flatMap(({ from, to, what }) => {
    const words = what.split(' ').filter(word => word !== 'SIP/2.0');
    const named = words.find(word => /^([A-Z]+|\d{3})$/.test(word)) ?? '';
    return named === '100' ? [] : [`${nameOf(from)} > ${nameOf(to)} ${named}`];
  });
}

/** A message that passes every host of a way. */
const along = (what: string, ...way: string[]) =>
  way.slice(1).map((to, i) => `${way[i]} > ${to} ${what}`);
const WAY = ['Alice', 'P1', 'P2', 'Bob'];
const BACK = WAY.toReversed();

async function registrar(t: Test, password?: string) {
  const lab = new Lab();
  const server = digestServer(lab, 'two.example', 'user-agent');
  await lab.proxy(P2, 'two.example', {}, async request => {
    const verdict = server.check(request, lab.clock.now());
    if (verdict.type === 'accepted') return { type: 'proven', user: verdict.username };
    return { type: 'refused', response: server.refuse(request, verdict, 'registrar') };
  });
  const bob = await lab.phone(BOB, P2, login('bob', password));
  const series = bob.agent.newSeries();
  const register = async (headers: Readonly<Record<string, string>>) => {
    const before = ladder(lab).length;
    const from = { uri: parseUri('sip:bob@two.example'), params: new Params() };
    const uri = sipUri({ host: 'two.example' });
    const to = { address: P2, port: 5060 };
    const answer = bob.agent.request({
      method: 'REGISTER',
      uri,
      to,
      from,
      toward: from,
      series,
      headers,
    });
    await lab.clock.advance(500);
    return { answer: await answer, flow: ladder(lab).slice(before) };
  };
  t.teardown(() => lab.proxies[0]?.registrar.stop());
  return { lab, register };
}

const contacts = ({ headers }: SipResponse) =>
  headers
    .all(Contact)
    .map(contact => (contact === '*' || !('user' in contact.uri) ? '*' : contact.uri.host));

const CHALLENGED = ['Bob > P2 REGISTER', 'P2 > Bob 401', 'Bob > P2 REGISTER', 'P2 > Bob 200'];

t.test('2.1 to 2.4: registered, another contact, asked for the list, cancelled', async t => {
  const { register } = await registrar(t);
  const first = await register({ Contact: `<sip:bob@${BOB}>`, Expires: '3600' });
  t.same(first.flow, CHALLENGED, '2.1: asked for the password');
  t.same(contacts(first.answer), [BOB]);
  // The password is known to be wanted from now on.
  const KNOWN = ['Bob > P2 REGISTER', 'P2 > Bob 200'];
  const second = await register({ Contact: '<sip:bob@10.0.0.8>' });
  t.same([second.flow, contacts(second.answer).sort()], [KNOWN, [BOB, '10.0.0.8']], '2.2');
  const asked = await register({ Contact: '' });
  t.same([asked.flow, contacts(asked.answer).sort()], [KNOWN, [BOB, '10.0.0.8']], '2.3');
  const gone = await register({ Contact: '*', Expires: '0' });
  t.same([gone.flow, contacts(gone.answer)], [KNOWN, []], '2.4');
});

t.test('2.5: a wrong password registers nothing', async t => {
  const { lab, register } = await registrar(t, 'a wrong one');
  const { answer, flow } = await register({ Contact: `<sip:bob@${BOB}>` });
  t.equal(answer.status, 401);
  t.same(flow.slice(0, 3), ['Bob > P2 REGISTER', 'P2 > Bob 401', 'Bob > P2 REGISTER']);
  t.equal(flow.at(-1), 'P2 > Bob 401');
  t.same(lab.proxies[0]?.registrar.lookup(parseUri('sip:bob@two.example')), []);
});

t.test('3.1: from phone to phone', async t => {
  const lab = new Lab();
  const alice = await lab.phone(ALICE, BOB);
  await lab.phone(BOB);
  const { session } = lab.call(alice, `bob@${BOB}`, BOB);
  await lab.clock.advance(2000);
  session.hangUp();
  await lab.clock.advance(100);
  t.same(ladder(lab), [
    'Alice > Bob INVITE',
    'Bob > Alice 180',
    'Bob > Alice 200',
    'Alice > Bob ACK',
    'Alice > Bob BYE',
    'Bob > Alice 200',
  ]);
  await lab.isIdle(t);
});

/** Two proxies between Alice and Bob, who is registered at the second. */
async function twoProxies(asking: readonly ('P1' | 'P2')[] = []) {
  const lab = new Lab();
  const asker = (realm: string) => {
    const server = digestServer(lab, realm, 'proxy');
    return async (request: Parameters<typeof server.check>[0]) => {
      if (request.method !== 'INVITE') return undefined;
      const verdict = server.check(request, lab.clock.now());
      return verdict.type === 'accepted' ? undefined : server.refuse(request, verdict, 'proxy');
    };
  };
  await lab.proxy(P1, 'one.example', asking.includes('P1') ? { admit: asker('one') } : {});
  await lab.proxy(P2, 'two.example', asking.includes('P2') ? { admit: asker('two') } : {});
  const alice = await lab.phone(ALICE, P1, login('alice'));
  const bob = await lab.phone(BOB);
  await lab.register('bob@two.example', P2, `<sip:bob@${BOB}>`);
  lab.network.trace.length = 0;
  return { lab, alice, bob };
}

const TALK = [...along('180', ...BACK), ...along('200', ...BACK), ...along('ACK', ...WAY)];
const HUNG_UP = [...along('BYE', ...BACK), ...along('200', ...WAY)];

t.test('3.2: through two proxies, the first of which asks who calls', async t => {
  const { lab, alice, bob } = await twoProxies(['P1']);
  lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(2000);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  t.same(ladder(lab), [
    ...['Alice > P1 INVITE', 'P1 > Alice 407', 'Alice > P1 ACK'],
    ...along('INVITE', ...WAY),
    ...TALK,
    ...HUNG_UP,
  ]);
  await lab.isIdle(t);
});

t.test('3.3: both proxies ask, each for itself', async t => {
  const { lab, alice, bob } = await twoProxies(['P1', 'P2']);
  lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(2000);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  // With the credentials for both the INVITE is too long for UDP where all its Vias are in it: by TCP to Bob.
  const withoutBob = (lines: string[]) => lines.filter(line => !line.includes('Bob'));
  t.same(withoutBob(ladder(lab)), [
    ...['Alice > P1 INVITE', 'P1 > Alice 407', 'Alice > P1 ACK'],
    ...['Alice > P1 INVITE', 'P1 > P2 INVITE', 'P2 > P1 407', 'P1 > P2 ACK', 'P1 > Alice 407'],
    'Alice > P1 ACK',
    ...withoutBob([...along('INVITE', ...WAY), ...TALK, ...HUNG_UP]),
  ]);
  // Until the connection is given up, too.
  await lab.clock.advance(3_600_000);
  await lab.isIdle(t);
});

t.test('3.4: the proxy before it is dead; the next one is taken', async t => {
  const lab = new Lab();
  // What stands for the domain of the next proxy, as SRV records do.
  const resolve = async (uri: Uri) => {
    if (!isSipUri(uri)) return [];
    return uri.host === 'two.example' ? [hop(DEAD), hop(P2)] : [hop(uri.host)];
  };
  await lab.proxy(P1, 'one.example', { resolve });
  await lab.proxy(P2, 'two.example');
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  await lab.register('bob@two.example', P2, `<sip:bob@${BOB}>`);
  lab.network.trace.length = 0;
  lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(40_000);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  const flow = ladder(lab);
  t.equal(flow.filter(line => line === 'P1 > P1, dead INVITE').length, 7, '64 times T1 of tries');
  t.same(
    flow.filter(line => !line.includes('dead')),
    [...along('INVITE', ...WAY), ...TALK, ...HUNG_UP],
  );
  await lab.isIdle(t);
});

t.test('3.6: redirected to the next proxy', async t => {
  const { lab, alice, bob } = await twoProxies();
  // The answer in the ACK, which that section shows too, is tested where a callee is asked for the offer.
  const redirecting = { address: REDIRECT, port: 5060 };
  await peerAt(lab.network, redirecting, ({ method }) =>
    method === 'INVITE' ? [{ status: 302, headers: { Contact: '<sip:bob@two.example>' } }] : [],
  );
  const first = lab.call(alice, 'bob@one.example', REDIRECT);
  let contact = '';
  first.session.on('ended', ({ response }) => {
    const [to] = response?.headers.all(Contact) ?? [];
    if (to && to !== '*' && isSipUri(to.uri)) contact = `${to.uri.user}@${to.uri.host}`;
  });
  await lab.clock.advance(100);
  t.same(first.events, ['ended by remote 302']);
  lab.call(alice, contact, P1);
  await lab.clock.advance(2000);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  t.same(ladder(lab), [
    ...['Alice > Redirect INVITE', 'Redirect > Alice 302', 'Alice > Redirect ACK'],
    ...along('INVITE', ...WAY),
    ...TALK,
    ...HUNG_UP,
  ]);
  await lab.isIdle(t);
});

t.test('3.7: Bob moves amid the call, by a re-INVITE that passes no proxy', async t => {
  const lab = new Lab();
  await lab.proxy(P1, 'one.example', { recordRoute: () => false });
  const alice = await lab.phone(ALICE, P1);
  const bob = await lab.phone(BOB);
  await lab.register('bob@one.example', P1, `<sip:bob@${BOB}>`);
  lab.network.trace.length = 0;
  const { session, events } = lab.call(alice, 'bob@one.example', P1);
  session.on('reoffer', () => session.accept('agreed'));
  await lab.clock.advance(2000);
  bob.sessions[0]?.reoffer('another address');
  await lab.clock.advance(100);
  bob.sessions[0]?.hangUp();
  await lab.clock.advance(100);
  t.same(ladder(lab), [
    ...along('INVITE', 'Alice', 'P1', 'Bob'),
    ...along('180', 'Bob', 'P1', 'Alice'),
    ...along('200', 'Bob', 'P1', 'Alice'),
    'Alice > Bob ACK',
    ...['Bob > Alice INVITE', 'Alice > Bob 200', 'Bob > Alice ACK'],
    ...['Bob > Alice BYE', 'Alice > Bob 200'],
  ]);
  t.ok(events.includes('reoffer another address'));
  await lab.isIdle(t);
});

/** A call that Bob refuses, or never hears of. */
async function refused(bobDoes: (phone: Phone) => void) {
  const { lab, alice, bob } = await twoProxies();
  bobDoes(bob);
  const { session, events } = lab.call(alice, 'bob@two.example', P1);
  return { lab, session, events };
}

t.test('3.8: nobody answers, and Alice gives up', async t => {
  const { lab, session, events } = await refused(bob => {
    bob.onSession = each => each.ring();
  });
  await lab.clock.advance(1000);
  session.hangUp();
  await lab.clock.advance(200);
  const flow = ladder(lab);
  t.same(flow.slice(0, 6), [...along('INVITE', ...WAY), ...along('180', ...BACK)]);
  for (const line of [
    ...along('CANCEL', ...WAY),
    ...along('487', ...BACK),
    ...along('ACK', ...WAY),
  ]) {
    t.ok(flow.includes(line), line);
  }
  t.same(events, ['ringing', 'ended by local 487']);
  await lab.isIdle(t);
});

for (const [section, status] of [
  ['3.9: busy', 486],
  ['3.11: not to be reached for now', 480],
] as const) {
  t.test(section, async t => {
    const { lab, events } = await refused(bob => {
      bob.onSession = each => each.reject(status);
    });
    await lab.clock.advance(1000);
    const flow = ladder(lab);
    // Each hop acknowledges the refusal for itself, before it passes it on or after.
    for (const line of [...along(`${status}`, ...BACK), ...along('ACK', ...WAY)]) {
      t.equal(flow.filter(each => each === line).length, 1, line);
    }
    t.equal(flow.length, 9);
    t.same(events, [`ended by remote ${status}`]);
    await lab.isIdle(t);
  });
}

t.test('3.10: Bob’s phone is gone: the second proxy tries, and says so', async t => {
  const { lab, alice, bob } = await twoProxies();
  await bob.agent.stop();
  lab.phones.splice(lab.phones.indexOf(bob), 1);
  const { events } = lab.call(alice, 'bob@two.example', P1);
  await lab.clock.advance(40_000);
  const flow = ladder(lab);
  t.equal(flow.filter(line => line === 'P2 > Bob INVITE').length, 7);
  t.same(
    flow.filter(line => !line.includes('Bob')),
    [
      ...along('INVITE', 'Alice', 'P1', 'P2'),
      ...['P2 > P1 408', 'P1 > P2 ACK', 'P1 > Alice 408', 'Alice > P1 ACK'],
    ],
  );
  t.same(events, ['ended by remote 408']);
  await lab.isIdle(t);
});
