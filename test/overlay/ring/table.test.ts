/** The table of a small ring: everybody knows everybody, by signed entries. */
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import { stepMember } from '../../../src/overlay/ring/member.js';
import { Membership } from '../../../src/overlay/ring/membership.js';
import { entryText, type MembershipEntry } from '../../../src/overlay/ring/membership-entry.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { type SimulatedMember, SimulatedRing } from '../../../src/simulation/simulated-ring.js';

const MINUTE = 60_000;

function grown(count: number, seed: number, loss = 0): SimulatedRing {
  const ring = new SimulatedRing({ seed, loss, member: { routing: 'table' } });
  const first = ring.start([]);
  for (let i = 1; i < count; i++) ring.start([first.peer]);
  ring.run(5 * MINUTE);
  return ring;
}

/** Members whose table is not the truth. */
function mistaken(ring: SimulatedRing): number {
  const truth = ring.ring.map(({ id }) => id).join();
  return ring.ring.filter(peer => {
    const { membership } = ring.memberOf(peer).state;
    return membership?.present.map(({ id }) => id).join() !== truth;
  }).length;
}

function tell(
  ring: SimulatedRing,
  to: SimulatedMember,
  from: SimulatedMember,
  entry: MembershipEntry,
) {
  const request = { type: 'membership', hops: 0, entries: [entry] } as const;
  const message = { kind: 'request', from: from.peer, number: 99_999, request } as const;
  ring.step(to, { type: 'message', now: ring.now, message });
}

test('joins, deaths and partings reach everybody within a minute', async t => {
  const ring = grown(40, 51);
  t.equal(mistaken(ring), 0, 'forty that joined at once');
  ring.start([ring.members[0]!.peer]);
  ring.run(ring.now + MINUTE);
  t.equal(mistaken(ring), 0, 'one more');
  ring.crash(ring.members[7]!);
  ring.run(ring.now + MINUTE);
  t.equal(mistaken(ring), 0, 'one dead');
  ring.leave(ring.members[9]!);
  ring.run(ring.now + MINUTE);
  t.equal(mistaken(ring), 0, 'one gone');
});

test('lookups then take one hop', async t => {
  const ring = grown(40, 52);
  const hops: number[] = [];
  for (let i = 0; i < 100; i++) {
    ring.lookup(ring.members[i % 40]!, idOf(`key ${i}`), ({ result }) => {
      hops.push(result?.hops ?? 99);
    });
  }
  ring.run(ring.now + MINUTE);
  t.equal(hops.length, 100);
  t.ok(hops.every(count => count <= 1));
});

test('what a lossy network swallows is mended by comparing', async t => {
  const ring = grown(30, 53, 0.02);
  for (let i = 0; i < 5; i++) ring.start([ring.members[0]!.peer]);
  t.ok(ring.runUntil(() => ring.ring.length === 35 && mistaken(ring) === 0, 60 * MINUTE));
});

test('an entry that its member did not sign is not believed', async t => {
  const ring = grown(5, 54);
  const [one, other] = ring.members;
  const stranger = { id: idOf('stranger'), address: 'nowhere' };
  const said = { peer: stranger, version: 1, state: 'present' } as const;
  const byOther = other!.state.tools.sign(entryText(said));
  tell(ring, one!, other!, { ...said, signature: byOther, signer: other!.peer.id });
  tell(ring, one!, other!, { ...said, signature: 'forged', signer: stranger.id });
  t.equal(one!.state.membership?.entry(stranger.id), undefined);
});

test('who is said to be gone, and is not, says so', async t => {
  const ring = grown(12, 55);
  const [one, accuser, accused] = ring.members;
  const said = { peer: accused!.peer, version: accused!.state.version, state: 'gone' } as const;
  const signature = accuser!.state.tools.sign(entryText(said));
  const entry = { ...said, signature, signer: accuser!.peer.id };
  for (const { peer } of ring.members) tell(ring, ring.memberOf(peer), accuser!, entry);
  t.equal(one!.state.membership?.entry(accused!.peer.id)?.state, 'gone', 'believed at first');
  ring.run(ring.now + 2 * MINUTE);
  t.equal(mistaken(ring), 0);
  t.ok(accused!.state.version > said.version);
});

test('a neighbour that others take for gone hears so at once, before it is told to all', async t => {
  const ring = grown(3, 57);
  const [first] = ring.members as [SimulatedMember];
  const successor = first.state.successors[0]!;
  const from = ring.members.find(({ peer }) => ![first.peer.id, successor.id].includes(peer.id))!;
  const known = first.state.membership!.entry(successor.id)!;
  const said = { peer: successor, version: known.version, state: 'gone' } as const;
  const signature = from.state.tools.sign(entryText(said));
  tell(ring, first, from, { ...said, signature, signer: from.peer.id });
  ring.run(ring.now + 2000);
  t.equal(ring.memberOf(successor).state.version, known.version + 1, 'it says otherwise');
});

test('a neighbour that says itself that it goes is not told so', async t => {
  const toldBy = (signer: 'itself' | 'another') => {
    const ring = grown(3, 58);
    const [first] = ring.members as [SimulatedMember];
    const goes = ring.memberOf(first.state.successors[0]!);
    const other = ring.members.find(member => member !== first && member !== goes)!;
    const { version } = first.state.membership!.entry(goes.peer.id)!;
    const by = signer === 'itself' ? goes : other;
    const said = { peer: goes.peer, version, state: 'gone' } as const;
    const signature = by.state.tools.sign(entryText(said));
    const entries = [{ ...said, signature, signer: by.peer.id }];
    const request = { type: 'membership', hops: 0, entries } as const;
    const message = { kind: 'request', from: other.peer, number: 99_999, request } as const;
    return stepMember(first.state, { type: 'message', now: ring.now, message }).some(
      action =>
        action.type === 'send' &&
        action.to.id === goes.peer.id &&
        action.message.kind === 'request' &&
        action.message.request.type === 'membership',
    );
  };
  t.ok(toldBy('another'));
  t.notOk(toldBy('itself'));
});

test('a table that costs more than its budget gives way to fingers, and lookups go on', async t => {
  const member = { routing: 'auto', tableBudget: 20 } as const;
  const ring = new SimulatedRing({ seed: 56, member });
  settle(ring, { nodes: 100, routing: 'auto', member, upkeep: true });
  for (let i = 0; i < 30; i++) {
    ring.after(i * 20_000, () => {
      ring.start([ring.memberOf(ring.ring[0]!).peer]);
    });
  }
  ring.run(20 * MINUTE);
  t.ok(ring.ring.every(peer => ring.memberOf(peer).state.routing === 'base16'));
  let right = 0;
  for (let i = 0; i < 100; i++) {
    const key = idOf(`key ${i}`);
    ring.lookup(ring.members[i]!, key, ({ result }) => {
      if (result && ring.isRightOwner(key, result.owner)) right++;
    });
  }
  ring.run(ring.now + MINUTE);
  t.equal(right, 100);
});

test('two sets are compared by parts: what differs is found, and only that', async t => {
  const entry = (name: string, state: 'present' | 'gone' = 'present', version = 1) => ({
    peer: { id: idOf(name), address: name },
    version,
    state,
    signature: '',
    signer: '',
  });
  const names = Array.from({ length: 500 }, (_, i) => `member ${i}`);
  const one = new Membership(names.map(name => entry(name)));
  const other = new Membership(names.map(name => entry(name)).reverse());
  t.same(one.digests, other.digests, 'in whatever order they were told');
  other.apply(entry('newcomer'));
  t.ok(other.differing(one.digests).entries.some(({ peer }) => peer.address === 'newcomer'));
  t.equal(other.differing(one.digests).parts.length, 1);
  other.apply(entry('newcomer', 'gone'));
  t.same(one.digests, other.digests);
  t.notOk(other.apply(entry('newcomer')), 'an old entry does not bring it back');
  t.ok(other.apply(entry('newcomer', 'present', 2)), 'a newer one does');
  t.equal(other.present.length, 501);
  t.equal(other.after(idOf('newcomer'), 501)?.address, 'newcomer', 'once round');
});

test('a table has room for so many of one part of the ring; who is gone makes room', async t => {
  const entry = (n: number, state: 'present' | 'gone' = 'present', version = 1) => ({
    peer: { id: `00${String(n).padStart(38, '0')}`, address: `h${n}` },
    version,
    state,
    signature: '',
    signer: '',
  });
  const table = new Membership();
  for (let n = 0; n < 1000; n++) table.apply(entry(n));
  t.equal(table.present.length, 96);
  t.ok(table.apply({ ...entry(1), peer: { id: idOf('elsewhere'), address: 'x' } }));
  t.notOk(table.apply(entry(999)));
  t.ok(table.apply(entry(7, 'gone')));
  t.ok(table.apply(entry(999)));
  t.ok(table.apply(entry(8, 'present', 2)), 'who is known says something new');
  t.notOk(table.apply(entry(7, 'present', 2)), 'the place is taken');
  t.equal(table.present.length, 97);
});
