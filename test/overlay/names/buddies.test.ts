import { parseUri, type SipUri } from '@sip-stack/parser';
import t from 'tap';
import { silentLogger } from '../../../src/core/logger.js';
import { Buddies } from '../../../src/overlay/names/buddies.js';
import {
  BETWEEN_MS,
  LATELY,
  MAX_BUDDIES,
  newBuddies,
  REFRESH_MS,
  stepBuddies,
} from '../../../src/overlay/names/buddies-machine.js';
import { RingLocator } from '../../../src/overlay/names/ring-locator.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';
import { asker, during, FakeRing, OVERLAY, recordOf, type Someone, someone } from './people.js';

const MINUTE = 60_000;
const never = new AbortController().signal;

class CountingStore extends MemoryStore {
  written = 0;
  override async set(...given: Parameters<MemoryStore['set']>): Promise<void> {
    this.written++;
    await super.set(...given);
  }
}

async function village(seed = 1) {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const random = new SeededRandom(seed);
  const store = new CountingStore();
  const { lookup, pins } = await asker(clock, ring);
  const options = { clock, random, logger: silentLogger, store, overlay: OVERLAY, lookup, pins };
  const buddies = new Buddies(options);
  const locator = new RingLocator({ ...options, people: buddies, reaches: async () => true });
  await buddies.start();
  let sequence = 0;
  const put = (who: Someone, name: string, at: string, lifetime = 86_400) =>
    during(
      clock,
      ring.put(recordOf(who.devices[0]!, name, at, { sequence: sequence++, lifetime })),
    );
  const locate = (name: string) =>
    during(clock, locator.locate(parseUri(`sip:${name}@local`) as SipUri, never));
  return { clock, ring, random, store, buddies, locate, put, options, pins };
}

t.test('whom one has talked to is called again without a question to the ring', async t => {
  const { clock, ring, random, buddies, locate, put, pins } = await village();
  const alice = someone(random);
  await put(alice, 'alice', '192.0.2.7');
  const [first] = await locate('alice');
  t.equal(ring.asked.length, 1, 'the first time it is asked');
  t.equal(first?.remembered, undefined);
  first?.answered?.();
  await clock.advance(5 * MINUTE);
  t.same(pins.pinned('alice')?.user, Buffer.from(alice.user.publicKey), 'and the key is pinned');

  for (let hour = 0; hour < 3; hour++) {
    await clock.advance(60 * MINUTE);
    const before = ring.asked.length;
    const began = clock.now();
    const [place] = await locate('alice');
    t.equal(ring.asked.length - before, 0, 'requests to the ring at call time');
    t.equal(clock.now() - began, 0, 'and no wait');
    t.equal(place?.endpoint.address, '192.0.2.7');
    t.equal(place?.remembered, true);
  }
  await put(alice, 'alice', '198.51.100.9');
  await clock.advance(REFRESH_MS.lately[1]);
  t.equal(
    (await locate('alice'))[0]?.endpoint.address,
    '198.51.100.9',
    'one who moves is followed',
  );
  await buddies.stop();
  t.equal(clock.pending, 0);
});

t.test(
  'where nobody answers at a remembered place, the ring is asked, and told of again',
  async t => {
    const { clock, ring, random, locate, put } = await village();
    const alice = someone(random);
    await put(alice, 'alice', '192.0.2.7');
    (await locate('alice'))[0]?.answered?.();
    await clock.advance(MINUTE);
    await put(alice, 'alice', '198.51.100.9');
    const [stale] = await locate('alice');
    t.equal(stale?.endpoint.address, '192.0.2.7', 'it moved a moment ago');
    const before = ring.asked.length;
    stale?.unreached?.();
    const [now] = await locate('alice');
    t.equal(now?.endpoint.address, '198.51.100.9');
    t.ok(ring.asked.length > before);
    t.equal((await locate('alice'))[0]?.remembered, true, 'known again');
  },
);

t.test('while the ring is silent, who was known is still called where they were', async t => {
  const { clock, ring, random, locate, put } = await village();
  const alice = someone(random);
  await put(alice, 'alice', '192.0.2.7', 3600);
  (await locate('alice'))[0]?.answered?.();
  await clock.advance(MINUTE);
  ring.failure = 'NO_RING';
  await clock.advance(30 * MINUTE);
  t.equal((await locate('alice'))[0]?.endpoint.address, '192.0.2.7');
  await clock.advance(60 * MINUTE);
  t.same(await locate('alice'), [], 'until what was published there has run out');
});

t.test('a hundred buddies: the ring is asked in turn, those met lately more often', async t => {
  const { clock, ring, random, buddies, put } = await village();
  const person = someone(random);
  for (let i = 0; i < MAX_BUDDIES + 5; i++) {
    await put(person, `p${i}`, '192.0.2.7');
    buddies.met(`p${i}`);
  }
  t.equal(buddies.names.length, MAX_BUDDIES);
  t.notOk(buddies.names.includes('p4'), 'whoever was met longest ago is forgotten');
  await clock.advance(10 * MINUTE);
  ring.asked.length = 0;
  let most = 0;
  let fresh = 0;
  for (let minute = 0; minute < 60; minute++) {
    const before = ring.asked.length;
    await clock.advance(MINUTE);
    most = Math.max(most, ring.asked.length - before);
    fresh += buddies.names.filter(name => buddies.known(name)).length;
  }
  t.equal(fresh, 60 * MAX_BUDDIES, 'all are known all the time');
  const perMinute = ring.asked.length / 60;
  t.comment(`${perMinute} look-ups a minute, ${most} at most`);
  t.ok(perMinute > 15 && perMinute < 25, `${perMinute} look-ups a minute`);
  t.ok(most <= MINUTE / BETWEEN_MS / 2, `${most} in one minute`);
  await buddies.stop();
});

t.test('who calls over and over, under many names, displaces nobody that was called', async t => {
  const { store, buddies } = await village();
  for (let i = 0; i < 30; i++) buddies.met(`friend${i}`);
  for (let i = 0; i < 500; i++) buddies.met(`stranger${i}`, true);
  const friends = buddies.names.slice(-30);
  t.ok(
    friends.every(name => name.startsWith('friend')),
    'they are those met last',
  );
  t.equal(buddies.names.length, MAX_BUDDIES);
  store.written = 0;
  for (let i = 0; i < 500; i++) buddies.met(`more${i}`, true);
  t.equal(store.written, 0, 'and the card is spared');
  for (let i = 30; i < 80; i++) buddies.met(`friend${i}`);
  t.equal(buddies.names.filter(name => name.startsWith('friend')).length, 80);
  await buddies.stop();
});

t.test(
  'after a restart they are known again, and calling them often does not wear the card',
  async t => {
    const { clock, random, store, buddies, put, options, locate } = await village();
    const person = someone(random);
    for (let i = 0; i < 5; i++) {
      await put(person, `p${i}`, `192.0.2.${i}`);
      buddies.met(`p${i}`);
    }
    await clock.advance(MINUTE);
    store.written = 0;
    for (let i = 0; i < 500; i++) {
      const [place] = await locate(`p${i % 5}`);
      place?.answered?.();
      buddies.met(`P${i % 5}`);
    }
    await clock.advance(MINUTE);
    t.ok(store.written <= 10, `${store.written} writes for a thousand calls`);
    await buddies.stop();
    const again = new Buddies(options);
    await again.start();
    t.same([...again.names].sort(), ['p0', 'p1', 'p2', 'p3', 'p4']);
    await clock.advance(10_000);
    t.equal(again.names.filter(name => again.known(name)).length, 5);
    await again.stop();
    await store.set((await store.keys('buddies/'))[0]!, { names: [7, 'a  b', 'Bob', 'bob'] });
    await again.start();
    t.same(again.names, ['bob'], 'what is no name is passed over');
    await again.stop();
  },
);

t.test('one look-up at a time, and none sooner than a second after the last', t => {
  const state = newBuddies();
  const names = Array.from({ length: LATELY }, (_, i) => `p${i}`);
  const at = (now: number) => ({ now, chance: 0.5 });
  const first = stepBuddies(state, { type: 'load', names, ...at(0) });
  t.same(first, [{ type: 'look-up', name: `p${LATELY - 1}` }], 'whoever was met last');
  t.same(stepBuddies(state, { type: 'timer', ...at(5000) }), [], 'as long as it takes');
  t.same(stepBuddies(state, { type: 'doubted', name: 'p3', ...at(6000) }), []);
  const failed = { type: 'failed', name: `p${LATELY - 1}` } as const;
  t.same(stepBuddies(state, { ...failed, ...at(200) }), [{ type: 'set-timer', ms: 800 }]);
  t.match(stepBuddies(state, { type: 'timer', ...at(1000) }), [{ type: 'look-up' }]);
  t.end();
});
