/** Rings that are cut, heal apart, and become one again. */
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import { simulatedRecord } from '../../../src/simulation/simulated-record.js';
import { SimulatedRing } from '../../../src/simulation/simulated-ring.js';

const MINUTE = 60_000;

function inOrder(ring: SimulatedRing): boolean {
  const { ring: peers } = ring;
  return peers.every((peer, i) => {
    const { state } = ring.memberOf(peer);
    const next = peers[(i + 1) % peers.length]!;
    const before = peers[(i + peers.length - 1) % peers.length]!;
    return state.successors[0]?.id === next.id && state.predecessor?.id === before.id;
  });
}

function foundByAll(ring: SimulatedRing, name: string): number {
  let found = 0;
  for (const peer of ring.ring) {
    ring.get(ring.memberOf(peer), idOf(name), ({ records }) => {
      if (records?.some(({ value }) => value !== undefined)) found++;
    });
  }
  ring.run(ring.now + 2 * MINUTE);
  return found;
}

for (const routing of ['base16', 'table'] as const) {
  test(`two rings that meet become one, and keep what both held (${routing})`, async t => {
    const ring = new SimulatedRing({ seed: 21, member: { routing } });
    ring.truthIsDivided = true;
    const firsts = [0, 1].map(part => ring.start([], { part }));
    for (let i = 0; i < 22; i++) ring.start([firsts[i % 2]!.peer], { part: i % 2 });
    ring.run(5 * MINUTE);
    ring.put(firsts[0]!, simulatedRecord('one', { value: new Uint8Array(10) }), () => undefined);
    ring.put(firsts[1]!, simulatedRecord('other', { value: new Uint8Array(10) }), () => undefined);
    ring.run(ring.now + MINUTE);
    ring.checkRing();
    t.equal(ring.violations.get('one ring')?.count, 1, 'they are two');
    ring.violations.clear();

    for (const member of ring.members) member.part = 0;
    const [one, other] = firsts;
    ring.step(one!, { type: 'contacts', now: ring.now, contacts: [other!.peer] });
    t.ok(
      ring.runUntil(() => inOrder(ring), 5 * MINUTE),
      'one ring, in order',
    );
    t.comment(`after ${Math.round((ring.now - 6 * MINUTE) / 1000)} s`);
    ring.run(ring.now + 2 * MINUTE);
    ring.truthIsDivided = false;
    ring.checkRing();
    t.equal(ring.violations.size, 0);
    t.equal(foundByAll(ring, 'one'), 24);
    t.equal(foundByAll(ring, 'other'), 24);
    ring.checkCopies([idOf('one'), idOf('other')], 5);
    t.equal(ring.violations.size, 0);
  });
}

test('what two rings held that meet is where it belongs within 5 s, whoever of them owned it', async t => {
  for (const members of [4, 8, 16]) {
    for (let seed = 1; seed <= 6; seed++) {
      const ring = new SimulatedRing({ seed, member: { routing: 'table' } });
      ring.truthIsDivided = true;
      const firsts = [0, 1].map(part => ring.start([], { part }));
      for (let i = 2; i < members; i++) ring.start([firsts[i % 2]!.peer], { part: i % 2 });
      ring.run(5 * MINUTE);
      const names = Array.from({ length: 40 }, (_, i) => `${seed}-${i}`);
      for (const [i, name] of names.entries()) {
        const record = simulatedRecord(name, { value: new Uint8Array(10) });
        ring.put(firsts[i % 2]!, record, () => undefined);
      }
      ring.run(ring.now + MINUTE);
      for (const member of ring.members) member.part = 0;
      const [one, other] = firsts;
      ring.step(one!, { type: 'contacts', now: ring.now, contacts: [other!.peer] });
      t.ok(ring.runUntil(() => inOrder(ring), 5 * MINUTE));
      ring.run(ring.now + 5000);
      const lacking = names.filter(name => {
        const owner = ring.memberOf(ring.ownerOf(idOf(name))!);
        return owner.state.records.under(idOf(name), ring.now).length === 0;
      });
      t.same(lacking, [], `${members} members, seed ${seed}`);
    }
  }
});

test('a ring cut in two heals on both sides, and is one again when the cut is', async t => {
  const ring = new SimulatedRing({ seed: 22, member: { routing: 'base16' } });
  const first = ring.start([]);
  for (let i = 0; i < 19; i++) ring.start([first.peer]);
  ring.run(5 * MINUTE);
  t.ok(inOrder(ring));
  ring.truthIsDivided = true;
  ring.members.forEach((member, i) => {
    member.part = i % 2;
  });
  ring.run(ring.now + 10 * MINUTE);
  ring.checkRing();
  t.equal(ring.violations.get('one ring')?.count, 1, 'two rings');
  for (const member of ring.members) member.part = 0;
  t.ok(
    ring.runUntil(() => inOrder(ring), 10 * MINUTE),
    'one ring, by who was lost',
  );
  ring.violations.clear();
  ring.checkRing();
  t.equal(ring.violations.size, 0);
});

test('a member whose neighbours all die goes on as a ring of one, and is found again', async t => {
  const ring = new SimulatedRing({ seed: 23, member: { routing: 'base16' } });
  const first = ring.start([]);
  for (let i = 0; i < 4; i++) ring.start([first.peer]);
  ring.run(5 * MINUTE);
  ring.truthIsDivided = true;
  const alone = ring.members[4]!;
  alone.part = 1;
  ring.run(ring.now + 10 * MINUTE);
  t.equal(alone.state.phase, 'member');
  t.same([alone.state.predecessor, alone.state.successors], [undefined, []]);
  alone.part = 0;
  t.ok(ring.runUntil(() => inOrder(ring), 10 * MINUTE));
});

test('members of rings that have met soon know one another', async t => {
  for (const [rings, members] of [
    [4, 4],
    [2, 24],
    [8, 40],
  ] as const) {
    const times: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const ring = new SimulatedRing({ seed, member: { routing: 'table' } });
      ring.truthIsDivided = true;
      const firsts = Array.from({ length: rings }, (_, part) => ring.start([], { part }));
      for (let i = rings; i < members; i++) {
        ring.start([firsts[i % rings]!.peer], { part: i % rings });
      }
      ring.run(5 * MINUTE);
      for (const member of ring.members) member.part = 0;
      firsts.forEach(({ peer }, i) => {
        const contacts = [firsts[(i + 1) % rings]!.peer];
        ring.step(ring.memberOf(peer), { type: 'contacts', now: ring.now, contacts });
      });
      const all = () =>
        ring.members.every(({ state }) => state.membership?.present.length === members);
      ring.runUntil(all, 20 * MINUTE);
      times.push(Math.round((ring.now - 5 * MINUTE) / 1000));
    }
    t.comment(`${rings} rings of ${members / rings}: all know all after ${times.join(', ')} s`);
    t.ok(Math.max(...times) < 30, `${rings} rings, ${members} members`);
  }
});

test('a member that takes itself for alone, while the others do not, is back at once', async t => {
  const ring = new SimulatedRing({ seed: 24, member: { routing: 'table' } });
  const first = ring.start([]);
  for (let i = 0; i < 2; i++) ring.start([first.peer]);
  ring.run(5 * MINUTE);
  t.ok(inOrder(ring));
  for (const member of ring.members) {
    const { state } = member;
    // As if none of its neighbours had answered, though they hear it.
    state.successors = [];
    state.signals.push({ type: 'alone' });
    ring.step(member, {
      type: 'lookup',
      now: ring.now,
      key: idOf('any'),
      tag: 0,
      recursive: false,
    });
    t.equal(state.phase, 'joining');
    const from = ring.now;
    const back = () => state.phase === 'member' && inOrder(ring);
    t.ok(ring.runUntil(back, 10_000), `after ${Math.round(ring.now - from)} ms`);
    ring.run(ring.now + MINUTE);
  }
});

test('two that are left of a ring are one soon, also where one had only just joined', async t => {
  for (const joinedMs of [5 * MINUTE, 5_000]) {
    const times: number[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      const ring = new SimulatedRing({ seed, member: { routing: 'table' } });
      const first = ring.start([]);
      for (let i = 0; i < 4; i++) ring.start([first.peer]);
      ring.run(5 * MINUTE);
      ring.put(first, simulatedRecord('one', { value: new Uint8Array(10) }), () => undefined);
      const late = ring.start([first.peer]);
      ring.run(ring.now + joinedMs);
      t.equal(late.state.phase, 'member');
      const from = ring.now;
      for (const member of ring.members.slice(1, 5)) ring.crash(member);
      ring.runUntil(() => inOrder(ring), 5 * MINUTE);
      times.push(Math.round((ring.now - from) / 1000));
      t.equal(foundByAll(ring, 'one'), 2);
    }
    t.comment(`after ${times.join(', ')} s`);
    // A round of stabilisation, and four that are silent.
    t.ok(Math.max(...times) < 35, `${Math.max(...times)} s`);
  }
});
