/** What a super-node does for its nodes. */
import t from 'tap';
import { pageKey, pageOf, readPage, writePage } from '../../../src/overlay/nodes/node-list.js';
import type {
  AttachedNode,
  NodeAnswer,
  NodeRequest,
} from '../../../src/overlay/nodes/node-messages.js';
import {
  newSuperNode,
  type SuperNodeAction,
  type SuperNodeEvent,
  stepSuperNode,
} from '../../../src/overlay/nodes/super-node-machine.js';
import { idOf } from '../../../src/overlay/ring/ids.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import { MAX_VALUE_BYTES } from '../../../src/overlay/ring/records.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { record, type Untimed } from './node-lan.js';

const SELF: Peer = { id: idOf('self'), address: 'self:5061' };

function peer(name: string): Peer {
  return { id: idOf(name), address: `${name}:5061` };
}

/** A super-node, and a ring that keeps what it is given until a test says otherwise. */
class Bench {
  now = 0;
  readonly random: SeededRandom;
  readonly state;
  readonly puts: { readonly tag: number; readonly record: RingRecord }[] = [];
  readonly gets: { readonly tag: number; readonly key: string }[] = [];
  readonly sends: Extract<SuperNodeAction, { type: 'send' }>[] = [];
  readonly answers: Extract<SuperNodeAction, { type: 'answer' }>[] = [];
  /** Most records on their way at once. */
  busiest = 0;
  verified = 0;
  left = false;
  wakes = Number.POSITIVE_INFINITY;
  ringAnswers = true;
  refuses: 'full' | 'no-answer' | undefined;
  #number = 100;
  #sequence = 0;
  #waiting = 0;

  constructor(maxNodes = 500, seed = 1) {
    this.random = new SeededRandom(seed);
    const tools = {
      chance: () => this.random.unit(),
      verifyRecord: (record: RingRecord) => {
        this.verified++;
        return record.signature === `by ${record.publisher}`;
      },
      isVouched: ({ value }: RingRecord) => value?.[0] === 99,
      sign: (draft: Pick<RingRecord, 'key' | 'lifeMs' | 'value'>) => ({
        ...draft,
        publisher: SELF.id,
        sequence: ++this.#sequence,
        ageMs: 0,
        signature: `by ${SELF.id}`,
      }),
    };
    this.state = newSuperNode(SELF, tools, { maxNodes });
  }

  step(event: Untimed<SuperNodeEvent>): SuperNodeAction[] {
    const actions = stepSuperNode(this.state, { ...event, now: this.now });
    if (event.type === 'put-done') this.#waiting--;
    const kept: number[] = [];
    for (const action of actions) {
      switch (action.type) {
        case 'put':
          this.puts.push(action);
          this.#waiting++;
          kept.push(action.tag);
          break;
        case 'get':
          this.gets.push(action);
          break;
        case 'send':
          this.sends.push(action);
          break;
        case 'answer':
          this.answers.push(action);
          break;
        case 'set-timer':
          this.wakes = this.now + action.ms;
          break;
        case 'left':
          this.left = true;
          break;
      }
    }
    this.busiest = Math.max(this.busiest, this.#waiting);
    if (this.ringAnswers) {
      const done = this.refuses ? { copies: 0, reason: this.refuses } : { copies: 5 };
      for (const tag of kept) this.step({ type: 'put-done', tag, ...done });
    }
    return actions;
  }

  request(
    from: Peer,
    request: NodeRequest,
    number = this.#number++,
    source?: string,
  ): NodeAnswer | undefined {
    const before = this.answers.length;
    this.step({ type: 'request', from, number, request, ...(source && { source }) });
    return this.answers.slice(before).find(({ to }) => to.id === from.id)?.answer;
  }

  attach(name: string, records: readonly RingRecord[] = [], number?: number) {
    const contact = `sip:${name}@${name}`;
    return this.request(
      peer(name),
      { type: 'attach', contact, expiresS: 600, records },
      ...(number === undefined ? [] : [number]),
    );
  }

  run(ms: number): void {
    const until = this.now + ms;
    while (this.wakes <= until) {
      this.now = Math.max(this.now, this.wakes);
      this.wakes = Number.POSITIVE_INFINITY;
      this.step({ type: 'timer' });
    }
    this.now = until;
  }

  /** What was put of nodes, not of the list. */
  get records(): RingRecord[] {
    return this.puts.map(({ record }) => record).filter(({ publisher }) => publisher !== SELF.id);
  }
}

function own(name: string, key: string, more: Partial<RingRecord> = {}): RingRecord {
  return record(idOf(name), key, more);
}

t.test(
  'a node is taken, and its records are in the ring; said again they are not put again',
  async t => {
    const bench = new Bench();
    bench.step({ type: 'neighbours', successors: [peer('next'), SELF] });
    const first = bench.attach('a', [own('a', 'alice'), own('a', 'ann')], 7);
    t.match(first, { type: 'attached', expiresS: 600, others: [peer('next')], nodes: 1 });
    t.same(
      bench.records.map(({ key }) => key),
      [idOf('alice'), idOf('ann')],
    );
    const verified = bench.verified;
    t.same(bench.attach('a', [own('a', 'alice'), own('a', 'ann')], 7), first, 'the same answer');
    t.same(bench.attach('a', [own('a', 'alice'), own('a', 'ann')]), first);
    t.equal(bench.records.length, 2);
    t.equal(bench.verified, verified, 'nor verified again');
    bench.attach('a', [own('a', 'alice', { sequence: 2 }), own('a', 'ann')]);
    t.same(
      bench.records.slice(2).map(({ sequence }) => sequence),
      [2],
      'what has changed is',
    );
    bench.attach('a', [own('a', 'alice'), own('a', 'ann')]);
    t.equal(bench.records.length, 3, 'an older one does not come back');
  },
);

t.test('a node may publish what is its own or vouched, if it is signed', async t => {
  const bench = new Bench();
  const bad = { type: 'refused', reason: 'bad-signature' };
  t.same(bench.attach('a', [own('a', 'x', { signature: 'forged' })]), bad);
  t.same(bench.attach('a', [own('b', 'x')]), bad, 'somebody else is the publisher');
  t.same(
    bench.attach(
      'a',
      Array.from({ length: 17 }, (_, i) => own('a', `${i}`)),
    ),
    {
      type: 'refused',
      reason: 'too-large',
    },
  );
  t.equal(bench.state.nodes.size, 0);
  t.equal(bench.puts.length, 0);
  t.match(bench.attach('a', [own('b', 'x', { value: new Uint8Array([99]) })]), {
    type: 'attached',
  });
  t.same(
    bench.attach('a', [own('b', 'y', { value: new Uint8Array([99]), signature: 'forged' })]),
    bad,
    'vouched, and not signed',
  );
});

t.test('over its limit it sends nodes to those who have fewer', async t => {
  const bench = new Bench(3);
  for (const name of ['a', 'b', 'c']) bench.attach(name);
  bench.step({
    type: 'others',
    others: [
      { peer: peer('fuller'), nodes: 4 },
      { peer: peer('half'), nodes: 2 },
      { peer: peer('empty'), nodes: 0 },
      { peer: SELF, nodes: 0 },
    ],
  });
  t.same(bench.attach('d'), { type: 'elsewhere', at: [peer('empty'), peer('half')] });
  t.match(bench.attach('a'), { type: 'attached' }, 'who is here stays');
  t.equal(bench.state.nodes.size, 3);
  bench.step({ type: 'limits', maxNodes: 2 });
  t.match(bench.attach('a'), { type: 'elsewhere' }, 'until the limit is lowered');
  t.match(bench.attach('b'), { type: 'attached' });
  bench.step({ type: 'others', others: [] });
  bench.step({ type: 'limits', maxNodes: 1 });
  t.match(bench.attach('b'), { type: 'attached' }, 'or where there is nobody to go to');
  t.same(bench.attach('d'), { type: 'elsewhere', at: [] });
});

t.test(
  'records are put again before they end, aged, and when the ring did not keep them',
  async t => {
    const bench = new Bench();
    bench.refuses = 'no-answer';
    bench.attach('a', [own('a', 'alice', { lifeMs: 1_000_000, ageMs: 200_000 })]);
    t.equal(bench.records.length, 1);
    bench.run(30_000);
    const tries = bench.records.length;
    t.ok(tries >= 4 && tries <= 8, `${tries} in 30 s`);
    bench.refuses = undefined;
    bench.run(60_000);
    const kept = bench.records.length;
    t.ok(kept <= tries + 1);
    for (let i = 0; i < 8; i++) {
      bench.run(100_000);
      const ageMs = 200_000 + bench.now;
      bench.attach('a', [own('a', 'alice', { lifeMs: 1_000_000, ageMs })]);
    }
    const again = bench.records.slice(kept);
    t.ok(again.length >= 2 && again.length <= 8, `${again.length} times more`);
    t.same(
      again.filter(({ ageMs, lifeMs }) => !(ageMs > 200_000 && ageMs < lifeMs)),
      [],
    );
    const end = bench.records.length;
    bench.run(300_000);
    t.equal(bench.records.length, end, 'not after its life');
  },
);

t.test('a node that falls silent is forgotten, and its records live their own life', async t => {
  const bench = new Bench();
  bench.attach('a', [own('a', 'alice')]);
  bench.run(599_000);
  t.equal(bench.state.nodes.size, 1);
  const before = bench.records.length;
  bench.run(3_000_000);
  t.equal(bench.state.nodes.size, 0);
  t.same(
    bench.records.filter(({ value }) => value === undefined),
    [],
  );
  t.equal(bench.records.length, before, 'and are not put again');
});

t.test('a node that goes leaves tombstones, which are put until they are kept', async t => {
  const bench = new Bench();
  bench.attach('a', [own('a', 'alice')]);
  bench.refuses = 'no-answer';
  const tombstone = own('a', 'alice', { sequence: 2, value: undefined });
  t.same(bench.request(peer('a'), { type: 'detach', records: [tombstone] }), { type: 'accepted' });
  t.equal(bench.state.nodes.size, 0);
  bench.run(10_000);
  bench.refuses = undefined;
  bench.run(20_000);
  t.equal(bench.records.at(-1)?.value, undefined);
  t.equal(bench.state.tails.size, 0);
  const puts = bench.records.length;
  bench.run(3_000_000);
  t.equal(bench.records.length, puts, 'once kept, no more');
  bench.attach('b', [own('b', 'bob')]);
  t.same(bench.request(peer('b'), { type: 'detach', records: [] }), { type: 'accepted' });
  bench.run(10_000);
  t.equal(bench.records.at(-1)?.value?.length, 1, 'who only goes elsewhere leaves its records');
  t.match(bench.request(peer('c'), { type: 'detach', records: [own('b', 'x')] }), {
    type: 'refused',
    reason: 'bad-signature',
  });
});

t.test(
  'the ring is asked in the place of a node, once for one request, and each gets one answer',
  async t => {
    const bench = new Bench();
    bench.request(peer('a'), { type: 'query', key: idOf('bob') }, 1);
    bench.request(peer('a'), { type: 'query', key: idOf('bob') }, 1);
    t.equal(bench.gets.length, 1, 'said twice, asked once');
    bench.step({ type: 'get-done', tag: bench.gets[0]!.tag, records: [own('b', 'bob')] });
    bench.step({ type: 'get-done', tag: bench.gets[0]!.tag, records: [] });
    t.match(
      bench.answers.map(({ answer }) => answer),
      [{ type: 'records', records: { length: 1 } }],
    );
    bench.request(peer('a'), { type: 'query', key: idOf('bob') }, 2);
    bench.step({ type: 'get-done', tag: bench.gets[1]!.tag, records: undefined });
    t.match(bench.answers.at(-1)?.answer, { type: 'busy' });
    bench.request(peer('a'), { type: 'query', key: idOf('bob') }, 3);
    bench.run(16_000);
    t.match(bench.answers.at(-1), { number: 3, answer: { type: 'busy' } }, 'in its time');
    bench.step({ type: 'get-done', tag: bench.gets[2]!.tag, records: [] });
    t.equal(bench.answers.length, 3);
    t.equal(bench.state.tasks.size, 0);

    bench.ringAnswers = false;
    bench.request(peer('a'), { type: 'publish', records: [own('z', '1'), own('z', '2')] }, 4);
    const [one, two] = bench.puts.slice(-2);
    bench.step({ type: 'put-done', tag: one!.tag, copies: 5 });
    t.equal(bench.answers.length, 3, 'both are waited for');
    bench.step({ type: 'put-done', tag: two!.tag, copies: 3 });
    t.same(bench.answers.at(-1)?.answer, { type: 'stored', copies: 3 });
    const forged = own('z', '1', { signature: 'forged' });
    t.match(bench.request(peer('a'), { type: 'publish', records: [forged] }), { type: 'refused' });
    bench.request(peer('a'), { type: 'publish', records: [own('z', '1')] }, 5);
    bench.step({ type: 'put-done', tag: bench.puts.at(-1)!.tag, copies: 0, reason: 'full' });
    t.same(bench.answers.at(-1)?.answer, { type: 'refused', reason: 'full' });
  },
);

t.test('a node has 32 requests open, and all together 512', async t => {
  const bench = new Bench();
  for (let node = 0; node < 40; node++) {
    for (let i = 0; i < 33; i++) {
      bench.request(peer(`n${node}`), { type: 'query', key: idOf('bob') }, i);
    }
  }
  t.equal(bench.gets.length, 512);
  t.ok(bench.answers.every(({ answer }) => answer.type === 'busy'));
  t.equal(bench.answers.length, 40 * 33 - 512);
  t.equal(bench.gets.length - 16 * 32, 0, 'sixteen nodes had their 32');
});

t.test('those who come from one address have 128 requests open, whatever their number', async t => {
  const bench = new Bench();
  const query = { type: 'query', key: idOf('bob') } as const;
  for (let node = 0; node < 40; node++) {
    for (let i = 0; i < 8; i++) bench.request(peer(`n${node}`), query, i, '10.0.0.9');
  }
  t.equal(bench.gets.length, 128);
  bench.request(peer('ada'), query, 1, '10.0.0.2');
  t.equal(bench.gets.length, 129, 'somebody else is served');
});

t.test('a crowd that comes from one address makes room for who comes from another', async t => {
  const bench = new Bench(20);
  const attach = { type: 'attach', contact: 'sip:x@x', expiresS: 600, records: [] } as const;
  for (let n = 0; n < 30; n++) bench.request(peer(`n${n}`), attach, n, '10.0.0.9');
  t.equal(bench.state.nodes.size, 20);
  t.equal(bench.answers.at(-1)?.answer.type, 'elsewhere', 'no more of the same address');
  t.match(bench.request(peer('ada'), attach, 1, '10.0.0.2'), { type: 'attached', nodes: 20 });
  t.notOk(bench.state.nodes.has(peer('n0').id), 'the first of the crowd has made room');

  const village = new Bench(20);
  for (let n = 0; n < 20; n++) village.request(peer(`n${n}`), attach, n, `10.0.0.${n}`);
  t.equal(village.request(peer('ada'), attach, 1, '10.0.1.1')?.type, 'elsewhere');
  t.equal(village.state.nodes.size, 20, 'of 20 that are each somewhere else none has to go');
});

t.test('the ring is given sixteen records of nodes at once, and all in the end', async t => {
  const bench = new Bench();
  bench.ringAnswers = false;
  for (let i = 0; i < 100; i++) bench.attach(`n${i}`, [own(`n${i}`, `k${i}`)]);
  t.equal(bench.records.length, 16);
  for (let i = 0; i < 2000; i++) {
    bench.attach('n99', [own('n99', 'k99', { sequence: i + 2 })]);
  }
  t.ok(bench.state.queue.size <= 100, `${bench.state.queue.size} wait`);
  bench.ringAnswers = true;
  for (const { tag } of bench.puts.slice(0, 16)) bench.step({ type: 'put-done', tag, copies: 5 });
  t.equal(new Set(bench.records.map(({ key }) => key)).size, 100);
});

t.test('the list of nodes stands in the ring, under keys its successor will own', async t => {
  const bench = new Bench();
  const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
  for (const name of names) bench.attach(name);
  t.equal(bench.puts.length, 0, 'changes are gathered');
  bench.run(2_500);
  t.equal(bench.puts.length, new Set(names.map(name => pageOf(idOf(name)))).size);
  const listed = bench.puts.flatMap(({ record }) => readPage(record.value!));
  t.same(listed.map(({ peer }) => peer.id).sort(), names.map(idOf).sort());
  for (const { record } of bench.puts) t.ok(record.key < SELF.id);
  t.equal(pageKey('0'.repeat(40), 0), 'f'.repeat(40), 'round the end');
  const before = bench.puts.length;
  bench.request(peer('n0'), { type: 'detach', records: [] });
  bench.run(2_500);
  t.equal(bench.puts.length, before + 1, 'a node that goes changes one page');
  const page = pageOf(idOf('n1'));
  for (const name of names.filter(name => pageOf(idOf(name)) === page)) {
    bench.request(peer(name), { type: 'detach', records: [] });
  }
  bench.run(2_500);
  t.match(bench.puts.at(-1)?.record, { key: pageKey(SELF.id, page), value: undefined });
  const changes = bench.puts.length;
  bench.run(60_000);
  t.equal(bench.puts.length, changes, 'nothing changes, nothing is put');
  const there = names.filter(name => bench.state.nodes.has(idOf(name)));
  const contact = 'sip:another@place';
  bench.request(peer(there[0]!), { type: 'attach', contact, expiresS: 600, records: [] });
  bench.run(2_500);
  t.equal(bench.puts.length, changes + 1, 'a node that is elsewhere now is listed so');
  for (let i = 0; i < 10; i++) {
    for (const name of there.slice(1)) bench.attach(name);
    bench.run(100_000);
  }
  t.ok(bench.puts.length > changes + 8, 'all pages are put again, in case some are missing');
  const further = [
    {
      peer: { id: idOf('n'), address: '192.0.2.7:5061', also: '[fe80::7]:5061' },
      contact: 'sip:n',
    },
  ];
  t.same(readPage(writePage(further)), further);
  t.same(readPage(Buffer.from('{')), []);
  t.same(readPage(Buffer.from('[[1],["x","y","z"],["a"],7]')), []);
  const later = JSON.stringify([[idOf('a'), 'a:5061', 'sip:a@a', 7, { zone: 'north' }]]);
  const listedLater = [{ peer: { id: idOf('a'), address: 'a:5061' }, contact: 'sip:a@a' }];
  t.same(
    readPage(Buffer.from(later)),
    listedLater,
    'what a later version says more is passed over',
  );
});

t.test('a page of the list holds as many nodes as a record has room for', async t => {
  const contact = `sip:${'x'.repeat(490)}`;
  const nodes = Array.from({ length: 300 }, (_, i) => ({ peer: peer(`n${i}`), contact }));
  const value = writePage(nodes);
  t.ok(value.length > MAX_VALUE_BYTES - 1000 && value.length <= MAX_VALUE_BYTES);
  const read = readPage(value);
  t.same(read, nodes.slice(0, read.length));
});

t.test('when a neighbour dies its nodes are told to come, but for those that are here', async t => {
  const bench = new Bench(3);
  const dead = peer('dead');
  bench.attach('a');
  bench.step({ type: 'neighbours', successors: [dead, peer('next')] });
  bench.step({ type: 'member-lost', peer: dead });
  bench.step({ type: 'member-lost', peer: dead });
  t.equal(bench.gets.length, 16);
  const nodes = ['a', 'b', 'c', 'd', 'e'].map(name => ({
    peer: peer(name),
    contact: `sip:${name}`,
  }));
  const list = (records: readonly RingRecord[]) => ({ records });
  for (const { tag, key } of bench.gets.slice(0, 16)) {
    const page = [...Array(16).keys()].find(page => pageKey(dead.id, page) === key)!;
    const value = writePage(nodes.filter(({ peer }) => pageOf(peer.id) === page));
    const good = record(dead.id, '', { key, value });
    const forged = record(peer('liar').id, '', {
      key,
      value: writePage([{ peer: peer('victim'), contact: 'sip:victim' }]),
    });
    bench.step({ type: 'get-done', tag, ...list(page % 2 ? [good, forged] : [forged, good]) });
  }
  bench.run(50);
  const moved = bench.sends.map(({ to, request }) => [
    to.address,
    request.type === 'move' && request.to.address,
  ]);
  t.same(moved.map(([to]) => to).sort(), ['b:5061', 'c:5061', 'd:5061', 'e:5061']);
  t.equal(moved.filter(([, to]) => to === SELF.address).length, 2, 'as many as there is room for');
  t.equal(
    moved.filter(([, to]) => to === 'next:5061').length,
    2,
    'and the others where there may be',
  );
  t.match(bench.sends[0]?.contact, /^sip:/);
  bench.run(5_000);
  t.equal(bench.sends.length, 8, 'who does not answer is told twice');
  bench.run(60_000);
  t.equal(bench.sends.length, 8);
  t.equal(bench.state.adopting.length, 0);

  const unsure = new Bench();
  unsure.step({ type: 'member-lost', peer: dead });
  for (const { tag } of [...unsure.gets])
    unsure.step({ type: 'get-done', tag, records: undefined });
  unsure.run(2_500);
  t.equal(unsure.gets.length, 32, 'what nobody could tell is read again');
});

t.test('many nodes of a dead neighbour are told a hundred a second', async t => {
  const bench = new Bench();
  const dead = peer('dead');
  bench.step({ type: 'member-lost', peer: dead });
  const [first] = bench.gets;
  const nodes = Array.from({ length: 300 }, (_, i) => ({ peer: peer(`n${i}`), contact: 'sip:n' }));
  const value = writePage(nodes);
  const page = record(dead.id, '', { key: first!.key, value });
  bench.step({ type: 'get-done', tag: first!.tag, records: [page] });
  t.equal(bench.sends.length, 20);
  for (let i = 0; i < 10; i++) bench.run(100);
  t.ok(bench.sends.length >= 110 && bench.sends.length <= 121, `${bench.sends.length} in a second`);
});

t.test('a node that has not noticed yet that its super-node is dead is told once more', async t => {
  const bench = new Bench();
  const dead = peer('dead');
  bench.step({ type: 'member-lost', peer: dead });
  const [first] = bench.gets;
  const nodes = ['b', 'c'].map(name => ({ peer: peer(name), contact: `sip:${name}` }));
  const page = record(dead.id, '', { key: first!.key, value: writePage(nodes) });
  bench.step({ type: 'get-done', tag: first!.tag, records: [page] });
  const decline = () => {
    for (const { number, to } of bench.sends.slice(-2)) {
      bench.step({ type: 'answered', number, from: to, answer: { type: 'busy' } });
    }
  };
  t.equal(bench.sends.length, 2);
  decline();
  bench.run(3_000);
  t.equal(bench.sends.length, 2);
  bench.run(1_500);
  t.same(
    bench.sends
      .slice(2)
      .map(({ to }) => to.address)
      .sort(),
    ['b:5061', 'c:5061'],
  );
  decline();
  bench.run(60_000);
  t.equal(bench.sends.length, 4, 'who has another declines for good');
});

t.test('who goes hands its nodes to its successor first, then tells each', async t => {
  const bench = new Bench();
  for (let i = 0; i < 40; i++) bench.attach(`n${i}`, [own(`n${i}`, `k${i}`)]);
  bench.step({ type: 'neighbours', successors: [peer('next'), peer('third')] });
  bench.step({ type: 'leave' });
  const handed = bench.sends.map(({ to, request }) => [
    to.address,
    request.type === 'hand-over' ? request.nodes.length : 0,
  ]);
  t.same(handed, [
    ['next:5061', 25],
    ['next:5061', 15],
  ]);
  t.match(bench.sends[0]?.request, { nodes: [{ records: { length: 1 } }] });
  t.match(bench.attach('late'), { type: 'elsewhere', at: { length: 2 } });
  const [first, second] = bench.sends;
  const from = peer('next');
  bench.step({ type: 'answered', number: first!.number, from, answer: { type: 'accepted' } });
  bench.step({ type: 'answered', number: second!.number, from, answer: { type: 'busy' } });
  bench.run(500);
  const rest = bench.sends.slice(2);
  t.equal(rest.filter(({ request }) => request.type === 'move').length, 25);
  t.match(
    rest.find(({ request }) => request.type === 'hand-over'),
    { to: peer('third'), request: { nodes: { length: 15 } } },
    'where it is not taken, the next one is asked',
  );
  t.notOk(bench.left);
  bench.run(4_600);
  t.ok(bench.left, 'in five seconds it is over, whoever answers');
  t.same(bench.step({ type: 'timer' }), []);
  t.match(bench.attach('late'), { type: 'elsewhere' });

  const many = new Bench();
  for (let i = 0; i < 300; i++) many.attach(`n${i}`);
  many.step({ type: 'neighbours', successors: [peer('next'), peer('third'), peer('fourth')] });
  many.step({ type: 'leave' });
  for (const { to, number, request } of many.sends) {
    if (request.type !== 'hand-over') continue;
    many.step({ type: 'answered', number, from: to, answer: { type: 'accepted' } });
  }
  const targets = new Set(many.sends.map(({ to }) => to.address).filter(a => !a.startsWith('n1')));
  t.ok(targets.has('third:5061') || targets.has('fourth:5061'), 'many are spread');

  const deaf = new Bench();
  for (let i = 0; i < 40; i++) deaf.attach(`n${i}`);
  deaf.step({ type: 'neighbours', successors: [peer('x'), peer('y'), peer('z')] });
  deaf.step({ type: 'leave' });
  deaf.run(4_900);
  t.notOk(deaf.left);
  deaf.run(110);
  t.ok(deaf.left, 'nor is anybody waited for who says nothing');

  const alone = new Bench();
  alone.attach('a');
  alone.step({ type: 'leave' });
  t.ok(alone.left, 'where there is nobody, nobody is waited for');
});

t.test('what is handed over is held as if it had attached; its own word counts more', async t => {
  const bench = new Bench(4);
  bench.attach('a', [own('a', 'alice', { sequence: 3 })]);
  const before = bench.records.length;
  const node = (name: string, more: Partial<AttachedNode> = {}): AttachedNode => ({
    peer: peer(name),
    contact: `sip:handed-${name}`,
    expiresS: 300,
    records: [own(name, name)],
    ...more,
  });
  const forged = node('c', { records: [own('c', 'x', { signature: 'forged' }), own('c', 'y')] });
  const nodes = [node('a'), node('b'), forged];
  t.same(bench.request(peer('s'), { type: 'hand-over', nodes }), { type: 'accepted' });
  t.same(bench.request(peer('s'), { type: 'hand-over', nodes }), { type: 'accepted' });
  t.equal(bench.state.nodes.get(idOf('a'))?.contact, 'sip:a@a');
  t.equal(bench.state.nodes.get(idOf('b'))?.contact, 'sip:handed-b');
  t.equal(bench.state.nodes.get(idOf('c'))?.puts.size, 1, 'what is not signed is left out');
  t.equal(bench.records.length, before, 'their records are in the ring');
  t.same(bench.request(peer('s'), { type: 'hand-over', nodes: [node('d'), node('e')] }), {
    type: 'busy',
  });
  t.equal(bench.state.nodes.size, 3, 'all or none');
});

t.test(
  'whatever comes in whatever order, each request has one answer and nothing grows',
  async t => {
    const phases = new Set<string>();
    for (let seed = 1; seed <= 80; seed++) {
      const bench = new Bench(8, seed);
      const { random, state } = bench;
      bench.ringAnswers = false;
      const pick = <T>(of: readonly T[]): T => of[Math.floor(random.unit() * of.length)]!;
      const asked = new Map<string, number>();
      for (let i = 0; i < 600; i++) {
        bench.run(random.unit() < 0.02 ? 100_000 * random.unit() : 300 * random.unit());
        const from = peer(`n${random.uint32() % 12}`);
        const name = from.address.slice(0, -5);
        const records = [own(name, pick(['x', 'y']), { sequence: random.uint32() % 9 })];
        const requests: readonly NodeRequest[] = [
          { type: 'attach', contact: `sip:${name}`, expiresS: pick([0, 60, Number.NaN]), records },
          { type: 'attach', contact: 'sip:x', expiresS: 600, records: [] },
          { type: 'detach', records },
          { type: 'query', key: idOf('x') },
          { type: 'publish', records },
          { type: 'publish', records: [] },
          { type: 'move', to: from },
          {
            type: 'hand-over',
            nodes: [{ peer: peer(`n${i % 30}`), contact: 'sip:h', expiresS: 60, records: [] }],
          },
        ];
        const tag = random.uint32() % (state.nextTag + 1);
        const number = random.uint32() % (state.nextNumber + 1);
        const events: readonly Untimed<SuperNodeEvent>[] = [
          { type: 'put-done', tag, copies: 1 },
          { type: 'put-done', tag, copies: 0, reason: pick(['full', 'no-answer', 'outdated']) },
          { type: 'get-done', tag, records: pick([undefined, [], records]) },
          { type: 'answered', number, from, answer: pick([undefined, { type: 'accepted' }]) },
          { type: 'unreachable', number },
          { type: 'limits', maxNodes: random.uint32() % 12 },
          { type: 'others', others: [{ peer: from, nodes: random.uint32() % 12 }] },
          { type: 'neighbours', successors: [peer('s'), from] },
          { type: 'member-lost', peer: pick([peer('s'), peer('u')]) },
          { type: 'timer' },
          ...(random.unit() < 0.05 ? [{ type: 'leave' } as const] : []),
        ];
        const event =
          random.unit() < 0.5
            ? ({ type: 'request', from, number: 1000 + i, request: pick(requests) } as const)
            : pick(events);
        phases.add(`${state.phase} ${event.type}`);
        if (event.type === 'request') asked.set(`${from.id} ${event.number}`, 0);
        const held = state.nodes.size;
        bench.step(event);
        if (state.nodes.size > Math.max(held, state.options.maxNodes))
          t.fail(`seed ${seed}: too many`);
        if (state.queue.size > 16 * 40 || state.moves.length > 200) t.fail(`seed ${seed}: grows`);
      }
      // All that the ring was asked ends.
      for (let round = 0; round < 8; round++) {
        for (const [tag, { type }] of [...state.tasks]) {
          if (type === 'query' || type === 'adopt')
            bench.step({ type: 'get-done', tag, records: [] });
          else bench.step({ type: 'put-done', tag, copies: 5 });
        }
        bench.run(61_000);
      }
      for (const { to, number } of bench.answers) {
        const name = `${to.id} ${number}`;
        asked.set(name, (asked.get(name) ?? 0) + 1);
      }
      const wrong = [...asked].filter(([, answers]) => answers !== 1);
      if (wrong.length > 0) t.fail(`seed ${seed}: ${wrong[0]} answers`);
      const { tails, open, adopting, rereads, moves, sent } = state;
      const left = [
        tails.size,
        open.size,
        adopting.length,
        rereads.length,
        moves.length,
        sent.size,
      ];
      if (state.phase !== 'left' && left.some(count => count > 0)) t.fail(`seed ${seed}: ${left}`);
    }
    for (const phase of ['serving', 'leaving', 'left']) {
      const met = [...phases].filter(each => each.startsWith(phase));
      t.equal(met.length, 11, `every event has come while ${phase}`);
    }
  },
);
