/** A node at its super-node: finding one, staying with it, losing it, asking through it. */
import t from 'tap';
import {
  type AttachmentEvent,
  newAttachment,
  stepAttachment,
} from '../../../src/overlay/nodes/attachment-machine.js';
import type { NodeAnswer } from '../../../src/overlay/nodes/node-messages.js';
import { idOf, UNKNOWN_ID } from '../../../src/overlay/ring/ids.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { NodeLan, Phone, record, ScriptedSuperNode } from './node-lan.js';

const BUSY: NodeAnswer = { type: 'busy' };

function scene(seed = 1, superNodes = ['s1']) {
  const lan = new NodeLan(seed);
  const supers = superNodes.map(name => new ScriptedSuperNode(lan, name));
  const phone = new Phone(lan, 'phone', [record(idOf('phone'), 'alice')]);
  return { lan, phone, supers };
}

/** Attached to the first, who names the others. */
function attached(seed = 1, superNodes = ['s1', 's2', 's3']) {
  const all = scene(seed, superNodes);
  const { lan, phone, supers } = all;
  supers[0]!.others = supers.slice(1).map(({ peer }) => peer);
  phone.step({ type: 'start' });
  phone.step({ type: 'candidate', peer: supers[0]!.peer });
  lan.run(500);
  if (phone.at !== 's1:5061') throw new Error('not attached');
  phone.log.length = 0;
  return all;
}

function unknown({ address }: Peer): Peer {
  return { id: UNKNOWN_ID, address };
}

t.test('the first super-node that says yes has the node', async t => {
  const { lan, phone, supers } = scene(1, ['s1', 's2', 's3']);
  supers[0]!.says = () => undefined;
  supers[1]!.afterMs = 300;
  phone.step({ type: 'start' });
  for (const { peer } of supers) phone.step({ type: 'candidate', peer: unknown(peer) });
  lan.run(1000);
  t.match(phone.log, [/attached s3:5061/]);
  t.ok(lan.now - Number(phone.log[0]!.split(' ')[0]) > 500, 'nobody is waited out');
  t.equal(phone.state.current?.peer.id, supers[2]!.peer.id, 'its id is learned from its answer');
  t.equal(supers[1]!.requests('attach'), 1);
  t.equal(supers[1]!.requests('detach'), 1, 'who says yes too late is let go');
  t.match(supers[1]!.taken.at(-1)?.request, { type: 'detach', records: [] });
  t.equal(phone.sent.get('attach'), 3);
});

t.test('no more than three are asked at once; who refuses makes room at once', async t => {
  const { lan, phone } = scene(1, []);
  phone.step({ type: 'start' });
  for (let i = 0; i < 10; i++) {
    lan.silent.add(`x${i}:5061`);
    phone.step({ type: 'candidate', peer: { id: idOf(`x${i}`), address: `x${i}:5061` } });
  }
  lan.run(990);
  t.equal(phone.sent.get('attach'), 3);
  lan.run(600);
  t.equal(phone.sent.get('attach'), 6, 'after a second the next three');
  const other = scene(2, ['live']);
  other.phone.step({ type: 'start' });
  for (let i = 0; i < 5; i++) {
    other.phone.step({ type: 'candidate', peer: { id: idOf(`x${i}`), address: `x${i}:5061` } });
  }
  other.phone.step({ type: 'candidate', peer: other.supers[0]!.peer });
  other.lan.run(700);
  t.match(other.phone.log, [/attached live:5061/]);
});

t.test('a super-node that is slow is taken all the same', async t => {
  const { lan, phone, supers } = scene();
  supers[0]!.afterMs = 2500;
  phone.step({ type: 'start' });
  phone.step({ type: 'candidate', peer: supers[0]!.peer });
  lan.run(2600);
  t.equal(phone.at, 's1:5061');
  t.equal(phone.sent.get('attach'), 1);
});

t.test('who was none, and has answered as a super-node since, is asked at once', async t => {
  const tookMs = (seen: (peer: Peer) => Peer) => {
    const { lan, phone, supers } = scene();
    const [superNode] = supers as [ScriptedSuperNode];
    const { peer, says } = superNode;
    superNode.says = () => BUSY;
    phone.step({ type: 'start' });
    phone.step({ type: 'candidate', peer: unknown(peer) });
    // It has refused again and again: it is asked next in some 15 s.
    lan.run(60_000);
    const asked = phone.sent.get('attach');
    while (phone.sent.get('attach') === asked) lan.run(20);
    superNode.says = says;
    lan.run(700);
    phone.step({ type: 'candidate', peer: seen(peer) });
    const from = lan.now;
    while (phone.at === undefined) lan.run(20);
    return lan.now - from;
  };
  const [proved, sighted] = [tookMs(peer => peer), tookMs(unknown)];
  t.ok(proved < 100, `${proved} ms`);
  t.ok(sighted > 1000, `${sighted} ms where it is only heard of`);
});

t.test(
  'of a super-node with several addresses one that is no good does not hold up the next',
  async t => {
    const { lan, phone, supers } = scene();
    const { id, address } = supers[0]!.peer;
    lan.silent.add('dead:1');
    phone.step({ type: 'start' });
    phone.step({ type: 'candidate', peer: { id, address: 'dead:1' } });
    phone.step({ type: 'candidate', peer: { id, address } });
    lan.run(1_300);
    t.equal(phone.at, address);
    const own = scene(1, []);
    own.phone.step({ type: 'start' });
    own.phone.step({ type: 'candidate', peer: unknown(own.phone.peer) });
    const answer: NodeAnswer = { type: 'attached', expiresS: 600, others: [] };
    own.phone.step({ type: 'answered', number: 1, from: own.phone.peer, answer });
    t.equal(own.phone.at, undefined, 'nobody is attached to itself');
  },
);

t.test('it goes where a full super-node points, and not round in circles', async t => {
  const { lan, phone, supers } = scene(1, ['s1', 's2', 's3']);
  const [s1, s2, s3] = supers as [ScriptedSuperNode, ScriptedSuperNode, ScriptedSuperNode];
  s1.says = () => ({ type: 'elsewhere', at: [s2.peer] });
  s2.says = () => ({ type: 'elsewhere', at: [s1.peer, s3.peer] });
  phone.step({ type: 'start' });
  phone.step({ type: 'candidate', peer: s1.peer });
  lan.run(100);
  t.equal(phone.at, 's3:5061');
  t.equal(phone.sent.get('attach'), 3);
  const round = scene(1, ['s1', 's2']);
  const [r1, r2] = round.supers as [ScriptedSuperNode, ScriptedSuperNode];
  r1.says = () => ({ type: 'elsewhere', at: [r2.peer, round.phone.peer] });
  r2.says = () => ({ type: 'elsewhere', at: [r1.peer] });
  round.phone.step({ type: 'start' });
  round.phone.step({ type: 'candidate', peer: r1.peer });
  round.lan.run(60_000);
  t.match(
    round.phone.log.filter(line => line.includes('nobody')),
    [/nobody full/],
  );
  const asked = round.phone.sent.get('attach')!;
  t.ok(asked >= 8 && asked <= 20, `${asked} attempts in a minute`);
});

t.test(
  'where nobody is it says so once, and asks discovery with longer and longer pauses',
  async t => {
    const { lan, phone } = scene(1, []);
    phone.step({ type: 'start' });
    lan.run(300_000);
    t.same(
      phone.log.filter(line => line.includes('nobody')),
      ['2000 nobody silent'],
    );
    const { wants } = phone;
    t.equal(wants[0], 0);
    t.ok(wants[1]! <= 2000);
    t.ok(wants.length >= 12 && wants.length <= 24, `${wants.length} in five minutes`);
    const pauses = wants.slice(1).map((at, index) => at - wants[index]!);
    t.ok(Math.max(...pauses) <= 30_000 && pauses.at(-1)! >= 15_000);
  },
);

t.test(
  'a hundred dead super-nodes cost a few requests a second, whether they refuse or are silent',
  async t => {
    for (const dead of ['refuse', 'silent']) {
      const { lan, phone } = scene(3, []);
      phone.step({ type: 'start' });
      for (let i = 0; i < 100; i++) {
        if (dead === 'silent') lan.silent.add(`x${i}:5061`);
        phone.step({ type: 'candidate', peer: { id: idOf(`x${i}`), address: `x${i}:5061` } });
      }
      lan.run(600_000);
      t.ok(phone.busiestSecond <= 16, `${dead}: ${phone.busiestSecond} in the busiest second`);
      const rate = phone.sentAt.filter(at => at > 300_000).length / 300;
      t.ok(rate > 1 && rate < 5, `${dead}: ${rate} a second in the long run`);
      t.ok(phone.state.known.size <= 64);
      t.ok(phone.state.pending.size <= 20, `${phone.state.pending.size} are waited for`);
      const live = new ScriptedSuperNode(lan, 'live');
      phone.step({ type: 'candidate', peer: live.peer });
      lan.run(3_000);
      t.equal(phone.at, 'live:5061', 'who comes alive is asked before those that failed');
    }
  },
);

t.test('it refreshes at about half of what was granted', async t => {
  const { lan, phone, supers } = attached();
  lan.run(1_000_000);
  const times = supers[0]!.taken.map(({ at }) => at);
  const gaps = times.slice(1).map((at, index) => (at - times[index]!) / 1000);
  t.ok(gaps.length >= 2);
  for (const gap of gaps) t.ok(gap >= 239 && gap <= 361, `${gap} s`);
  t.not(gaps[0], gaps[1], 'not in step');
  const ages = supers[0]!.taken.map(
    ({ request }) => 'records' in request && request.records[0]?.ageMs,
  );
  t.same(
    ages.slice(0, 2).map(Number),
    times.slice(0, 2).map(at => at - 2),
    'its records have aged',
  );
  t.same(phone.log, [], 'a refresh is no news');
});

t.test('another device at the address of a super-node is asked as whoever it is', async t => {
  const { lan, phone } = attached(1, ['s1']);
  lan.crash('s1:5061');
  const another = new ScriptedSuperNode(lan, 'another', 's1');
  lan.run(2500);
  t.equal(phone.state.current?.peer.id, another.peer.id);
  t.match(phone.log, [/lost s1:5061 closed/, /attached s1:5061/]);
});

t.test('a broken link is noticed at once, and the next super-node has the node', async t => {
  const { lan, phone } = attached();
  lan.crash('s1:5061');
  lan.run(100);
  t.match(phone.log, [/lost s1:5061 closed/, /attached s2:5061/]);
});

t.test(
  'a silent super-node is noticed within three seconds, by two pings; quiet links cost one each 2 s',
  async t => {
    for (let seed = 1; seed <= 20; seed++) {
      const { lan, phone } = attached(seed);
      lan.run(10_000 + 137 * seed);
      const downAt = lan.now;
      lan.silent.add('s1:5061');
      lan.run(4_000);
      const [lost = '', again = ''] = phone.log;
      t.match(lost, /lost s1:5061 silent/);
      t.ok(parseInt(lost, 10) - downAt <= 3_000, `noticed after ${parseInt(lost, 10) - downAt} ms`);
      t.match(again, /attached s2:5061/);
    }
    const { lan, phone } = attached();
    const before = phone.sent.get('ping') ?? 0;
    lan.run(100_000);
    const pings = phone.sent.get('ping')! - before;
    t.ok(pings >= 49 && pings <= 56, `${pings} pings in 100 s`);
    for (let i = 0; i < 100; i++) {
      phone.step({ type: 'heard', from: phone.state.current!.peer });
      lan.run(1_000);
    }
    t.equal(phone.sent.get('ping')! - before, pings, 'a link that carries something is not pinged');
  },
);

t.test('one ping that is lost is no loss', async t => {
  const { lan, phone } = attached();
  lan.run(10_000);
  const before = phone.sent.get('ping')!;
  while (phone.sent.get('ping') === before) lan.run(1);
  lan.silent.add('s1:5061');
  lan.run(400);
  lan.silent.delete('s1:5061');
  lan.run(10_000);
  t.equal(phone.at, 's1:5061');
  t.same(phone.log, []);
});

t.test(
  'all are dead: pauses double up to 30 s, and the first that lives again has the node',
  async t => {
    const { lan, phone, supers } = attached();
    for (const { peer } of supers) lan.crash(peer.address);
    lan.run(200_000);
    t.equal(phone.state.phase, 'searching');
    const late = phone.sentAt.filter(at => at > 100_000 && at <= 200_000).length;
    t.ok(late >= 9 && late <= 21, `${late} requests in 100 s`);
    lan.hosts.set('s2:5061', supers[1]!);
    lan.run(31_000);
    t.equal(phone.at, 's2:5061');
    const sighted = attached();
    for (const { peer } of sighted.supers) sighted.lan.crash(peer.address);
    sighted.lan.run(200_000);
    sighted.lan.hosts.set('s2:5061', sighted.supers[1]!);
    sighted.phone.step({ type: 'candidate', peer: sighted.supers[1]!.peer });
    sighted.lan.run(3_000);
    t.equal(
      sighted.phone.at,
      's2:5061',
      'one that is announced again is asked before its pause ends',
    );
  },
);

t.test(
  'a new address is told at once; what was answered to the old one does not count',
  async t => {
    const { lan, phone, supers } = attached();
    phone.step({ type: 'network-changed', contact: 'sip:phone@elsewhere' });
    lan.run(50);
    t.match(phone.log, [/lost s1:5061 network-changed/, /attached s1:5061/]);
    t.match(supers[0]!.taken.at(-1)?.request, { type: 'attach', contact: 'sip:phone@elsewhere' });
    supers[0]!.afterMs = 100;
    phone.step({ type: 'records-changed', records: [] });
    lan.run(50);
    phone.step({ type: 'network-changed', contact: 'sip:phone@third' });
    lan.run(60);
    t.equal(phone.state.phase, 'searching', 'the answer to the refresh of before is none');
    lan.run(100);
    t.equal(phone.at, 's1:5061');
    const early = scene();
    early.supers[0]!.afterMs = 100;
    early.phone.step({ type: 'start' });
    early.phone.step({ type: 'candidate', peer: early.supers[0]!.peer });
    early.lan.run(50);
    early.phone.step({ type: 'network-changed', contact: 'sip:phone@elsewhere' });
    early.lan.run(80);
    t.equal(early.phone.state.phase, 'searching', 'nor that to an attempt');
    early.lan.run(100);
    t.equal(early.phone.at, 's1:5061');
    lan.silent.add('s1:5061');
    const at = lan.now;
    phone.log.length = 0;
    phone.step({ type: 'network-changed', contact: 'sip:phone@fourth' });
    lan.run(2_000);
    t.match(phone.log, [/lost/, /attached s[23]:5061/]);
    t.ok(parseInt(phone.log[1]!, 10) - at < 2_000);
  },
);

t.test('changed records are told at once, and once more where they changed meanwhile', async t => {
  const { lan, phone, supers } = attached();
  const [s1] = supers as [ScriptedSuperNode];
  s1.afterMs = 50;
  const before = s1.requests('attach');
  phone.step({ type: 'records-changed', records: [record('p', 'one')] });
  phone.step({ type: 'records-changed', records: [record('p', 'two')] });
  phone.step({ type: 'records-changed', records: [record('p', 'three')] });
  lan.run(500);
  t.equal(s1.requests('attach') - before, 2);
  t.match(s1.taken.at(-1)?.request, { records: [{ key: idOf('three') }] });
  for (let i = 0; i < 1000; i++) {
    phone.step({ type: 'records-changed', records: [record('p', `${i}`)] });
    lan.run(10);
  }
  t.ok(phone.busiestSecond <= 16, `${phone.busiestSecond} requests in the busiest second`);
  lan.run(1_000);
  t.match(s1.taken.at(-1)?.request, { records: [{ key: idOf('999') }] });
});

t.test('its super-node may send it to another; a stranger may not', async t => {
  const { lan, phone, supers } = attached();
  const [s1, s2, s3] = supers as [ScriptedSuperNode, ScriptedSuperNode, ScriptedSuperNode];
  const move = (from: Peer, to: Peer) => lan.request(from, phone.peer, 7, { type: 'move', to });
  move(s3.peer, s2.peer);
  lan.run(100);
  t.match(phone.log, [/answer busy/]);
  t.equal(phone.at, 's1:5061');
  phone.log.length = 0;
  move(s1.peer, s2.peer);
  lan.run(100);
  t.match(phone.log, [/answer accepted/, /attached s2:5061/]);
  t.same(
    s1.taken.at(-1)?.request,
    { type: 'detach', records: [] },
    'the old one has it off its list, and the records stay',
  );
  phone.log.length = 0;
  lan.crash('s3:5061');
  move(s2.peer, s3.peer);
  lan.run(100);
  t.match(
    phone.log,
    [/answer accepted/, /lost s2:5061 moved/, /attached s1:5061/],
    'not there: the next',
  );
  lan.run(60_000);
  phone.log.length = 0;
  for (let i = 0; i < 60; i++) {
    const here = supers.find(({ peer }) => peer.address === phone.at)!;
    const there = here === s1 ? s2 : s1;
    move(here.peer, there.peer);
    lan.run(1000);
  }
  const moves = phone.log.filter(line => line.includes('attached')).length;
  t.ok(moves >= 5 && moves <= 12, `${moves} moves in a minute of 60`);
  lan.crash(phone.at!);
  phone.log.length = 0;
});

t.test('who searches follows whoever takes it in', async t => {
  const { lan, phone, supers } = scene();
  phone.step({ type: 'start' });
  lan.request(supers[0]!.peer, phone.peer, 1, { type: 'move', to: supers[0]!.peer });
  lan.run(100);
  t.match(phone.log, [/answer accepted/, /attached s1:5061/]);
});

t.test('one that does not know it any more is asked to take it again, or another is', async t => {
  const { lan, phone, supers } = attached();
  supers[0]!.says = () => ({ type: 'elsewhere', at: [supers[2]!.peer] });
  phone.step({ type: 'records-changed', records: [] });
  lan.run(100);
  t.match(phone.log, [/lost s1:5061 elsewhere/, /attached s3:5061/]);
});

t.test('a busy super-node is asked again after a while, and kept', async t => {
  const { lan, phone, supers } = attached();
  supers[0]!.says = () => BUSY;
  phone.step({ type: 'records-changed', records: [] });
  lan.run(5_000);
  const asked = supers[0]!.requests('attach');
  t.ok(asked >= 5 && asked <= 8, `${asked} times in 5 s`);
  t.equal(phone.at, 's1:5061');
});

t.test(
  'what is asked of the ring goes through the super-node, and through the next when that is slow',
  async t => {
    const { lan, phone, supers } = attached();
    const [s1, s2] = supers as [ScriptedSuperNode, ScriptedSuperNode];
    phone.step({ type: 'query', tag: 1, key: idOf('bob') });
    phone.step({ type: 'publish', tag: 2, records: [record('p', 'bob')] });
    lan.run(20);
    t.same(phone.results.get(1), [{ type: 'records', records: [] }]);
    t.same(phone.results.get(2), [{ type: 'stored', copies: 5 }]);
    t.equal(s2.taken.length, 0);
    s1.says = request => (request.type === 'query' ? undefined : s1.usual(request));
    const at = lan.now;
    phone.step({ type: 'query', tag: 3, key: idOf('bob') });
    while (!phone.results.has(3)) lan.run(1);
    t.ok(lan.now - at <= 1_010, `answered after ${lan.now - at} ms`);
    t.equal(s2.requests('query'), 1);
    s1.says = () => BUSY;
    phone.step({ type: 'query', tag: 4, key: idOf('bob') });
    lan.run(2_000);
    t.same(phone.results.get(4), [{ type: 'records', records: [] }]);
    s1.says = () => ({ type: 'refused', reason: 'full' });
    phone.step({ type: 'publish', tag: 5, records: [record('p', 'bob')] });
    lan.run(20);
    t.same(phone.results.get(5), [{ type: 'refused', reason: 'full' }]);
  },
);

t.test('a slow answer is taken too, and each thing asked is answered once', async t => {
  const { lan, phone, supers } = attached();
  for (const each of supers) each.afterMs = 1_500;
  phone.step({ type: 'query', tag: 1, key: idOf('bob') });
  lan.run(1_600);
  t.notOk(phone.results.has(1), 'the next one was asked after a second: it may know more');
  lan.run(1_000);
  t.same(phone.results.get(1), [{ type: 'records', records: [] }]);
  lan.run(20_000);
  t.equal(phone.results.get(1)?.length, 1);
  t.equal(supers[2]?.requests('query'), 0);
});

t.test('that nobody has a name is believed when another super-node says so too', async t => {
  const { lan, phone, supers } = attached();
  const [s1, s2, s3] = supers as [ScriptedSuperNode, ScriptedSuperNode, ScriptedSuperNode];
  const bob = record('p', 'bob');
  // One whom ours has not named is asked rather.
  const found = new ScriptedSuperNode(lan, 's4');
  found.says = request =>
    request.type === 'query' ? { type: 'records', records: [bob] } : found.usual(request);
  phone.step({ type: 'candidate', peer: found.peer });
  phone.step({ type: 'query', tag: 1, key: bob.key });
  lan.run(50);
  t.same(phone.results.get(1), [{ type: 'records', records: [bob] }]);
  t.same(
    [s1, s2, s3].map(each => each.requests('query')),
    [1, 0, 0],
  );

  found.says = () => undefined;
  const at = lan.now;
  phone.step({ type: 'query', tag: 2, key: bob.key });
  while (!phone.results.has(2)) lan.run(10);
  t.same(phone.results.get(2), [{ type: 'records', records: [] }]);
  t.ok(lan.now - at <= 1000, `where that one is silent, after ${lan.now - at} ms`);

  const alone = attached(2, ['s1']);
  alone.phone.step({ type: 'query', tag: 1, key: bob.key });
  alone.lan.run(20);
  t.same(
    alone.phone.results.get(1),
    [{ type: 'records', records: [] }],
    'where there is one alone',
  );
});

t.test(
  'what is asked while nobody has the node waits, and fails when its time is over',
  async t => {
    const { lan, phone, supers } = scene();
    phone.step({ type: 'start' });
    phone.step({ type: 'query', tag: 1, key: idOf('bob') });
    phone.step({ type: 'query', tag: 2, key: idOf('bob'), withinMs: 1_000 });
    lan.run(2_000);
    t.same(phone.results.get(2), [{ type: 'failed', why: 'no-ring' }]);
    phone.step({ type: 'candidate', peer: supers[0]!.peer });
    lan.run(100);
    t.same(phone.results.get(1), [{ type: 'records', records: [] }]);
  },
);

t.test('what is under way survives the loss of the super-node', async t => {
  const { lan, phone, supers } = attached();
  supers[0]!.says = () => undefined;
  phone.step({ type: 'query', tag: 1, key: idOf('bob') });
  lan.run(10);
  lan.crash('s1:5061');
  lan.run(100);
  t.same(phone.results.get(1), [{ type: 'records', records: [] }]);
});

t.test('64 things are asked at once, and no more', async t => {
  const { lan, phone, supers } = attached();
  for (const each of supers) each.says = () => undefined;
  for (let tag = 0; tag < 100; tag++) phone.step({ type: 'query', tag, key: idOf('bob') });
  const refused = [...phone.results.values()].flat();
  t.same(refused, Array(36).fill({ type: 'failed', why: 'too-many' }));
  lan.run(20_000);
  t.equal(phone.results.size, 100);
  t.equal(phone.state.operations.size, 0);
  t.equal([...phone.state.pending.values()].filter(({ type }) => type === 'ask').length, 0);
});

t.test('it goes with a word, and is gone in a bounded time', async t => {
  const tombstones = [record(idOf('phone'), 'alice', { sequence: 2, value: undefined })];
  const { lan, phone, supers } = attached();
  phone.step({ type: 'query', tag: 1, key: idOf('bob') });
  phone.step({ type: 'stop', tombstones });
  t.same(phone.results.get(1), [{ type: 'failed', why: 'stopped' }]);
  lan.run(50);
  t.match(phone.log, [/gone/]);
  t.match(supers[0]!.taken.at(-1)?.request, { type: 'detach', records: tombstones });
  t.same(
    phone.step({ type: 'query', tag: 2, key: idOf('bob') }).map(({ type }) => type),
    ['done'],
  );

  const deaf = attached();
  deaf.lan.silent.add('s1:5061');
  deaf.phone.step({ type: 'stop', tombstones });
  deaf.phone.step({ type: 'flow-lost', peer: deaf.supers[0]!.peer });
  deaf.lan.run(800);
  t.match(deaf.phone.log, [/gone/]);
  t.match(deaf.supers[1]!.taken.at(-1)?.request, { type: 'detach', records: tombstones });

  const alone = attached();
  for (const { peer } of alone.supers) alone.lan.silent.add(peer.address);
  alone.phone.step({ type: 'stop', tombstones });
  alone.lan.run(2_200);
  t.match(alone.phone.log, [/gone/]);
  const fresh = scene();
  fresh.phone.step({ type: 'stop', tombstones });
  t.match(fresh.phone.log, ['0 gone']);
});

const S: Peer = { id: idOf('s1'), address: 's1:5061' };
const OTHER: Peer = { id: idOf('s2'), address: 's2:5061' };

/** Every kind of event, made at random. */
function anyEvent(random: SeededRandom, now: number, newest: number): AttachmentEvent {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random.unit() * of.length)]!;
  const peer = pick([
    S,
    OTHER,
    unknown(S),
    { id: idOf(String(random.uint32() % 200)), address: `${random.uint32() % 200}:5061` },
  ]);
  const number = Math.max(1, newest - Math.floor(random.unit() * 6));
  const answers: readonly (NodeAnswer | undefined)[] = [
    { type: 'attached', expiresS: pick([0, 60, 600, Number.NaN, 1e9]), others: [OTHER, peer] },
    { type: 'elsewhere', at: [peer, S] },
    { type: 'busy' },
    { type: 'accepted' },
    { type: 'records', records: [] },
    { type: 'stored', copies: 1 },
    { type: 'refused', reason: 'full' },
    { type: 'refused', reason: 'not-owner' },
    undefined,
  ];
  const tag = random.uint32();
  const events: readonly AttachmentEvent[] = [
    { type: 'start', now },
    { type: 'candidate', now, peer },
    { type: 'answered', now, number, from: pick([S, OTHER, peer]), answer: pick(answers) },
    { type: 'answered', now, number, from: pick([S, OTHER, peer]), answer: pick(answers) },
    { type: 'heard', now, from: peer },
    { type: 'unreachable', now, number },
    { type: 'moved', now, number: 1, from: peer, to: pick([S, OTHER]) },
    { type: 'flow-lost', now, peer },
    { type: 'network-changed', now, contact: 'sip:x@y' },
    { type: 'records-changed', now, records: [record('p', 'one')] },
    { type: 'query', now, tag, key: idOf('bob') },
    { type: 'publish', now, tag, records: [] },
    { type: 'timer', now },
    { type: 'timer', now },
    ...(random.unit() < 0.02 ? [{ type: 'stop', now, tombstones: [] } as const] : []),
  ];
  return pick(events);
}

t.test('whatever comes in whatever order, it stays within its bounds', async t => {
  const met = new Set<string>();
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const state = newAttachment(idOf('phone'), { contact: 'sip:a@b', records: [] }, () =>
      random.unit(),
    );
    const sent: number[] = [];
    const asked = new Set<number>();
    let now = 0;
    let dueAt = Number.POSITIVE_INFINITY;
    const broken: string[] = [];
    for (let i = 0; i < 400; i++) {
      now += random.unit() < 0.1 ? random.unit() * 20_000 : random.unit() * 200;
      const event =
        now >= dueAt ? ({ type: 'timer', now } as const) : anyEvent(random, now, state.nextNumber);
      if (event.type === 'timer') dueAt = Number.POSITIVE_INFINITY;
      const { phase } = state;
      met.add(`${phase} ${event.type}`);
      const current = state.current?.peer;
      const actions = stepAttachment(state, event);
      if (event.type === 'query' || event.type === 'publish') asked.add(event.tag);
      const answers = actions.filter(({ type }) => type === 'answer').length;
      if (answers !== (event.type === 'moved' ? 1 : 0)) broken.push(`${answers} answers`);
      for (const action of actions) {
        switch (action.type) {
          case 'send':
            if (phase === 'gone') broken.push('sends when it is gone');
            if (sent.includes(action.number)) broken.push('a number twice');
            sent.push(action.number);
            break;
          case 'set-timer':
            if (!(action.ms >= 0)) broken.push(`a timer of ${action.ms}`);
            dueAt = now + action.ms;
            break;
          case 'done':
            if (!asked.delete(action.tag)) broken.push(`${action.tag} is done twice`);
            break;
          case 'lost':
            if (!current) broken.push('what it had not is lost');
            break;
          default:
        }
      }
      const { pending, known, operations } = state;
      if ((state.phase === 'attached') !== (state.current !== undefined)) broken.push('phase');
      if (known.size > 64 || operations.size > 64 || pending.size > 64 * 4 + 80)
        broken.push('grows');
      if (state.moving && state.phase !== 'attached') broken.push('moves from nowhere');
      const waiting = [...pending.values()].filter(({ type }) => type === 'ask').length;
      const counted = [...operations.values()].reduce((sum, { waiting }) => sum + waiting, 0);
      if (waiting !== counted) broken.push(`${waiting} asked, ${counted} counted`);
      const alive = state.phase !== 'idle' && state.phase !== 'gone';
      if (alive && dueAt === Number.POSITIVE_INFINITY) broken.push('sleeps for ever');
      if (broken.length > 0) break;
    }
    if (asked.size > 0 && broken.length === 0) {
      for (const action of stepAttachment(state, { type: 'stop', now, tombstones: [] })) {
        if (action.type === 'done') asked.delete(action.tag);
      }
      if (asked.size > 0) broken.push('something asked is never answered');
    }
    if (broken.length > 0) t.fail(`seed ${seed}: ${broken.join(', ')}`);
  }
  const phases = ['idle', 'searching', 'attached', 'leaving', 'gone'];
  const events = new Set([...met].map(pair => pair.split(' ')[1]));
  t.equal(events.size, 13);
  t.same(
    phases
      .flatMap(phase => [...events].map(event => `${phase} ${event}`))
      .filter(pair => !met.has(pair)),
    [],
    'every event has come in every state',
  );
});

/** Attached to s1; `finds` says who finds in the ring what it is to put there. */
function unpublished(superNodes: readonly string[], finds: (name: string) => boolean) {
  const all = attached(3, [...superNodes]);
  for (const [index, superNode] of all.supers.entries()) {
    const { usual } = superNode;
    superNode.says = request => {
      const misses = request.type === 'query' && !finds(superNodes[index]!);
      return misses ? { type: 'records', records: [] } : usual.call(superNode, request);
    };
  }
  const queries = () => all.supers.map(superNode => superNode.requests('query'));
  return { ...all, queries };
}

t.test('who is in the ring as others find it stays, and looks every ten minutes', async t => {
  const { lan, phone, queries } = unpublished(['s1', 's2', 's3'], () => true);
  lan.run(3600_000);
  t.equal(phone.at, 's1:5061');
  t.same(phone.log, []);
  const [own, ...others] = queries();
  t.equal(own, 0, 'its own super-node is not asked about itself');
  const asked = others.reduce((sum, count) => sum + count);
  t.ok(asked >= 5 && asked <= 9, `${asked} in an hour`);
});

t.test('a super-node that does not publish what is ours is left', async t => {
  const { lan, phone, queries } = unpublished(['s1', 's2', 's3'], () => false);
  const from = lan.now;
  while (phone.at === 's1:5061' && lan.now < from + 60_000) lan.run(100);
  t.match(phone.log, [/lost s1:5061 unpublished/]);
  t.ok(lan.now < from + 40_000, `after ${lan.now - from} ms`);
  t.same(queries(), [0, 1, 1], 'as two others say');
  lan.run(1000);
  t.not(phone.at, 's1:5061');
  t.not(phone.at, undefined);
  lan.run(3600_000);
  const left = phone.log.filter(line => line.includes('unpublished'));
  t.ok(left.length <= 7, `where nobody does it, ever more seldom: ${left.length} in an hour`);
});

t.test('a super-node is not left because one other misses what is ours', async t => {
  for (const names of [
    ['s1', 's2'],
    ['s1', 's2', 's3'],
  ]) {
    const { lan, phone } = unpublished(names, name => name !== 's2');
    lan.run(3600_000);
    t.same(phone.log, []);
  }
});

t.test('what was changed a moment ago need not be in the ring yet', async t => {
  const { lan, phone, queries } = unpublished(['s1', 's2', 's3'], () => false);
  for (let i = 0; i < 30; i++) {
    phone.step({
      type: 'records-changed',
      records: [record(idOf('phone'), 'alice', { sequence: 2 + i })],
    });
    lan.run(5000);
  }
  t.same(queries(), [0, 0, 0]);
  t.same(phone.log, []);
});
