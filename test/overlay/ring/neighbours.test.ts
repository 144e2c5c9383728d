/** Small rings on virtual time: joining, lookups, deaths, leaving. */
import { test } from 'tap';
import { type Id, idOf } from '../../../src/overlay/ring/ids.js';
import type { LookupResult } from '../../../src/overlay/ring/lookup-state.js';
import { stepMember } from '../../../src/overlay/ring/member.js';
import type { MemberAction, MemberState } from '../../../src/overlay/ring/member-state.js';
import { newMember } from '../../../src/overlay/ring/new-member.js';
import type { Peer } from '../../../src/overlay/ring/peer.js';
import { isSuspect, suspect } from '../../../src/overlay/ring/requests.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { type SimulatedMember, SimulatedRing } from '../../../src/simulation/simulated-ring.js';

const MINUTE = 60_000;

/** A ring of so many that joined one after the other, and has settled. */
function grown(count: number, seed: number, loss = 0): SimulatedRing {
  const ring = new SimulatedRing({ seed, loss, member: { routing: 'base16' } });
  const first = ring.start([]);
  for (let i = 1; i < count; i++) {
    ring.start([first.peer]);
    ring.run(ring.now + 1000);
  }
  ring.run(ring.now + 5 * MINUTE);
  return ring;
}

function peersAt(ids: readonly Id[]): Peer[] {
  return ids.map((id, i) => ({ id, address: `10.0.0.${i + 1}:5060` }));
}

/** One of a ring of two, driven by hand. */
function memberBeside(other: Peer, self: Peer): MemberState {
  const member = newMember(self, {
    chance: () => 0.5,
    sign: () => '',
    verify: () => true,
    verifyRecord: () => true,
  });
  return Object.assign(member, {
    phase: 'member',
    predecessor: other,
    successors: [other],
  } as const);
}

function ownerFoundBy(ring: SimulatedRing, at: SimulatedMember, name: string, recursive = false) {
  let found: LookupResult | undefined;
  ring.lookup(
    at,
    idOf(name),
    ({ result }) => {
      found = result;
    },
    recursive,
  );
  ring.run(ring.now + 60_000);
  return found;
}

function broken(ring: SimulatedRing): string[] {
  ring.checkRing();
  return [...ring.violations.values()].flatMap(({ first }) => first);
}

test('a member alone is a ring: it owns every key', async t => {
  const ring = new SimulatedRing({ seed: 1 });
  const alone = ring.start([]);
  t.equal(alone.state.phase, 'member');
  const found = ownerFoundBy(ring, alone, 'anything');
  t.same(found, { owner: alone.peer, successors: [], hops: 0 });
});

test('two members halve the ring, whichever joined first', async t => {
  const ring = grown(2, 2);
  for (const member of ring.members) {
    const other = ring.members.find(({ peer }) => peer !== member.peer)!;
    t.equal(member.state.predecessor?.id, other.peer.id);
    t.same(member.state.successors, [other.peer]);
    for (const name of ['a', 'b', 'c', 'd']) {
      t.equal(ownerFoundBy(ring, member, name)?.owner.id, ring.ownerOf(idOf(name))?.id);
    }
  }
  t.same(broken(ring), []);
});

test('members that join one by one, or all at once, come to the same ring', async t => {
  const oneByOne = grown(30, 3);
  const atOnce = new SimulatedRing({ seed: 4, member: { routing: 'base16' } });
  const first = atOnce.start([]);
  for (let i = 1; i < 30; i++) atOnce.start([first.peer]);
  atOnce.run(10 * MINUTE);
  for (const ring of [oneByOne, atOnce]) {
    t.equal(ring.ring.length, 30);
    ring.ring.forEach((peer, i) => {
      const { state } = ring.memberOf(peer);
      t.equal(state.predecessor?.id, ring.ring[(i + 29) % 30]!.id);
      t.same(
        state.successors.map(({ id }) => id),
        Array.from({ length: state.successors.length }, (_, k) => ring.ring[(i + 1 + k) % 30]!.id),
      );
    });
    t.same(broken(ring), []);
  }
});

test('lookups find the owner, going back and forth or from member to member', async t => {
  const ring = grown(40, 5);
  for (let i = 0; i < 20; i++) {
    const at = ring.members[(i * 7) % 40]!;
    const right = ring.ownerOf(idOf(`key ${i}`))?.id;
    t.equal(ownerFoundBy(ring, at, `key ${i}`)?.owner.id, right);
    t.equal(ownerFoundBy(ring, at, `key ${i}`, true)?.owner.id, right);
  }
  t.same(broken(ring), []);
});

test('a third dies at once: every lookup finds the owner all the same', async t => {
  for (const routing of ['base16', 'binary', 'table'] as const) {
    const ring = new SimulatedRing({ seed: 6, member: { routing } });
    settle(ring, { nodes: 60, routing, member: {}, upkeep: true });
    ring.run(MINUTE);
    for (let i = 0; i < 20; i++) ring.crash(ring.memberOf(ring.ring[(i * 13) % ring.ring.length]!));
    let right = 0;
    for (let i = 0; i < 60; i++) {
      const at = ring.memberOf(ring.ring[i % ring.ring.length]!);
      const key = idOf(`key ${i}`);
      ring.lookup(at, key, ({ result }) => {
        if (result && ring.isRightOwner(key, result.owner)) right++;
      });
    }
    ring.run(10 * MINUTE);
    t.equal(right, 60, routing);
    t.same(broken(ring), []);
  }
});

test('a neighbour that leaves hands its part over at once', async t => {
  const ring = grown(12, 7);
  const leaver = ring.members[5]!;
  const index = ring.ring.findIndex(({ id }) => id === leaver.peer.id);
  const successor = ring.memberOf(ring.ring[(index + 1) % 12]!);
  const predecessor = ring.memberOf(ring.ring[(index + 11) % 12]!);
  ring.leave(leaver);
  ring.run(ring.now + 1000);
  t.equal(successor.state.predecessor?.id, predecessor.peer.id);
  t.equal(predecessor.state.successors[0]?.id, successor.peer.id);
  t.same(broken(ring), []);
});

test('a tenth of all messages lost: the ring holds, and lookups are answered', async t => {
  const ring = grown(25, 8, 0.1);
  let answered = 0;
  for (let i = 0; i < 50; i++) {
    ring.lookup(ring.members[i % 25]!, idOf(`key ${i}`), ({ result }) => {
      if (result) answered++;
    });
  }
  ring.run(ring.now + 2 * MINUTE);
  t.equal(answered, 50);
  ring.checkRing();
  t.equal(ring.violations.get('one ring'), undefined);
  t.equal(ring.violations.get('ordered'), undefined);
});

test('whoever joins through a dead contact tries the next, and says so while there is none', async t => {
  const ring = grown(5, 9);
  const dead = ring.members[4]!;
  ring.crash(dead);
  const joiner = ring.start([dead.peer, ring.members[0]!.peer]);
  t.ok(
    ring.runUntil(() => joiner.inRing, 2 * MINUTE),
    'through the second',
  );
  const lost = ring.start([dead.peer]);
  ring.run(ring.now + 5 * MINUTE);
  t.equal(lost.state.phase, 'joining', 'nobody answers: it goes on trying');
});

test('the same seed is the same run', async t => {
  const [one, other] = [grown(15, 10), grown(15, 10)];
  t.same(one.traffic, other.traffic);
  t.not(grown(15, 11).traffic.bytes, one.traffic.bytes);
});

test('a successor that is asked as it goes to another address is asked there, and is nobody to suspect', async t => {
  const [self, successor] = peersAt([idOf('one'), idOf('other')]) as [Peer, Peer];
  const member = memberBeside(successor, self);
  const asked = (actions: MemberAction[]) => {
    return actions.flatMap(action => {
      const isAsked = action.type === 'send' && action.message.kind === 'request';
      return isAsked ? [`${action.message.request.type} ${action.to.address}`] : [];
    });
  };
  const stabilise = { type: 'timer', now: 0, timer: { type: 'stabilise' } } as const;
  const before = stepMember(member, stabilise);
  t.same(asked(before), ['neighbours 10.0.0.2:5060']);

  const from = { ...successor, address: '10.0.0.9:5060' };
  const joins = { kind: 'request', from, number: 1, request: { type: 'join' } } as const;
  const after = stepMember(member, { type: 'message', now: 100, message: joins });
  t.same(asked(after), ['neighbours 10.0.0.9:5060']);

  // What was asked at the old address is never answered.
  for (const action of before) {
    if (action.type !== 'set-timer' || action.timer.type !== 'request') continue;
    const { timer, ms } = action;
    t.same(stepMember(member, { type: 'timer', now: ms, timer }), []);
  }
  t.notOk(isSuspect(member, from));
  t.same(member.successors, [from]);
});

test('who was dead and is back between its neighbours is one of them at once', async t => {
  const ids = ['one', 'two', 'three'].map(idOf).sort();
  const [self, back, successor] = peersAt(ids) as [Peer, Peer, Peer];
  const member = memberBeside(successor, self);
  suspect(member, back);
  const requests = (actions: MemberAction[]) =>
    actions.flatMap(action => {
      if (action.type !== 'send' || action.message.kind !== 'request') return [];
      const { number, request } = action.message;
      return [{ to: action.to.id, type: request.type, number }];
    });
  const pings = { kind: 'request', from: back, number: 1, request: { type: 'ping' } } as const;
  const [asked] = requests(stepMember(member, { type: 'message', now: 100, message: pings }));
  t.match(asked, { to: successor.id, type: 'neighbours' });
  const links = { type: 'links', predecessor: back, successors: [self] } as const;
  const answer = { kind: 'answer', from: successor, number: asked!.number, answer: links } as const;
  const next = requests(stepMember(member, { type: 'message', now: 110, message: answer }));
  t.match(next, [{ to: back.id, type: 'neighbours' }], 'it is asked, and not passed over');
});
