import { sipUri } from '@sip-stack/parser';
import t from 'tap';
import type { Telephone } from '../../src/runtime/telephone.js';
import type { TextMessage } from '../../src/services/messages/inbox-machine.js';
import { Simulation } from '../../src/simulation/simulated-phones.js';
import { MemoryStore } from '../../src/storage/memory-store.js';
import { type Answer, peerAt } from '../sip/peer.js';

const ALICE = { address: '10.0.0.1', port: 5060 };
const PEER = { address: '10.0.0.9', port: 5060 };

async function town(store = new MemoryStore(), seed = 3) {
  const world = new Simulation({ seed });
  const alice = await world.addPhone('alice', ALICE.address, { store: () => store });
  const bob = await world.addPhone('bob', '10.0.0.2');
  return { world, alice, bob, store };
}

/** What became of a message: `taken`, or the code of its end. */
async function send({ clock }: Simulation, from: Telephone, to: string, text: string) {
  let result: string | undefined;
  let status: number | undefined;
  void from.messages.send(to, text).then(end => {
    result = end?.code ?? 'taken';
    status = end?.status;
  });
  await clock.advanceUntil(() => result !== undefined, 100_000);
  return { result, status };
}

const texts = (messages: readonly TextMessage[]) => messages.map(({ text }) => text);

/** A MESSAGE as others send it. */
function message(lines: readonly string[], body = 'hello', nth = 1): string {
  const given = (name: string) => lines.some(line => line.startsWith(`${name}:`));
  const usual = [
    ...(given('From') ? [] : ['From: "Eve" <sip:eve@10.0.0.9>;tag=e']),
    ...(given('CSeq') ? [] : [`CSeq: ${nth} MESSAGE`]),
    ...(given('Content-Type') ? [] : ['Content-Type: text/plain']),
    ...(given('To') ? [] : ['To: <sip:alice@10.0.0.1>']),
  ];
  return `${[
    'MESSAGE sip:alice@10.0.0.1 SIP/2.0',
    `Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKm${nth}${lines.length}`,
    'Call-ID: of-eve',
    'Max-Forwards: 70',
    ...usual,
    ...lines,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ].join('\r\n')}\r\n\r\n${body}`;
}

async function stranger(world: Simulation) {
  const peer = await peerAt(world.network, PEER);
  const say = async (text: string) => {
    peer.send(text, ALICE);
    await world.clock.advance(100);
    return peer.responses.at(-1);
  };
  return { peer, say };
}

t.test('a message reaches a phone by its name, and is kept until it is seen', async t => {
  const { world, alice, bob } = await town();
  const heard: TextMessage[] = [];
  alice.messages.listen(message => heard.push(message));
  t.same(await send(world, bob, 'alice', 'Lunch at one? ☕'), {
    result: 'taken',
    status: undefined,
  });
  t.match(heard, [{ name: 'bob', text: 'Lunch at one? ☕', id: 1 }]);
  t.same(texts(alice.messages.unseen), ['Lunch at one? ☕']);
  const shown: TextMessage[] = [];
  const hide = alice.messages.show(message => shown.push(message));
  await send(world, bob, 'alice', 'Or two?');
  hide();
  t.same(texts(shown), ['Lunch at one? ☕', 'Or two?'], 'what waits, and what comes');
  t.same(alice.messages.unseen, []);
  t.equal(alice.messages.all.length, 2);
  await world.stop();
  t.equal(world.clock.pending, 0);
});

t.test('messages outlive a restart, and which of them were seen', async t => {
  const { world, alice, bob, store } = await town();
  await send(world, bob, 'alice', 'one');
  alice.messages.show(() => undefined)();
  await send(world, bob, 'alice', 'two');
  await world.stop();
  const later = await town(store, 4);
  t.same(texts(later.alice.messages.unseen), ['two']);
  t.same(texts(later.alice.messages.all), ['one', 'two']);
  await send(later.world, later.bob, 'alice', 'three');
  t.same(
    later.alice.messages.all.map(({ id }) => id),
    [1, 2, 3],
  );
  await later.world.stop();
});

t.test('a MESSAGE has no Contact, and says who wrote it and in which characters', async t => {
  const { world, bob } = await town();
  const peer = await peerAt(world.network, PEER, () => [{ status: 202 }]);
  t.equal((await send(world, bob, 'sip:eve@10.0.0.9', 'hi')).result, 'taken', '202 will do');
  const [request] = peer.requests;
  t.equal(request?.headers.has('Contact'), false);
  t.equal(request?.headers.text('Content-Type'), 'text/plain;charset=UTF-8');
  t.match(request?.headers.text('From'), /^<sip:bob@10\.0\.0\.2:5060>;tag=/);
  t.equal(Buffer.from(request?.body ?? []).toString(), 'hi');
  await world.stop();
});

const refusals: readonly [Answer, string][] = [
  [{ status: 404 }, 'NO_SUCH_NAME'],
  [{ status: 405 }, 'REFUSED'],
  [{ status: 415 }, 'REFUSED'],
  [{ status: 480 }, 'NO_ANSWER'],
  [{ status: 486 }, 'BUSY'],
  [{ status: 603 }, 'REFUSED'],
  [{ status: 500 }, 'FAILED'],
  [{ status: 302, headers: { Contact: '<sip:alice@10.0.0.1>' } }, 'taken'],
  [{ status: 302, headers: { Contact: '<sip:eve@10.0.0.9>' } }, 'FAILED'],
];
t.test('what became of a message can be told', async t => {
  for (const [answer, code] of refusals) {
    const { world, bob } = await town();
    await peerAt(world.network, PEER, () => [answer]);
    t.equal((await send(world, bob, 'sip:eve@10.0.0.9', 'hi')).result, code, `${answer.status}`);
    await world.stop();
  }
  const { world, bob } = await town();
  t.equal((await send(world, bob, 'nobody', 'hi')).result, 'NO_SUCH_NAME');
  t.equal((await send(world, bob, 'sip:x@10.0.0.99', 'hi')).result, 'UNREACHABLE');
  t.equal((await send(world, bob, 'zoe@alice', 'hi')).result, 'NO_SUCH_NAME', 'at her phone');
  await t.rejects(bob.messages.send('alice', ' '), { code: 'BAD_TEXT' });
  await t.rejects(bob.messages.send('alice', 'x'.repeat(16_385)), { code: 'BAD_TEXT' });
  await t.rejects(bob.messages.send('a b', 'x'), { code: 'BAD_TARGET' });
  await world.stop();
});

t.test(
  'where nobody answers at one place, the next is tried, and nobody is told twice',
  async t => {
    const { world, alice, bob } = await town();
    const endpoints = [
      { address: '10.0.0.98', port: 5060 },
      ALICE,
      { address: '10.0.0.97', port: 1 },
    ];
    world.lan.announce({
      name: 'den',
      deviceId: undefined,
      endpoints,
      ports: {},
      host: 'den.local',
    });
    alice.rename('den');
    const before = world.clock.now();
    t.equal((await send(world, bob, 'den', 'hi')).result, 'taken');
    t.ok(world.clock.now() - before < 10_000);
    t.same(texts(alice.messages.unseen), ['hi']);
    await world.stop();
    t.equal(world.clock.pending, 0);
  },
);

t.test('long text goes by TCP, and by nothing else', async t => {
  const { world, alice, bob } = await town();
  const long = 'x'.repeat(2000);
  t.equal((await send(world, bob, 'alice', long)).result, 'taken');
  t.same(texts(alice.messages.unseen), [long]);
  const datagrams = await peerAt(world.network, PEER);
  t.not((await send(world, bob, 'sip:eve@10.0.0.9', long)).result, 'taken');
  t.same(datagrams.requests, [], 'eve listens for datagrams only');
  await world.stop();
});

t.test('what is no plain text is refused, and what would be taken is said', async t => {
  const { world, alice } = await town();
  const { say } = await stranger(world);
  const cases: [string[], string, number, Record<string, string>][] = [
    [['Content-Type: text/html'], '<b>', 415, { Accept: 'text/plain' }],
    [['Content-Type: message/cpim'], 'x', 415, { Accept: 'text/plain' }],
    [['Content-Type: text/plain;charset=koi8-r'], 'x', 415, { Accept: 'text/plain' }],
    [['Content-Encoding: gzip'], 'x', 415, { 'Accept-Encoding': 'identity' }],
    [[], '', 400, {}],
    [[], 'x'.repeat(17_000), 413, {}],
    [['Content-Type: text/plain; charset="utf-8"'], 'fine', 200, {}],
  ];
  let nth = 10;
  for (const [lines, body, status, headers] of cases) {
    const response = await say(message(lines, body, nth++));
    t.equal(response?.status, status, `${lines} ${body.slice(0, 9)}`);
    for (const [name, value] of Object.entries(headers)) {
      t.equal(response?.headers.text(name), value);
    }
  }
  t.same(texts(alice.messages.unseen), ['fine']);
  await world.stop();
});

t.test('the same message by another transaction is acknowledged, and not shown again', async t => {
  const { world, alice } = await town();
  const { say } = await stranger(world);
  t.equal((await say(message([])))?.status, 200);
  t.equal((await say(message(['Subject: again'])))?.status, 200, 'with another branch');
  t.equal((await say(message(['Priority: x', 'Subject: y'], 'other', 2)))?.status, 200);
  t.same(texts(alice.messages.unseen), ['hello', 'other']);
  await world.stop();
});

t.test(
  'one address fills half the inbox; what was seen gives way, what was not does not',
  async t => {
    const { world, alice, bob } = await town();
    const { peer, say } = await stranger(world);
    for (let nth = 1; nth <= 101; nth++) peer.send(message([], `no. ${nth}`, nth), ALICE);
    await world.clock.advance(500);
    t.equal(alice.messages.unseen.length, 100);
    t.equal((await send(world, bob, 'alice', 'me too')).result, 'taken', 'another finds room');
    const refused = peer.responses.filter(({ status }) => status === 480);
    t.equal(refused.length, 1);
    t.equal(refused[0]?.headers.text('Retry-After'), '600');
    alice.messages.show(() => undefined)();
    for (let nth = 200; nth < 300; nth++) peer.send(message([], `no. ${nth}`, nth), ALICE);
    await world.clock.advance(500);
    t.equal(alice.messages.all.length, 200, 'the oldest that was seen is gone');
    t.equal(alice.messages.unseen.length, 100);
    t.equal((await say(message([], 'no. 1', 1)))?.status, 200, 'a copy of one that is gone');
    t.equal(alice.messages.unseen.length, 100);
    await world.stop();
  },
);

t.test('a message that cannot be kept is not acknowledged', async t => {
  const store = new MemoryStore();
  const { world, alice } = await town(store);
  const { say } = await stranger(world);
  await store.close();
  t.equal((await say(message([])))?.status, 500);
  t.same(alice.messages.all, []);
  await world.stop();
});

t.test('text within a call', async t => {
  const { world, alice, bob } = await town();
  alice.person.attend(call => call.answer());
  const answers: string[] = [];
  const call = bob.calls.dial('alice');
  call.on('answeredRequest', (method, status) => answers.push(`${method} ${status}`));
  await world.clock.advance(500);
  const say = async (type: string, text: string) => {
    const headers = { 'Content-Type': type };
    call.send({ method: 'MESSAGE', headers, body: Buffer.from(text) });
    await world.clock.advance(500);
  };
  await say('text/plain', 'can you hear me?');
  await say('application/im-iscomposing+xml', '<isComposing/>');
  t.same(answers, ['MESSAGE 200', 'MESSAGE 415']);
  t.match(alice.messages.unseen, [{ text: 'can you hear me?', name: 'bob' }]);
  t.equal(call.phase, 'connected');
  call.hangUp();
  const echo = bob.calls.dial('*43@alice');
  await world.clock.advance(500);
  echo.on('answeredRequest', (method, status) => answers.push(`${method} ${status}`));
  echo.send({
    method: 'MESSAGE',
    headers: { 'Content-Type': 'text/plain' },
    body: Buffer.from('x'),
  });
  await world.clock.advance(500);
  t.equal(answers.at(-1), 'MESSAGE 405', 'nobody reads at the echo test');
  await world.stop();
});

t.test('a phone with users passes messages on to them', async t => {
  const world = new Simulation({ seed: 4 });
  const users = [{ name: 'anna', password: 'anna-password' }];
  const account = {
    aor: sipUri({ user: 'anna', host: '10.0.0.1' }),
    user: 'anna',
    password: 'anna-password',
  };
  const kitchen = await world.addPhone('kitchen', '10.0.0.1', { users });
  const annas = await world.addPhone('annas', '10.0.0.2', { accounts: [account] });
  const bob = await world.addPhone('bob', '10.0.0.3');
  await world.clock.advance(1000);
  t.equal((await send(world, bob, 'anna@kitchen', 'from a stranger')).result, 'taken');
  t.equal((await send(world, kitchen, 'anna@kitchen', 'from the phone itself')).result, 'taken');
  t.equal((await send(world, annas, 'sip:kitchen@10.0.0.1', 'from a user')).result, 'taken');
  t.same(texts(annas.messages.unseen), ['from a stranger', 'from the phone itself']);
  t.match(kitchen.messages.unseen, [{ text: 'from a user', from: 'sip:anna@10.0.0.1' }]);
  t.equal((await send(world, bob, 'sip:x@example.net', 'hi')).result, 'NO_SUCH_NAME');
  await world.stop();
});
