/** Subscriptions between two user agents, and with peers that have manners of their own: RFC 6665. */
import { type SipRequest, sipUri } from '@sip-stack/parser';
import t from 'tap';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { DigestClient, passwordAccount } from '../../src/sip/digest/client.js';
import { MAX_WATCHERS_PER_ADDRESS } from '../../src/sip/events/notifier.js';
import { REFER } from '../../src/sip/events/package.js';
import type { Watcher } from '../../src/sip/events/watcher.js';
import { makeResponse } from '../../src/sip/response.js';
import { eventsLab, loadOf, notifying, refer, told } from './events-lab.js';
import { ALICE, BOB } from './pair.js';
import { methodsOf, PEER, peerAt, request } from './peer.js';

t.test('a subscriber hears the state at once, each change, and the end', async t => {
  const lab = await eventsLab();
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(100);
  t.same(events, ['active', '0 calm']);
  t.equal(subscription.expiresInS, 600);
  t.match(lab.bob.notifier.status, [
    { package: 'mood', resource: 'bob', by: `sip:alice@${ALICE}:5060`, expiresInSeconds: 600 },
  ]);
  await lab.clock.advance(2000);
  lab.set('glad');
  await lab.clock.advance(100);
  subscription.unsubscribe();
  await lab.clock.advance(100);
  t.same(events, ['active', '0 calm', '1 glad', 'leaving', 'ended local']);
  await lab.clock.advance(60_000);
  for (const agent of [lab.alice, lab.bob]) {
    t.match(loadOf(agent), { subscriptions: 0, dialogs: 0, serverTransactions: 0 });
  }
});

t.test('changes that come fast are told once a second, the last of them always', async t => {
  const lab = await eventsLab();
  const events = told(lab.subscribe());
  await lab.clock.advance(2000);
  for (let nth = 1; nth <= 9; nth++) {
    lab.set(`mood ${nth}`);
    await lab.clock.advance(250);
  }
  await lab.clock.advance(2000);
  t.same(events, ['active', '0 calm', '1 mood 1', '2 mood 4', '3 mood 8', '4 mood 9']);
});

t.test('it is refreshed before it expires, for hours', async t => {
  const lab = await eventsLab();
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(4 * 3600_000);
  t.equal(subscription.phase, 'active');
  t.equal(lab.bob.notifier.size, 1);
  t.notMatch(events, /ended|waiting/);
  t.equal(loadOf(lab.bob).dialogs, 1, 'in one dialog');
});

t.test('a subscriber that vanishes is forgotten when its time is over', async t => {
  const lab = await eventsLab();
  lab.subscribe();
  await lab.clock.advance(100);
  t.equal(lab.bob.notifier.size, 1);
  lab.network.setLink(ALICE, false);
  await lab.clock.advance(601_000 + 33_000);
  t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0 });
});

t.test(
  'one that does not answer NOTIFY is forgotten, one that knows nothing of it at once',
  async t => {
    for (const [status, afterMs] of [
      [481, 200],
      [408, 33_000],
    ] as const) {
      const lab = await eventsLab();
      const peer = await peerAt(lab.network, PEER, ({ method }) =>
        method === 'NOTIFY' && status === 481 ? [{ status }] : [],
      );
      peer.send(request('SUBSCRIBE', 1, ['Event: mood']).replace(ALICE, BOB), {
        address: BOB,
        port: 5060,
      });
      await lab.clock.advance(20);
      t.equal(peer.responses.at(-1)?.status, 200);
      await lab.clock.advance(afterMs);
      t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0 }, `${status}`);
    }
  },
);

t.test('NOTIFYs go out one at a time', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, () => []);
  const to = { address: BOB, port: 5060 };
  peer.send(request('SUBSCRIBE', 1, ['Event: mood']).replace(ALICE, BOB), to);
  await lab.clock.advance(20);
  lab.set('glad');
  await lab.clock.advance(5000);
  lab.set('sad');
  await lab.clock.advance(100);
  const sequences = () => new Set(peer.requests.map(({ headers }) => headers.text('CSeq')));
  t.equal(sequences().size, 1, 'the first is only sent again');
  peer.reply(peer.requests[0] as SipRequest, { status: 200 }, to);
  await lab.clock.advance(100);
  t.equal(sequences().size, 2);
  t.match(
    new TextDecoder().decode(peer.requests.at(-1)?.body),
    /sad/,
    'with the state as it is now',
  );
});

t.test('a NOTIFY that is answered 503 with Retry-After goes out again then', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, (_request, nth) =>
    nth === 1 ? [{ status: 503, headers: { 'Retry-After': '10' } }] : [{ status: 200 }],
  );
  peer.send(request('SUBSCRIBE', 1, ['Event: mood']).replace(ALICE, BOB), {
    address: BOB,
    port: 5060,
  });
  await lab.clock.advance(9000);
  t.equal(peer.requests.length, 1);
  await lab.clock.advance(1500);
  t.equal(peer.requests.length, 2);
  t.equal(lab.bob.notifier.size, 1);
});

t.test('what cannot be subscribed to is refused, and says what can', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, () => [{ status: 200 }]);
  let sequence = 0;
  const ask = async (...fields: string[]) => {
    const text = request('SUBSCRIBE', ++sequence, fields).replace(ALICE, BOB);
    peer.send(text, { address: BOB, port: 5060 });
    await lab.clock.advance(50);
    return peer.responses.at(-1);
  };
  const unknown = await ask('Event: weather');
  t.equal(unknown?.status, 489);
  t.equal(unknown?.headers.text('Allow-Events'), 'mood');
  t.equal((await ask())?.status, 489, 'no Event at all');
  const brief = await ask('Event: mood', 'Expires: 5');
  t.equal(brief?.status, 423);
  t.equal(brief?.headers.text('Min-Expires'), '60');
  t.equal((await ask('Event: mood', 'Accept: text/weather'))?.status, 406);
  t.equal((await ask('Event: mood;id', 'To: <sip:bob@x>;tag=none'))?.status, 481);
  t.equal((await ask('Event: mood', 'Expires: 999999'))?.headers.text('Expires'), '3600');
  t.equal(lab.bob.notifier.size, 1);
});

t.test('a user that is not there, and a fetch of one that is', async t => {
  const lab = await eventsLab();
  const uri = sipUri({ user: 'nobody', host: BOB });
  const to = { protocol: 'UDP', endpoint: { address: BOB, port: 5060 } } as const;
  const nobody = told(lab.subscribe({ locate: async () => ({ uri, to }) }));
  const fetched = told(lab.subscribe({ kind: 'fetch' }));
  await lab.clock.advance(100);
  t.same(nobody, ['ended 404']);
  t.same(fetched, ['0 calm', 'ended timeout']);
  await lab.clock.advance(40_000);
  t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0 });
  t.match(loadOf(lab.alice), { subscriptions: 0, dialogs: 0 });
});

t.test('a NOTIFY before the 200 makes the dialog', async t => {
  const lab = await eventsLab();
  const peer = await notifying(lab, (subscribe, nth, self) => {
    if (subscribe.method !== 'SUBSCRIBE') return 200;
    if (nth === 1) self.notify(subscribe);
    return nth === 1 ? undefined : 200;
  });
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(20);
  t.same(events, ['active', 'glad'], 'there was no answer to SUBSCRIBE yet');
  t.equal(peer.responses.at(-1)?.status, 200);
  await lab.clock.advance(600);
  t.equal(subscription.expiresInS, 600);
  t.equal(loadOf(lab.alice).dialogs, 1);
});

t.test('without a NOTIFY within 64 T1 there is no subscription', async t => {
  const lab = await eventsLab();
  await notifying(lab, () => 200);
  const events = told(lab.subscribe());
  await lab.clock.advance(31_000);
  t.same(events, []);
  await lab.clock.advance(2000);
  t.same(events, ['ended 408']);
  t.match(loadOf(lab.alice), { subscriptions: 0, dialogs: 0 });
});

t.test('too brief an interval is raised', async t => {
  const lab = await eventsLab();
  const events = told(lab.subscribe({ expiresS: 10 }));
  await lab.clock.advance(100);
  t.same(events, ['active', '0 calm']);
  t.equal(lab.alice.subscriber.current[0]?.expiresInS, 60);
});

t.test('each phone that a fork reaches has a subscription, within 64 T1', async t => {
  const lab = await eventsLab();
  let asked: SipRequest | undefined;
  const peer = await notifying(lab, subscribe => {
    asked ??= subscribe;
    return 200;
  });
  const subscription = lab.subscribe();
  const events = told(subscription);
  const branches: string[][] = [];
  subscription.on('branch', branch => branches.push(told(branch)));
  await lab.clock.advance(20);
  peer.notify(asked as SipRequest, { tag: 'one' });
  peer.notify(asked as SipRequest, { tag: 'two', body: 'sad' });
  await lab.clock.advance(20);
  t.same(events, ['active', 'glad']);
  t.same(branches, [['active', 'sad']]);
  t.equal(loadOf(lab.alice).dialogs, 2);
  peer.notify(asked as SipRequest, { tag: 'two', sequence: 2, state: 'terminated;reason=timeout' });
  await lab.clock.advance(20);
  t.same(branches, [['active', 'sad', 'glad', 'ended timeout']], 'it does not come back by itself');
  await lab.clock.advance(33_000);
  peer.notify(asked as SipRequest, { tag: 'three' });
  await lab.clock.advance(20);
  t.equal(peer.responses.at(-1)?.status, 481, 'too late');
  await lab.clock.advance(530_000);
  const refreshed = peer.requests.at(-1);
  t.match(refreshed?.headers.text('To'), /tag=one/);
});

t.test('a package whose subscriptions do not fork refuses the second phone', async t => {
  const lab = await eventsLab();
  const peer = await notifying(lab, (subscribe, nth, self) => {
    if (nth === 1)
      for (const tag of ['one', 'two']) self.notify(subscribe, { tag, event: 'still' });
    return 200;
  });
  const still = {
    ...{ name: 'still', types: ['text/mood'], forks: false, intervalMs: 0 },
    expires: { defaultS: 600, minS: 60, maxS: 600 },
  };
  const events = told(lab.subscribe({ package: still }));
  await lab.clock.advance(50);
  t.same(events, ['active', 'glad']);
  t.same(
    peer.responses.map(({ status }) => status),
    [200, 481],
  );
});

const ENDINGS: readonly [state: string, comesBackAfterMs: number | undefined, ended?: string][] = [
  ['terminated;reason=deactivated', 0],
  ['terminated;reason=timeout', 0],
  ['terminated;reason=probation;retry-after=600', 600_000],
  ['terminated;reason=giveup', 30_000],
  ['terminated;reason=unheard-of;retry-after=50', 50_000],
  ['terminated', 30_000],
  ['terminated;reason=rejected', undefined, 'ended rejected'],
  ['terminated;reason=noresource', undefined, 'ended noresource'],
  ['terminated;reason=invariant', undefined, 'ended invariant'],
];

for (const [state, comesBackAfterMs, ended] of ENDINGS) {
  const when = comesBackAfterMs === undefined ? 'never' : `within ${comesBackAfterMs / 1000} s`;
  t.test(`after ${state} it comes back ${when}`, async t => {
    const lab = await eventsLab();
    let first: SipRequest | undefined;
    const peer = await notifying(lab, (subscribe, _nth, self) => {
      if (subscribe.headers.text('To')?.includes('tag=')) return 200;
      if (first) self.notify(subscribe, { body: 'again' });
      first ??= subscribe;
      return 200;
    });
    const subscription = lab.subscribe();
    const events = told(subscription);
    await lab.clock.advance(20);
    peer.notify(first as SipRequest);
    await lab.clock.advance(20);
    peer.notify(first as SipRequest, { sequence: 2, state, body: '' });
    await lab.clock.advance((comesBackAfterMs ?? 3600_000) + 50);
    if (ended) {
      t.equal(events.at(-1), ended);
      t.equal(peer.requests.length, 1);
    } else {
      t.same(events, ['active', 'glad', 'nothing', 'waiting', 'active', 'again']);
      const [before, after] = peer.requests;
      t.not(before?.headers.text('Call-ID'), after?.headers.text('Call-ID'), 'in a new dialog');
      t.not(before?.headers.text('From'), after?.headers.text('From'));
    }
  });
}

t.test('who is sent away at once again and again comes back ever later', async t => {
  const lab = await eventsLab();
  const peer = await notifying(lab, (subscribe, _nth, self) => {
    self.notify(subscribe, { state: 'terminated;reason=deactivated', body: '' });
    return 200;
  });
  lab.subscribe();
  await lab.clock.advance(3600_000);
  t.ok(peer.requests.length < 12, `${peer.requests.length} attempts in an hour`);
});

t.test('unsubscribing while a NOTIFY is on its way ends it all the same', async t => {
  const lab = await eventsLab({ delayMs: 50 });
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(2000);
  lab.set('glad');
  subscription.unsubscribe();
  await lab.clock.advance(20);
  await lab.clock.advance(2000);
  t.same(events, ['active', '0 calm', 'leaving', 'ended local'], 'what came late is no news');
  t.match(loadOf(lab.alice), { subscriptions: 0, dialogs: 0 });
  await lab.clock.advance(40_000);
  t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0 });
});

t.test('unsubscribing before anybody has answered waits for the dialog to end it', async t => {
  const lab = await eventsLab({ delayMs: 50 });
  const subscription = lab.subscribe();
  const events = told(subscription);
  subscription.unsubscribe();
  await lab.clock.advance(1000);
  t.same(events, ['leaving', 'ended local']);
  t.match(loadOf(lab.bob), { subscriptions: 0 });
});

t.test('an unsubscriber that is not told the end gives up after 64 T1', async t => {
  const lab = await eventsLab();
  await notifying(lab, (subscribe, nth, self) => {
    if (nth === 1) self.notify(subscribe);
    return 200;
  });
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(100);
  subscription.unsubscribe();
  await lab.clock.advance(31_900);
  t.same(events, ['active', 'glad', 'leaving']);
  await lab.clock.advance(1000);
  t.same(events.at(-1), 'ended local');
});

t.test('a notifier that has forgotten us (481) is asked anew', async t => {
  const lab = await eventsLab();
  let forgotten = false;
  const peer = await notifying(lab, (subscribe, nth, self) => {
    if (subscribe.headers.text('To')?.includes('tag=')) {
      forgotten = true;
      return 481;
    }
    self.notify(subscribe, { body: `${nth}` });
    return 200;
  });
  const events = told(lab.subscribe());
  await lab.clock.advance(570_000);
  t.ok(forgotten);
  t.same(events, ['active', '1', 'waiting', 'active', '3']);
  t.equal(new Set(peer.requests.map(({ headers }) => headers.text('Call-ID'))).size, 2);
});

t.test('a refresh that fails for now leaves the subscription as it is', async t => {
  const lab = await eventsLab();
  const peer = await notifying(lab, (subscribe, nth, self) => {
    if (nth === 1) self.notify(subscribe);
    return nth === 2 ? 500 : 200;
  });
  const subscription = lab.subscribe();
  const events = told(subscription);
  await lab.clock.advance(570_000);
  t.same(events, ['active', 'glad']);
  t.equal(peer.requests.length, 3, 'it was tried again');
});

t.test('NOTIFYs out of order, of another event and of no subscription are refused', async t => {
  const lab = await eventsLab();
  let asked: SipRequest | undefined;
  const peer = await notifying(lab, subscribe => {
    asked ??= subscribe;
    return 200;
  });
  const events = told(lab.subscribe());
  await lab.clock.advance(20);
  const subscribe = asked as SipRequest;
  const answer = async (options: Parameters<typeof peer.notify>[1]) => {
    peer.notify(subscribe, options);
    await lab.clock.advance(20);
    return peer.responses.at(-1)?.status;
  };
  t.equal(await answer({ sequence: 5 }), 200);
  t.equal(await answer({ sequence: 4 }), 500);
  t.equal(await answer({ sequence: 6, event: 'weather' }), 489);
  t.equal(await answer({ sequence: 7, event: 'mood;id=x' }), 489);
  t.equal(await answer({ sequence: 8, state: '' }), 400);
  t.same(events, ['active', 'glad']);
  const stranger = subscribe.headers.clone();
  stranger.setText('Call-ID', 'unheard-of');
  peer.notify({ ...subscribe, headers: stranger } as SipRequest);
  await lab.clock.advance(20);
  t.equal(peer.responses.at(-1)?.status, 481);
});

t.test('requests follow the route set, and the target wherever it moves', async t => {
  const lab = await eventsLab();
  const peer = await notifying(lab, (subscribe, nth, self) => {
    if (nth === 1) {
      self.notify(subscribe, { headers: [`Record-Route: <sip:${BOB};lr;hop=near>, <sip:far;lr>`] });
    }
    return 200;
  });
  const subscription = lab.subscribe();
  await lab.clock.advance(20);
  peer.notify(peer.requests[0] as SipRequest, { sequence: 2, from: BOB, tag: 'peer' });
  await lab.clock.advance(570_000);
  const refresh = peer.requests[1];
  t.equal(refresh?.headers.text('Route'), `<sip:${BOB};lr;hop=near>`);
  t.same(refresh?.headers.texts('Route'), [`<sip:${BOB};lr;hop=near>`, '<sip:far;lr>']);
  t.match(refresh?.uri, { host: BOB, user: 'bob' });
  subscription.networkChanged();
  await lab.clock.advance(20);
  t.match(peer.requests.at(-1)?.headers.text('Contact'), ALICE, 'the new address is told');
});

t.test('credentials are given for SUBSCRIBE, and for its refresh', async t => {
  const random = new SeededRandom(5);
  const account = passwordAccount('alice', 'secret');
  const client = new DigestClient({ account: () => account, random });
  const lab = await eventsLab({}, { authenticator: client });
  const peer = await notifying(
    lab,
    (subscribe, _nth, self) => {
      if (!subscribe.headers.has('Authorization')) return 401;
      if (!subscribe.headers.text('To')?.includes('tag=')) self.notify(subscribe);
      return 200;
    },
    { Expires: '600', 'WWW-Authenticate': 'Digest realm="bob", nonce="1", algorithm=SHA-256' },
  );
  const events = told(lab.subscribe());
  await lab.clock.advance(570_000);
  t.same(events, ['active', 'glad']);
  const sequences = methodsOf(peer);
  t.same(sequences, ['1 SUBSCRIBE', '2 SUBSCRIBE', '3 SUBSCRIBE']);
});

t.test('through loss and duplication, in any order, the last state is told', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const link = { delayMs: 40, jitterMs: 60, loss: 0.2, duplication: 0.2 };
    const lab = await eventsLab(link, { seed });
    const subscription = lab.subscribe({ persistent: true });
    const events = told(subscription);
    for (let nth = 0; nth < 20; nth++) {
      await lab.clock.advance(1700);
      lab.set(`mood ${nth}`);
    }
    await lab.clock.advance(40_000);
    t.match(events.at(-1), /mood 19$/, `seed ${seed}`);
    const numbers = events.map(text => Number.parseInt(text, 10)).filter(Number.isFinite);
    t.same(
      numbers,
      [...numbers].sort((a, b) => a - b),
      'none is heard twice or late',
    );
    subscription.unsubscribe();
    await lab.clock.advance(100_000);
    t.match(loadOf(lab.alice), { subscriptions: 0, dialogs: 0, clientTransactions: 0 });
    t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0, serverTransactions: 0 });
  }
});

t.test('no address has more than its share', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, () => [{ status: 200 }]);
  for (let nth = 1; nth <= MAX_WATCHERS_PER_ADDRESS + 1; nth++) {
    const text = request('SUBSCRIBE', nth, ['Event: mood']).replace(ALICE, BOB);
    peer.send(text, { address: BOB, port: 5060 });
    await lab.clock.advance(5);
  }
  t.equal(peer.responses.at(-1)?.status, 503);
  t.ok(peer.responses.at(-1)?.headers.has('Retry-After'));
  t.equal(lab.bob.notifier.size, MAX_WATCHERS_PER_ADDRESS);
  const other = told(lab.subscribe());
  await lab.clock.advance(100);
  t.same(other, ['active', '0 calm'], 'others have room');
});

t.test('the same SUBSCRIBE by another path is answered 482', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, () => [{ status: 200 }]);
  const text = request('SUBSCRIBE', 1, ['Event: mood']).replace(ALICE, BOB);
  peer.send(text, { address: BOB, port: 5060 });
  peer.send(text.replace('branch=z9hG4bK', 'branch=z9hG4bKother'), { address: BOB, port: 5060 });
  await lab.clock.advance(50);
  t.same(peer.responses.map(({ status }) => status).sort(), [200, 482]);
});

t.test(
  'a phone that stops tells its watchers when to come back, and leaves what it watches',
  async t => {
    const lab = await eventsLab();
    const ours = lab.subscribe({ persistent: true });
    const events = told(ours);
    await lab.clock.advance(100);
    const stopped = lab.bob.stop();
    await lab.clock.advance(2000);
    await stopped;
    t.same(events, ['active', '0 calm', '1 calm', 'waiting']);
    await lab.bob.start();
    await lab.clock.advance(32_000);
    t.equal(events.at(-1), '0 calm', 'it is watched again');
    const left = lab.alice.stop();
    await lab.clock.advance(2000);
    await left;
    t.equal(lab.bob.notifier.size, 0);
    t.equal(events.at(-1), 'ended local');
  },
);

t.test('whoever is not there yet is watched once it is', async t => {
  const lab = await eventsLab();
  await lab.bob.stop();
  const events = told(lab.subscribe({ persistent: true }));
  await lab.clock.advance(40_000);
  t.same(events, ['waiting']);
  await lab.bob.start();
  await lab.clock.advance(60_000);
  t.same(events, ['waiting', 'active', '0 calm']);
});

t.test('REFER outside a call: both ends of the subscription it implies', async t => {
  const lab = await eventsLab();
  let watcher: Watcher | undefined;
  let progress = '100 Trying';
  lab.bob.handle('REFER', (asked, transaction) => {
    lab.bob.notifier.imply(asked, transaction, {
      package: REFER,
      content: () => ({
        type: 'message/sipfrag;version=2.0',
        body: Buffer.from(`SIP/2.0 ${progress}\r\n`),
      }),
      begun: begun => {
        watcher = begun;
      },
    });
  });
  const referral = refer(lab, { 'Refer-To': '<sip:carol@10.0.0.3>' });
  const events = told(referral);
  const answers: number[] = [];
  referral.on('answered', status => answers.push(status));
  await lab.clock.advance(100);
  t.same(answers, [202]);
  t.same(events, ['active', 'SIP/2.0 100 Trying\r\n']);
  progress = '180 Ringing';
  watcher?.changed();
  await lab.clock.advance(100);
  progress = '200 OK';
  watcher?.terminate({ reason: 'noresource' });
  await lab.clock.advance(100);
  t.same(events.slice(2), ['SIP/2.0 180 Ringing\r\n', 'SIP/2.0 200 OK\r\n', 'ended noresource']);
  await lab.clock.advance(40_000);
  t.match(loadOf(lab.alice), { subscriptions: 0, dialogs: 0 });
  t.match(loadOf(lab.bob), { subscriptions: 0, dialogs: 0 });
});

t.test(
  'a REFER may be refused, accepted without a subscription, or left before its end',
  async t => {
    const lab = await eventsLab();
    const headers = { 'Refer-To': '<sip:carol@10.0.0.3>' };
    lab.bob.handle('REFER', (asked, transaction) =>
      transaction.respond(makeResponse(asked, 603, 'b')),
    );
    const refused = told(refer(lab, headers));
    await lab.clock.advance(100);
    t.same(refused, ['ended 603']);
    lab.bob.handle('REFER', (asked, transaction) => {
      const response = makeResponse(asked, 202, 'b');
      response.headers.setText('Refer-Sub', 'false');
      transaction.respond(response);
    });
    const alone = told(refer(lab, { ...headers, 'Refer-Sub': 'false' }));
    await lab.clock.advance(100);
    t.same(alone, ['ended local']);
    lab.bob.handle('REFER', (asked, transaction) =>
      lab.bob.notifier.imply(asked, transaction, {
        package: REFER,
        content: () => undefined,
        begun: () => undefined,
      }),
    );
    const left = refer(lab, headers);
    const events = told(left);
    await lab.clock.advance(100);
    left.unsubscribe();
    await lab.clock.advance(100);
    t.same(events, ['active', 'nothing', 'leaving', 'ended local']);
    t.equal(lab.bob.notifier.size, 0);
  },
);

t.test('a SUBSCRIBE within a call is told to have a dialog of its own', async t => {
  const lab = await eventsLab();
  const peer = await peerAt(lab.network, PEER, () => [{ status: 200 }]);
  lab.bob.onSession = session => session.accept('v=0\r\n');
  const to = { address: BOB, port: 5060 };
  peer.send(request('INVITE', 1, [], 'v=0\r\n').replace(ALICE, BOB), to);
  await lab.clock.advance(50);
  const tagged = `To: ${peer.responses.at(-1)?.headers.text('To')}`;
  peer.send(request('ACK', 1, [tagged]), to);
  peer.send(request('SUBSCRIBE', 2, [tagged, 'Event: mood']), to);
  await lab.clock.advance(50);
  t.equal(peer.responses.at(-1)?.status, 403);
  t.equal(loadOf(lab.bob).sessions, 1);
});
