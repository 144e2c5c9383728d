/** Each named invariant can fail, and says who broke it: by hand, and in a ring that is tampered with. */
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import {
  checkCopies,
  checkLiveSuccessors,
  checkOneRing,
  checkOrdered,
  checkOwner,
  checkPart,
} from '../../../src/overlay/ring/invariants.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { simulatedRecord } from '../../../src/simulation/simulated-record.js';
import { SimulatedRing } from '../../../src/simulation/simulated-ring.js';

const MINUTE = 60_000;
const id = (head: string) => head.padEnd(40, '0');
const view = (head: string, ...successors: string[]) => ({
  id: id(head),
  successors: successors.map(successor => ({ id: id(successor) })),
});

function settled(seed: number): SimulatedRing {
  const ring = new SimulatedRing({ seed, member: { routing: 'base16' } });
  settle(ring, { nodes: 30, routing: 'base16', member: {}, upkeep: true });
  ring.run(MINUTE);
  ring.checkRing();
  return ring;
}

test('one ring: two circles are two, one that has members waiting beside it is one', async t => {
  t.same(checkOneRing([view('1', '2'), view('2', '3'), view('3', '1'), view('25', '3')]), []);
  const two = checkOneRing([view('1', '3'), view('2', '4'), view('3', '1'), view('4', '2')]);
  t.match(two, [{ invariant: 'one ring', what: /2 rings/ }]);
  t.equal(two.length, 1);
  t.same(checkOneRing([view('1', 'dead', '2'), view('2', '1')]), [], 'the dead do not count');

  const ring = settled(41);
  t.equal(ring.violations.size, 0);
  ring.members.forEach(({ state }, i) => {
    const { length } = ring.members;
    state.successors = [ring.members[(i + 2) % length]!.peer];
  });
  ring.checkRing();
  t.ok(ring.violations.has('one ring'));
});

test('ordered: a list that goes back, repeats itself or comes round to its member is not', async t => {
  t.same(checkOrdered(view('e', 'f', '1', 'd')), []);
  t.equal(checkOrdered(view('1', '3', '2')).length, 1);
  t.equal(checkOrdered(view('1', '3', '3')).length, 1);
  t.equal(checkOrdered(view('1', '3', '1')).length, 1);
  t.equal(checkOrdered(view('1', '1')).length, 1);

  const ring = settled(42);
  const { state } = ring.members[0]!;
  state.successors = [...state.successors].reverse();
  ring.run(ring.now + MINUTE);
  t.ok(ring.violations.has('ordered'), 'seen at its next step');
});

test('live successor for each member: who has lost all of them is named', async t => {
  t.same(checkLiveSuccessors([view('1', '2'), view('2', '1')]), []);
  t.same(checkLiveSuccessors([view('1')]), [], 'who is alone needs none');
  t.match(checkLiveSuccessors([view('1', 'dead'), view('2', '1')]), [
    { invariant: 'live successor for each member', what: new RegExp(`^${id('1')}`) },
  ]);

  const ring = settled(43);
  const doomed = ring.members[0]!.state.successors.map(peer => ring.memberOf(peer));
  for (const member of doomed) ring.crash(member);
  ring.checkRing();
  t.ok(ring.violations.has('live successor for each member'));
});

test('every key has its copies: each that lacks some is told', async t => {
  t.same(checkCopies(new Map([[id('1'), 5]]), 5), []);
  t.match(checkCopies(new Map([[id('1'), 4]]), 5), [{ what: `${id('1')}: 4 of 5` }]);

  const ring = settled(44);
  const record = simulatedRecord('alice', { value: new Uint8Array(1) });
  ring.put(ring.members[0]!, record, () => undefined);
  ring.run(ring.now + MINUTE);
  ring.checkCopies([record.key], 5);
  t.notOk(ring.violations.has('every key has its copies'));
  ring.holdersOf(record.key, 2)[1]?.state.records.drop(record);
  ring.checkCopies([record.key], 5);
  t.ok(ring.violations.has('every key has its copies'));
});

test('no wrong owner answers: a member that claims more than its part is caught', async t => {
  const members = ['2', '8'].map(head => ({ id: id(head) }));
  t.same(checkOwner(members, id('3'), id('8')), []);
  t.equal(checkOwner(members, id('3'), id('2')).length, 1);

  const ring = settled(45);
  const [victim] = ring.holdersOf(idOf('alice'), 1);
  const [, greedy] = ring.holdersOf(idOf('alice'), 2);
  const before = ring.holdersOf(victim!.peer.id, 30).at(-1)!;
  greedy!.state.predecessor = before.peer;
  before.state.successors = before.state.successors.slice(1);
  ring.lookup(before, idOf('alice'), () => undefined);
  ring.run(ring.now + 2000);
  t.ok(ring.violations.has('no wrong owner answers'));
});

test('each part has one owner: who takes in a live member with its part is caught before it is asked', async t => {
  const members = ['2', '5', '8'].map(head => ({ id: id(head) }));
  const part = (head: string, predecessor: string | undefined) =>
    checkPart(members, {
      id: id(head),
      predecessor: predecessor ? { id: id(predecessor) } : undefined,
    });
  t.same(part('8', '5'), []);
  t.same(part('8', '6'), [], 'a predecessor that is dead');
  t.same(part('2', '8'), [], 'round the end');
  t.same(part('8', undefined), []);
  t.match(part('8', '2'), [
    { invariant: 'each part has one owner', what: new RegExp(`^${id('5')}`) },
  ]);
  t.equal(part('2', '5').length, 1);

  const ring = settled(46);
  const [, greedy] = ring.holdersOf(idOf('alice'), 2);
  const [before] = ring.holdersOf(idOf('alice'), 30).slice(-1);
  greedy!.state.predecessor = before!.peer;
  ring.step(greedy!, { type: 'timer', now: ring.now, timer: { type: 'compare' } });
  t.ok(ring.violations.has('each part has one owner'));
});
