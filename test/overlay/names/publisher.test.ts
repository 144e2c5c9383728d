import t from 'tap';
import { silentLogger } from '../../../src/core/logger.js';
import { issueDeviceCertificate } from '../../../src/identity/device-certificate.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import { StoredIdentity } from '../../../src/identity/stored-identity.js';
import { BindingPublisher, STOP_WITHIN_MS } from '../../../src/overlay/names/binding-publisher.js';
import { nameKey } from '../../../src/overlay/names/name-record.js';
import {
  LIFE_S,
  MAX_RETRY_MS,
  MAX_UNDER_WAY,
  newPublishing,
  stepPublishing,
  type WantedBinding,
} from '../../../src/overlay/names/publishing-machine.js';
import { recordIsSigned } from '../../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import type { RingAccess } from '../../../src/overlay/ring-access.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { SimulatedRing } from '../../../src/simulation/simulated-ring.js';
import { SimulatedRingAccess } from '../../../src/simulation/simulated-ring-access.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';
import { asker, during, FakeRing, OVERLAY, verifier } from './people.js';

const MINUTE = 60_000;

const at = (name: string, address: string, by: WantedBinding['by'] = 'user'): WantedBinding => ({
  name,
  by,
  contacts: [`sip:${name}@${address}`],
});

/** A phone that publishes, and how it is asked about. */
async function phone(ring: RingAccess, clock: VirtualClock, seed = 1, store = new MemoryStore()) {
  const random = new SeededRandom(seed);
  const identity = new StoredIdentity({ store, random });
  const user = new Ed25519Signer(new SeededRandom(99).bytes(32));
  const certificate = issueDeviceCertificate(user, {
    device: await identity.publicKey(),
    capabilities: ['reach', 'publish', 'read'],
    sequence: seed,
    lifetime: 86_400,
  });
  const publisher = new BindingPublisher({
    clock,
    random,
    logger: silentLogger,
    ring,
    overlay: OVERLAY,
    identity,
    proof: () => ({ certificate }),
  });
  const told: (readonly RingRecord[])[] = [];
  publisher.on('records', records => told.push(records));
  const problems: string[] = [];
  publisher.on('problem', error => problems.push(error.message));
  return { publisher, told, problems, identity };
}

async function whereabouts(ring: RingAccess, clock: VirtualClock, name = 'alice') {
  const { lookup } = await asker(clock, ring);
  const found = await during(clock, lookup.find(name));
  return found?.devices.flatMap(({ binding }) => binding.contacts) ?? [];
}

t.test(
  'a name is in the ring at once, anew at a change of address, and gone at the stop',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock);
    const { publisher, told } = await phone(ring, clock);
    publisher.update([at('Alice', '192.0.2.7')]);
    t.equal(ring.puts.length, 0, 'nothing before it starts');
    await publisher.start();
    await clock.advance(200);
    t.same(await whereabouts(ring, clock), ['sip:Alice@192.0.2.7']);
    t.equal(told.length, 1);
    t.ok(recordIsSigned(verifier, told[0]![0]!), 'and what an attached node sends along');

    publisher.update([at('Alice', '192.0.2.7')]);
    await clock.advance(MINUTE);
    t.equal(ring.puts.length, 1, 'the same is no news');
    publisher.update([at('Alice', '198.51.100.9')]);
    publisher.update([at('Alice', '198.51.100.10')]);
    await clock.advance(300);
    t.same(await whereabouts(ring, clock), ['sip:Alice@198.51.100.10'], 'the latest address');
    t.equal(publisher.records.length, 1);

    await during(clock, publisher.stop());
    t.same(await whereabouts(ring, clock), []);
    t.same(
      publisher.records.map(({ value }) => value),
      [undefined],
      'whoever it detaches from gets the tombstone',
    );
    t.equal(clock.pending, 0);
  },
);

t.test('a name lives for an hour, and is put again before half of it is over', async t => {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const { publisher } = await phone(ring, clock);
  publisher.update([at('alice', '192.0.2.7'), at('carol', '192.0.2.7:5060', 'voucher')]);
  await publisher.start();
  await clock.advance(24 * 60 * MINUTE);
  const puts = (name: string) => {
    const key = nameKey(name, OVERLAY);
    return ring.puts.filter(record => record.key === key).length;
  };
  t.ok(puts('alice') >= 48 && puts('alice') <= 61, `${puts('alice')} a day`);
  t.ok(
    puts('carol') >= 288 && puts('carol') <= 361,
    `${puts('carol')} a day for an ordinary phone`,
  );
  t.same(await whereabouts(ring, clock), ['sip:alice@192.0.2.7']);
  t.equal(
    new Set(ring.puts.map(record => `${record.key} ${record.sequence}`)).size,
    ring.puts.length,
  );

  // Dead: it takes nothing back.
  const dead = new FakeRing(clock);
  for (const record of publisher.records) await during(clock, dead.put(record));
  await clock.advance(LIFE_S.voucher * 1000);
  t.same(await whereabouts(dead, clock, 'carol'), [], 'who died is forgotten');
  t.equal((await whereabouts(dead, clock, 'alice')).length, 1);
  await clock.advance(LIFE_S.user * 1000);
  t.same(await whereabouts(dead, clock, 'alice'), []);
  await during(clock, publisher.stop());
});

t.test(
  'without a ring it goes on trying, ever more rarely, and at once when there is one',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock, 0);
    ring.failure = 'NO_RING';
    const { publisher, told, problems } = await phone(ring, clock);
    publisher.update([at('alice', '192.0.2.7')]);
    await publisher.start();
    await clock.advance(10 * MINUTE);
    const tries = ring.puts.length;
    t.ok(tries > 12 && tries < 22, `${tries} attempts in ten minutes`);
    t.equal(told.length, 1, 'attached to others it would be known all the while');
    t.same(problems, [], 'no ring yet is no problem');
    ring.failure = undefined;
    publisher.ringChanged();
    await clock.advance(100);
    t.equal(ring.puts.length, tries + 1);
    t.equal((await whereabouts(ring, clock)).length, 1);

    ring.silent = true;
    const stopped = publisher.stop();
    await clock.advance(STOP_WITHIN_MS);
    await stopped;
    t.equal(clock.pending, 0, 'who stops does not wait for a ring that is silent');
  },
);

t.test('a phone whose count of starts was lost goes on beyond its older records', async t => {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const store = new MemoryStore();
  for (let boot = 1; boot <= 5; boot++) {
    const before = await phone(ring, clock, 1, store);
    before.publisher.update([at('alice', '192.0.2.7')]);
    await before.publisher.start();
    await clock.advance(1000);
  }
  await store.delete('identity/boots');
  const { publisher, problems } = await phone(ring, clock, 1, store);
  publisher.update([at('alice', '198.51.100.1')]);
  await publisher.start();
  await clock.advance(10_000);
  t.same(await whereabouts(ring, clock), ['sip:alice@198.51.100.1']);
  t.match(problems, [/outdated/], 'told once');
});

t.test('names of hundreds of users are put a few at a time, and none is forgotten', t => {
  const state = newPublishing();
  const bindings = Array.from({ length: 300 }, (_, i) => at(`user${i}`, '192.0.2.7', 'voucher'));
  let underWay = stepPublishing(state, { type: 'want', bindings });
  const put = new Set<string>();
  while (underWay.length > 0) {
    const publishing = underWay.filter(action => action.type === 'publish');
    t.ok(publishing.length <= MAX_UNDER_WAY);
    underWay = publishing.flatMap(({ binding }) => {
      put.add(binding.name);
      return stepPublishing(state, { type: 'kept', name: binding.name, chance: 0.5 });
    });
    underWay = underWay.filter(action => action.type === 'publish');
  }
  t.equal(put.size, 300);
  t.end();
});

t.test('what is wanted no more is taken back, until that succeeds or it has run out', t => {
  const state = newPublishing();
  stepPublishing(state, { type: 'want', bindings: [at('alice', '192.0.2.7')] });
  t.same(stepPublishing(state, { type: 'want', bindings: [] }), [], 'one thing after the other');
  const actions = stepPublishing(state, { type: 'kept', name: 'alice', chance: 0 });
  t.match(actions.at(-1), { type: 'withdraw', name: 'alice', by: 'user' });
  let failures = 0;
  for (let last = ''; last !== 'forget'; failures++) {
    const after = stepPublishing(state, { type: 'failed', name: 'alice', chance: 0 });
    last = after.at(-1)?.type ?? '';
    stepPublishing(state, { type: 'timer', name: 'alice' });
  }
  t.equal(failures, (LIFE_S.user * 1000) / MAX_RETRY_MS);
  t.equal(state.entries.size, 0);
  t.throws(
    () => {
      const publisher = new BindingPublisher({} as never);
      publisher.update(Array.from({ length: 1001 }, () => at('a', '192.0.2.7')));
    },
    { code: 'TOO_MANY_NAMES' },
  );
  t.end();
});

t.test(
  'in a ring of twenty members two devices of a user are found, through the loss of three members',
  async t => {
    const clock = new VirtualClock();
    const simulated = new SimulatedRing({
      seed: 5,
      verifyRecord: record => recordIsSigned(verifier, record),
    });
    settle(simulated, { nodes: 20, routing: 'auto', member: {}, upkeep: true });
    const alive = () => simulated.members.find(member => member.alive)!;
    const ring = new SimulatedRingAccess(simulated, clock, alive);
    const desk = await phone(ring, clock, 1);
    const mobile = await phone(ring, clock, 2);
    desk.publisher.update([at('alice', '192.0.2.7')]);
    mobile.publisher.update([at('alice', '198.51.100.3')]);
    await desk.publisher.start();
    await mobile.publisher.start();
    await clock.advance(5000);
    const found = async () => (await whereabouts(ring, clock)).sort();
    t.same(await found(), ['sip:alice@192.0.2.7', 'sip:alice@198.51.100.3']);
    for (const holder of simulated.holdersOf(nameKey('alice', OVERLAY), 3)) simulated.crash(holder);
    await clock.advance(30_000);
    t.same(await found(), ['sip:alice@192.0.2.7', 'sip:alice@198.51.100.3']);
    await during(clock, mobile.publisher.stop());
    t.same(await found(), ['sip:alice@192.0.2.7'], 'one goes, the other stays');
    t.same([...simulated.violations.keys()], []);
  },
);
