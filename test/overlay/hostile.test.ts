/** What somebody on the network can do to phones of a ring who has keys of their own, and keeps no rule. */
import fc from 'fast-check';
import t from 'tap';
import { between, type Id, idAfter, idOf } from '../../src/overlay/ring/ids.js';
import type { Peer } from '../../src/overlay/ring/peer.js';
import { anyAnswer, anyRequest } from './sip/any-message.js';
import type { StrangersKey } from './stranger.js';
import { type Device, type DeviceOptions, Village } from './village.js';

function peerOf({ overlay, address }: Device): Peer {
  return { id: overlay.id, address: `${address}:5060` };
}

/** A super-node, and a node that is attached to it. */
async function smallRing(village: Village, of: DeviceOptions = {}): Promise<[Device, Device]> {
  const superNode = await village.add('10.0.0.1');
  await village.during(superNode.overlay.promote());
  const node = await village.add('10.0.0.2', of);
  await village.until(() => node.overlay.reached, 5000);
  return [superNode, node];
}

t.test('what cannot be written in an answer is refused, and whoever was asked goes on', async t => {
  const village = new Village(21);
  const [superNode, node] = await smallRing(village);
  const to = peerOf(superNode);
  const stranger = await village.stranger('10.0.0.9');
  const key = stranger.key();
  const ask = (...asked: Parameters<StrangersKey['ask']>) => village.during(key.ask(...asked));

  const versions = [{ key: idOf('x'), publisher: 'x', sequence: 1 }];
  const offered = await ask(to, { type: 'offer', versions }, sip => {
    // Read as it stands, written with three octets for each.
    sip.body = Buffer.from(`version ${idOf('x')} ${'"'.repeat(3000)} 1\r\n`);
  });
  t.match(offered, { status: 413, said: 'TOO_LARGE' });

  const notify = { type: 'notify', joining: true, predecessor: undefined } as const;
  const nowhere = `${'n'.repeat(400)}.invalid:5060`;
  const notified = await ask(to, notify, ({ headers }) => {
    const said = headers.text('DHT-PeerID') ?? '';
    headers.setText('DHT-PeerID', said.replace('10.0.0.9:5060', nowhere));
  });
  t.match(notified, { status: 400, said: 'MALFORMED' }, 'an address that nobody could pass on');
  t.match(await ask(to, { type: 'neighbours' }), { status: 200, said: 'links' });

  const accused = peerOf(superNode);
  const gone = key.entry(Number.MAX_SAFE_INTEGER, 'gone', accused);
  await ask(to, { type: 'membership', hops: 0, entries: [gone] });
  const compared = await ask(to, {
    type: 'compare',
    digests: Array.from({ length: 256 }, () => 7),
  });
  t.match(compared, { status: 200, said: 'compared' });

  const crowd = idOf('crowd');
  for (let n = 0; n < 24; n++) {
    const publisher = stranger.key();
    const records = [publisher.record(crowd, Buffer.alloc(60_000))];
    await village.during(publisher.ask(to, { type: 'store', records, copy: true }));
  }
  t.match(await ask(to, { type: 'fetch', key: crowd }), { status: 200, said: 'records' });

  t.equal(await village.during(node.overlay.put(node.record('ada'))), 1, 'it serves its node');
  await stranger.stop();
  await village.stop();
});

t.test('nobody names another as the owner of a place: rings are not torn by it', async t => {
  const village = new Village(22);
  const [first, second] = await smallRing(village);
  await village.during(second.overlay.promote());
  await village.clock.advance(30_000);
  const head = () => first.overlay.status.member?.successors.map(({ id }) => id);
  t.same(head(), [second.overlay.id]);

  const stranger = await village.stranger('10.0.0.9');
  let key = stranger.key();
  // Whoever is between them would be the successor by right.
  while (between(key.id, first.overlay.id, second.overlay.id)) key = stranger.key();
  const fakes = Array.from({ length: 40 }, (_, n) => {
    return { id: idAfter(first.overlay.id, n + 1), address: '10.0.0.77:5060' };
  });
  const [owner, ...successors] = fakes;
  let asked = 0;
  stranger.answer(key, request => {
    if (request.type !== 'find') return { type: 'pong' };
    asked++;
    return { type: 'owner', predecessor: undefined, successors, ...(owner && { owner }) };
  });
  await village.during(key.ask(peerOf(first), { type: 'merge', contact: key.self }));
  await village.clock.advance(1000);
  t.ok(asked > 0, 'it looked there');
  t.same(head(), [second.overlay.id], 'and believed nothing of it');
  await stranger.stop();
  await village.stop();
});

t.test('who never agrees about the table is asked no more until the next minute', async t => {
  const village = new Village(23);
  const [superNode] = await smallRing(village);
  const stranger = await village.stranger('10.0.0.9');
  const key = stranger.key();
  let compared = 0;
  stranger.answer(key, request => {
    if (request.type !== 'compare') return { type: 'pong' };
    compared++;
    return { type: 'compared', parts: [0], entries: [] };
  });
  const entries = [key.entry(1)];
  await village.during(key.ask(peerOf(superNode), { type: 'membership', hops: 0, entries }));
  t.equal(superNode.overlay.status.member?.known, 2, 'it says that it is a member');
  for (let s = 0; s < 900 && compared < 5000; s++) await village.clock.advance(1000);
  t.ok(compared > 0 && compared < 1100, `asked ${compared} times in a quarter of an hour`);
  t.same(superNode.overlay.serving, [], 'nor does it count for a super-node: it follows nobody');
  await stranger.stop();
  await village.stop();
});

t.test('nobody is out of reach, or serves, for being in the table alone', async t => {
  const village = new Village(28);
  // The other one has addresses of both kinds: it could reach whom the first cannot.
  const [first, second] = await smallRing(village, { also: 'fe80::2' });
  await village.during(second.overlay.promote());
  await village.clock.advance(30_000);
  const stranger = await village.stranger('10.0.0.9');
  const entries = ['[2001:db8::1]:5060', '10.0.0.77:5060', '10.0.0.78:5060'].map(address => {
    const key = stranger.key();
    return key.entry(1, 'present', { id: key.id, address });
  });
  const told = { type: 'membership', hops: 0, entries } as const;
  await village.during(stranger.key().ask(peerOf(first), told));
  t.equal(first.overlay.others.length, 4, 'it says so');
  t.same(
    first.overlay.serving.map(({ id }) => id),
    [second.overlay.id],
  );
  t.notOk(first.overlay.apart);
  await stranger.stop();
  await village.stop();
});

t.test(
  'more signatures than can be verified in time are refused, and others are served',
  async t => {
    const village = new Village(24);
    const [superNode, node] = await smallRing(village);
    const to = peerOf(superNode);
    const stranger = await village.stranger('10.0.0.9');
    const key = stranger.key();
    const tell = async (count: number) => {
      const forged = { ...key.entry(1), signature: 'forged' };
      const entries = Array.from({ length: count }, () => forged);
      const told = await village.during(key.ask(to, { type: 'membership', hops: 0, entries }));
      return told.said;
    };
    t.equal(await tell(1001), 'TOO_LARGE', 'in one message');
    const versions = Array.from({ length: 1001 }, (_, n) => {
      return { key: idOf('x'), publisher: key.id, sequence: n };
    });
    t.match(await village.during(key.ask(to, { type: 'offer', versions })), { said: 'TOO_LARGE' });
    const said: string[] = [];
    for (let n = 0; n < 5; n++) said.push(await tell(950));
    t.same(
      said,
      ['accepted', 'accepted', 'accepted', 'accepted', 'OVERLOADED'],
      'one after the other',
    );
    t.match(
      await village.during(key.ask(to, { type: 'ping' })),
      { said: 'pong' },
      'what costs nothing is taken',
    );
    t.equal(await village.during(node.overlay.put(node.record('ada'))), 1);
    await village.clock.advance(1000);
    t.equal(await tell(950), 'accepted', 'a second later');
    await stranger.stop();
    await village.stop();
  },
);

t.test('a name under which strangers put all there is room for is still answered for', async t => {
  const village = new Village(25);
  const [superNode, node] = await smallRing(village);
  const ada = node.record('ada');
  await village.during(node.overlay.put(ada));
  const stranger = await village.stranger('10.0.0.9');
  const put = async (key: Id, octets: number) => {
    const by = stranger.key();
    const records = [by.record(key, Buffer.alloc(octets))];
    return (await village.during(by.ask(peerOf(superNode), { type: 'store', records, copy: true })))
      .said;
  };
  const large = new Map<string, number>();
  for (let n = 0; n < 20; n++) {
    const said = await put(ada.key, 60_000);
    large.set(said, (large.get(said) ?? 0) + 1);
  }
  t.same(
    [...large],
    [
      ['stored', 12],
      ['refused', 8],
    ],
  );
  const found = await village.during(node.overlay.get(ada.key));
  t.ok(
    found.some(({ signature }) => signature === ada.signature),
    'ada is there',
  );
  await stranger.stop();
  await village.stop();
});

t.test(
  'what a stranger has asked through a member makes nobody take that one for dead',
  async t => {
    const village = new Village(26);
    const [first, second] = await smallRing(village);
    await village.during(second.overlay.promote());
    await village.clock.advance(30_000);
    const stranger = await village.stranger('10.0.0.9');
    const key = stranger.key();
    const records = Array.from({ length: 16 }, (_, n) => key.record(idOf(`${n}`), Buffer.alloc(9)));
    const said = new Map<string, number>();
    const count = (what: string) => said.set(what, (said.get(what) ?? 0) + 1);
    let alone = 0;
    for (let s = 0; s < 20; s++) {
      for (let n = 0; n < 20; n++) {
        void key.ask(peerOf(first), { type: 'publish', records }).then(told => count(told.said));
      }
      await village.clock.advance(500);
      const { successors = [], predecessor } = first.overlay.status.member ?? {};
      if (successors[0]?.id !== second.overlay.id || predecessor?.id !== second.overlay.id) alone++;
    }
    t.equal(alone, 0, 'they are neighbours all the while');
    t.ok((said.get('OVERLOADED') ?? 0) > 250, 'most of it was refused');
    t.ok((said.get('stored') ?? 0) > 20, 'and some done');
    const record = second.record('ada');
    t.equal(await village.during(second.overlay.put(record)), 2);
    t.equal((await village.during(first.overlay.get(record.key))).length, 1);
    await stranger.stop();
    await village.stop();
  },
);

t.test('who leaves cannot name somebody behind it as the one before it', async t => {
  const village = new Village(27);
  const [superNode] = await smallRing(village);
  const stranger = await village.stranger('10.0.0.9');
  const key = stranger.key();
  stranger.answer(key, () => ({ type: 'pong' }));
  const to = peerOf(superNode);
  const predecessor = () => superNode.overlay.status.member?.predecessor?.id;
  await village.during(key.ask(to, { type: 'notify', joining: false, predecessor: undefined }));
  t.equal(predecessor(), key.id);
  const nobody = { id: idAfter(superNode.overlay.id, 2 ** 52 - 9), address: '10.0.0.77:5060' };
  const leave = { type: 'leave', predecessor: nobody, successors: [] } as const;
  await village.during(key.ask(to, leave));
  t.not(predecessor(), nobody.id, "what lies between would be nobody's");
  const record = superNode.record('ada');
  t.equal(await village.during(superNode.overlay.put(record)), 1);
  await stranger.stop();
  await village.stop();
});

t.test('a super-node that takes nodes and puts nothing into the ring is left', async t => {
  const village = new Village(29);
  const members: Device[] = [];
  for (const n of [1, 2, 3]) {
    members.push(await village.add(`10.0.0.${n}`));
    await village.during(members.at(-1)!.overlay.promote());
  }
  const others = members.map(peerOf);
  for (const { id } of others) village.board.remove(id);
  const stranger = await village.stranger('10.0.0.9');
  const key = stranger.key();
  stranger.answer(key, ({ type }) => {
    if (type === 'attach') return { type: 'attached', expiresS: 600, others };
    return type === 'publish' ? { type: 'stored', copies: 5 } : { type: 'pong' };
  });
  village.board.post(key.self);
  const node = await village.add('10.0.0.4');
  const record = node.record('ada');
  node.overlay.keep([record]);
  const at = () => node.overlay.status.superNode;
  await village.until(() => at() === key.self.address, 5000);
  const found = async () => village.during(members[0]!.overlay.get(record.key));
  t.same(await found(), []);
  await village.until(() => others.some(({ address }) => address === at()), 60_000);
  await village.clock.advance(2000);
  t.match(await found(), [{ publisher: record.publisher }]);
  await village.clock.advance(3600_000);
  t.not(at(), key.self.address, 'for good');
  await stranger.stop();
  await village.stop();
});

/** `HOSTILE_SEEDS='32 33'` tries others. */
const SEEDS = (process.env.HOSTILE_SEEDS ?? '31').split(' ').map(Number);

t.test('whatever a member asks and answers, all of it signed, the ring outlives it', async t => {
  for (const seed of SEEDS) {
    const village = new Village(seed);
    const [first, node] = await smallRing(village);
    const second = await village.add('10.0.0.3');
    await village.during(second.overlay.promote());
    await village.clock.advance(20_000);
    const stranger = await village.stranger('10.0.0.9');
    const [key, ...others] = Array.from({ length: 4 }, () => stranger.key());
    const answers = fc.sample(anyAnswer, { numRuns: 500, seed });
    let asked = 0;
    stranger.answer(key!, () => answers[asked++ % answers.length]!);
    // It is in the table, and perhaps a neighbour: so it is asked.
    for (const member of [first, second]) {
      const entries = [key!.entry(1)];
      const notify = { type: 'notify', joining: true, predecessor: undefined } as const;
      await village.during(key!.ask(peerOf(member), { type: 'membership', hops: 2, entries }));
      await village.during(key!.ask(peerOf(member), notify));
    }
    const keys = [key!, ...others];
    const said = new Set<string>();
    for (const [n, request] of fc.sample(anyRequest, { numRuns: 300, seed }).entries()) {
      const to = peerOf([first, second, node][n % 3]!);
      void keys[n % 4]!.ask(to, request).then(
        told => said.add(told.said),
        () => undefined,
      );
      await village.clock.advance(n % 10 === 0 ? 200 : 5);
    }
    await village.clock.advance(60_000);
    t.ok(asked > 20 && said.size > 10, `seed ${seed}: it asked, and was asked ${asked} times`);
    await stranger.stop();
    await village.clock.advance(150_000);
    const record = node.record('ada');
    t.equal(await village.during(node.overlay.put(record)), 2, 'both keep what is put');
    t.equal((await village.during(second.overlay.get(record.key))).length, 1);
    t.same([first.overlay.role, second.overlay.role], ['super-node', 'super-node']);
    await village.stop();
  }
});
