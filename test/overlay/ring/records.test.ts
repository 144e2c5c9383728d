/** What is stored in the ring: where it is, for how long, and what becomes of it when members go. */
import { test } from 'tap';
import { idOf } from '../../../src/overlay/ring/ids.js';
import type { MemberOptions } from '../../../src/overlay/ring/member-state.js';
import { RecordStore, type RingRecord } from '../../../src/overlay/ring/records.js';
import { valueRecords } from '../../../src/overlay/ring/values.js';
import { recordSignature, simulatedRecord } from '../../../src/simulation/simulated-record.js';
import {
  type SimulatedMember,
  SimulatedRing,
  type ValueDone,
} from '../../../src/simulation/simulated-ring.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const KEYS = Array.from({ length: 40 }, (_, i) => `user ${i}`);

function grown(
  count: number,
  seed: number,
  member: Partial<MemberOptions> = { routing: 'base16' },
): SimulatedRing {
  const ring = new SimulatedRing({ seed, member });
  const first = ring.start([]);
  for (let i = 1; i < count; i++) ring.start([first.peer]);
  ring.run(5 * MINUTE);
  return ring;
}

function put(ring: SimulatedRing, at: SimulatedMember, record: RingRecord) {
  let done: { copies: number; reason?: string } | undefined;
  ring.put(at, record, result => {
    done = result;
  });
  ring.runUntil(() => done !== undefined, MINUTE);
  return { copies: done?.copies, reason: done?.reason };
}

function get(ring: SimulatedRing, at: SimulatedMember, name: string) {
  let found: readonly RingRecord[] | undefined;
  let done = false;
  ring.get(at, idOf(name), ({ records }) => {
    found = records;
    done = true;
  });
  ring.runUntil(() => done, MINUTE);
  return found;
}

function filled(count: number, seed: number): SimulatedRing {
  const ring = grown(count, seed);
  for (const [i, name] of KEYS.entries()) {
    put(ring, ring.members[i % count]!, simulatedRecord(name, { value: new Uint8Array([i]) }));
  }
  return ring;
}

function lost(ring: SimulatedRing): string[] {
  const at = ring.memberOf(ring.ring[0]!);
  return KEYS.filter((name, i) => get(ring, at, name)?.[0]?.value?.[0] !== i);
}

function lackingCopies(ring: SimulatedRing): string[] {
  ring.checkCopies(KEYS.map(idOf), 5);
  const { first = [] } = ring.violations.get('every key has its copies') ?? {};
  ring.violations.clear();
  return first;
}

test('a record is held by its owner and the next four, as soon as it is acknowledged', async t => {
  const ring = grown(20, 31);
  t.same(put(ring, ring.members[3]!, simulatedRecord('alice', { value: new Uint8Array([7]) })), {
    copies: 5,
    reason: undefined,
  });
  t.equal(ring.countCopies(idOf('alice'), 5), 5);
  t.equal(get(ring, ring.members[9]!, 'alice')?.[0]?.value?.[0], 7);
  t.same(get(ring, ring.members[9]!, 'nobody'), [], 'what is not there is said not to be');
});

test('the later version wins wherever it meets the earlier, and a tombstone too', async t => {
  const ring = grown(12, 32);
  const [one, other] = ring.members;
  put(ring, one!, simulatedRecord('alice', { sequence: 2, value: new Uint8Array([2]) }));
  const late = put(
    ring,
    other!,
    simulatedRecord('alice', { sequence: 1, value: new Uint8Array([1]) }),
  );
  t.same(late, { copies: 0, reason: 'outdated' });
  t.equal(get(ring, other!, 'alice')?.[0]?.value?.[0], 2);
  put(ring, one!, simulatedRecord('alice', { sequence: 3 }));
  t.same(
    get(ring, other!, 'alice')?.map(({ value }) => value),
    [undefined],
    'it is gone',
  );
});

test('a record that nobody signed is not kept', async t => {
  const ring = grown(6, 33);
  const forged = { ...simulatedRecord('alice', { value: new Uint8Array(1) }), signature: 'x' };
  t.same(put(ring, ring.members[1]!, forged), { copies: 0, reason: 'bad-signature' });
  t.equal(ring.countCopies(forged.key, 6), 0);
});

test('a record ends with its life, wherever it was copied to in between', async t => {
  const ring = grown(10, 34);
  put(ring, ring.members[0]!, simulatedRecord('alice', { lifeMs: HOUR, value: new Uint8Array(1) }));
  ring.run(ring.now + HOUR / 2);
  ring.start([ring.members[0]!.peer]);
  for (const member of ring.holdersOf(idOf('alice'), 2)) ring.crash(member);
  ring.run(ring.now + 5 * MINUTE);
  t.ok(ring.countCopies(idOf('alice'), 9) >= 5);
  ring.run(ring.now + HOUR / 2);
  t.equal(ring.countCopies(idOf('alice'), 9), 0);
});

test('copies are made good within a minute when members die, four at a time', async t => {
  const ring = filled(25, 35);
  t.same(lackingCopies(ring), []);
  for (let round = 0; round < 3; round++) {
    for (const member of ring.holdersOf(idOf(KEYS[round]!), 4)) ring.crash(member);
    ring.run(ring.now + 2 * MINUTE);
    t.same(lackingCopies(ring), []);
  }
  t.same(lost(ring), []);
});

test('that nothing is there is said soon, though some who should know are dead, as not all have heard', async t => {
  const tookMs = (pathsOfAbsent: number, seed: number) => {
    const ring = grown(16, seed, { routing: 'table', pathsOfAbsent, gatherMs: 10 * MINUTE });
    const [owner, ...others] = ring.holdersOf(idOf('nobody'), 5);
    for (const member of others) ring.crash(member);
    ring.run(ring.now + MINUTE / 2);
    const since = ring.now;
    const far = ring.members.find(({ alive, state }) => {
      const near = [state.self, ...state.successors.slice(0, 6)];
      return alive && !near.some(({ id }) => id === owner?.peer.id);
    });
    // Its answers came at very different times lately: it is patient with the silent.
    far!.state.rttVariationMs = 3000;
    t.same(get(ring, far!, 'nobody'), []);
    return ring.now - since;
  };
  for (const seed of [61, 62, 63, 64]) {
    const [trusting, doubting] = [tookMs(1, seed), tookMs(4, seed)];
    t.comment(`${trusting} ms on one member's word, ${doubting} ms else`);
    t.ok(doubting <= trusting + 1000);
  }
});

test('members that join hold at once what is theirs, and what they leave is held by others', async t => {
  const ring = filled(8, 36);
  for (let i = 0; i < 12; i++) {
    ring.start([ring.members[0]!.peer]);
    ring.run(ring.now + 10_000);
  }
  t.same(lost(ring), [], 'while they join');
  ring.run(ring.now + MINUTE);
  t.same(lackingCopies(ring), []);
  for (let i = 0; i < 12; i++) {
    const stays =
      ring.ring.length > 6 ? ring.memberOf(ring.ring[i % ring.ring.length]!) : undefined;
    if (stays) ring.leave(stays);
    ring.run(ring.now + 10_000);
  }
  t.same(lost(ring), [], 'when they left');
  ring.run(ring.now + MINUTE);
  t.same(lackingCopies(ring), []);
});

test('what drifted away from its owner goes home, and is forgotten where nobody wants it', async t => {
  const ring = filled(8, 37);
  for (let i = 0; i < 30; i++) ring.start([ring.members[0]!.peer]);
  ring.run(ring.now + 3 * HOUR);
  t.same(lackingCopies(ring), []);
  const held = ring.members.reduce((sum, { state }) => sum + state.records.size, 0);
  t.ok(held <= KEYS.length * 6, `${held} copies of ${KEYS.length} records`);
});

test('a ring of one keeps records too', async t => {
  const ring = new SimulatedRing({ seed: 38 });
  const alone = ring.start([]);
  t.same(put(ring, alone, simulatedRecord('alice', { value: new Uint8Array([7]) })), {
    copies: 1,
    reason: undefined,
  });
  t.equal(get(ring, alone, 'alice')?.[0]?.value?.[0], 7);
});

test('a store is bounded in all, for each publisher and under each key', async t => {
  const bounds = { bytes: 7500, bytesPerPublisher: 4000, bytesPerKey: 5000, recordsPerKey: 3 };
  const store = new RecordStore(bounds);
  const of = (name: string, publisher: string, size: number, lifeMs = HOUR) =>
    simulatedRecord(name, { publisher, lifeMs, value: new Uint8Array(size) });
  t.equal(store.put(of('a', 'p', 1000), 0), undefined);
  t.equal(store.put(of('b', 'p', 1000), 0), 'full', 'no more for this publisher');
  t.equal(store.put(of('b', 'q', 1000, MINUTE), 0), undefined);
  t.equal(store.put(of('c', 'r', 2900), 0), 'full', 'no more in all');
  t.equal(store.put(of('c', 'r', 2900), MINUTE), undefined, 'what has ended makes room');
  t.equal(store.size, 2);
  t.equal(store.put(of('d', 'p', 70_000), 0), 'too-large');
  store.drop(of('a', 'p', 1000));
  t.equal(store.bytes, 2900 + 1024);

  const crowd = new RecordStore({ ...bounds, bytes: 2 ** 20 });
  t.equal(crowd.put(of('a', 'p', 1000), 0), undefined);
  t.equal(crowd.put(of('a', 'q', 2500), 0), 'full', 'no more octets under this key');
  for (const publisher of ['q', 'r']) t.equal(crowd.put(of('a', publisher, 0), 0), undefined);
  t.equal(crowd.put(of('a', 's', 0), 0), 'full', 'no more records under this key');
  t.equal(crowd.put(of('b', 's', 0), 0), undefined, 'but under another');
  t.equal(crowd.put(of('a', idOf('a'), 0), 0), undefined, 'whose ID it is has room there');
});

test('what is put into a store that is more than half full is gone after an hour', async t => {
  const store = new RecordStore({
    bytes: 10_000,
    bytesPerPublisher: 10_000,
    bytesPerKey: 10_000,
    recordsPerKey: 9,
  });
  const DAY = 24 * HOUR;
  const of = (name: string, size: number, sequence = 1) =>
    simulatedRecord(name, { sequence, lifeMs: DAY, value: new Uint8Array(size) });
  t.equal(store.put(of('early', 5000), 0), undefined);
  t.equal(store.put(of('late', 0), 0), undefined);
  const own = simulatedRecord('own', { publisher: idOf('own'), lifeMs: DAY });
  t.equal(store.put(own, 0), undefined);
  t.equal(store.put(of('early', 5000, 2), 0), undefined);
  const later = HOUR + MINUTE;
  t.equal(store.get(idOf('late'), later).length, 0);
  t.equal(store.get(idOf('own'), later).length, 0, 'at its own place too: everybody has one');
  t.match(store.get(idOf('early'), later), [{ sequence: 2 }], 'what was there lives on');
});

test('of one sequence signed twice the same one stays, in whatever order they come', async t => {
  const one = simulatedRecord('a', { publisher: 'p', value: new Uint8Array(1) });
  const other = simulatedRecord('a', { publisher: 'p', value: new Uint8Array(2) });
  const stays = [
    [one, other],
    [other, one],
  ].map(records => {
    const store = new RecordStore();
    for (const record of records) store.put(record, 0);
    return store.get(idOf('a'), 0)[0]?.value?.length;
  });
  t.equal(stays[0], stays[1]);
});

test('a value of a mebibyte is stored in parts, and survives the death of who holds them', async t => {
  const ring = grown(20, 39);
  const [one, other] = ring.members;
  const value = Buffer.alloc(2 ** 20, 'voicemail');
  const named = { key: idOf('mail'), publisher: 'alice', sequence: 1, lifeMs: HOUR, value };
  const records = valueRecords(named, recordSignature);
  let kept: number | undefined;
  ring.putValue(one!, records, ({ copies }) => {
    kept = copies;
  });
  ring.run(ring.now + MINUTE);
  t.equal(kept, 5);
  const most = Math.max(...ring.members.map(({ state }) => state.records.bytes));
  t.ok(most < 0.8 * 2 ** 20, `no member holds all of it: ${most} octets`);
  for (const member of ring.holdersOf(named.key, 4)) if (member !== other) ring.crash(member);
  ring.run(ring.now + MINUTE);

  const read = () => {
    let found: ValueDone | undefined;
    ring.getValue(other!, named, done => {
      found = done;
    });
    ring.run(ring.now + 2 * MINUTE);
    return found;
  };
  t.ok(read()?.value && value.equals(read()!.value!), 'octet for octet');
  for (const { state } of ring.members) state.records.drop(records[3]!);
  t.equal(read()?.failure, 'incomplete', 'a part is missing');
  for (const { state } of ring.members) state.records.drop(records.at(-1)!);
  t.equal(read()?.failure, 'absent');
});

test('a small value is one record; a larger one than a mebibyte is refused', async t => {
  const named = { key: idOf('note'), publisher: 'alice', sequence: 1, lifeMs: HOUR };
  t.equal(valueRecords({ ...named, value: new Uint8Array(100) }, () => '').length, 1);
  t.throws(() => valueRecords({ ...named, value: new Uint8Array(2 ** 20 + 1) }, () => ''), {
    code: 'VALUE_TOO_LARGE',
  });
  const ring = grown(6, 40);
  ring.putValue(
    ring.members[1]!,
    valueRecords({ ...named, value: Buffer.from('hi') }, recordSignature),
    () => undefined,
  );
  ring.run(ring.now + MINUTE);
  let text = '';
  ring.getValue(ring.members[2]!, named, ({ value = new Uint8Array() }) => {
    text = Buffer.from(value).toString();
  });
  ring.run(ring.now + MINUTE);
  t.equal(text, 'hi');
});
