import { parseUri, type SipUri } from '@sip-stack/parser';
import t from 'tap';
import type { CodedError } from '../../../src/core/errors.js';
import { silentLogger } from '../../../src/core/logger.js';
import {
  type Expulsion,
  issueEnrolment,
  issueExpulsions,
  MAX_EXPULSIONS,
} from '../../../src/identity/enrolment.js';
import { deviceIdOf } from '../../../src/identity/identity.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import { StoredIdentity } from '../../../src/identity/stored-identity.js';
import { StoredOverlay } from '../../../src/identity/stored-overlay.js';
import { StoredUser } from '../../../src/identity/stored-user.js';
import {
  expulsionRecord,
  expulsionSignature,
} from '../../../src/overlay/names/expulsion-record.js';
import { LOOK_AGAIN_MS } from '../../../src/overlay/names/look-again.js';
import { nameKey } from '../../../src/overlay/names/name-record.js';
import { OverlayNames } from '../../../src/overlay/names/overlay-names.js';
import { recordIsSigned, recordSignatureBy } from '../../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import type { RingAccess } from '../../../src/overlay/ring-access.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { SimulatedRing } from '../../../src/simulation/simulated-ring.js';
import { SimulatedRingAccess } from '../../../src/simulation/simulated-ring-access.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';
import { Village } from '../village.js';
import { during, FakeRing, verifier } from './people.js';

const never = new AbortController().signal;
const LIFETIME = 365 * 86_400;
const SOON_MS = 12_000;

type Listed = ReturnType<Office['list']>;

/** A private overlay: who has its key enrols and expels. */
class Office {
  readonly random: SeededRandom;
  readonly #enroller: Ed25519Signer;
  #sequence = 1;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.#enroller = new Ed25519Signer(this.random.bytes(32));
  }

  get overlay() {
    return { name: 'office', enrolmentKey: this.#enroller.publicKey };
  }

  enrol(name: string, user: Uint8Array): Uint8Array {
    const lifetime = LIFETIME;
    const sequence = this.#sequence++;
    const roles = ['user'];
    return issueEnrolment(this.#enroller, 'office', { name, user, roles, sequence, lifetime });
  }

  /** A list of these, and what makes it a record of the ring. */
  expel(...users: Uint8Array[]) {
    const sequence = this.#sequence++;
    return this.list(
      users.map(user => ({ user, sequence })),
      sequence,
    );
  }

  list(expelled: readonly Expulsion[], sequence: number) {
    const content = { expelled, sequence, lifetime: LIFETIME };
    const list = issueExpulsions(this.#enroller, 'office', content);
    const signature = expulsionSignature(this.#enroller, list, sequence);
    const record = expulsionRecord(this.overlay, list, content, signature);
    return { list, signature, record };
  }

  /** The phone of a user, with what it keeps. */
  async phone(clock: VirtualClock, ring: RingAccess, name: string, given?: MemoryStore) {
    const { random } = this;
    const store = given ?? new MemoryStore();
    const identity = new StoredIdentity({ store, random });
    const stored = new StoredUser({ store, random });
    const overlays = new StoredOverlay({ store, random });
    const { key } = (await stored.user()) ?? (await stored.make(name));
    if (!given) await overlays.join(this.enrol(name, key.publicKey), key.publicKey);
    const names = new OverlayNames({
      clock,
      random,
      logger: silentLogger,
      ring,
      identity,
      store: () => store,
      phoneName: name,
      self: () => ({ name, contacts: [`sip:${name}@10.0.0.1:5060`] }),
      reaches: async () => true,
      users: () => [],
    });
    const problems: string[] = [];
    names.on('problem', error => problems.push((error as CodedError).code));
    await names.start();
    const finds = async (who: string) => {
      const target = parseUri(`sip:${who}@office`) as SipUri;
      return (await during(clock, names.locate(target, never))).length > 0;
    };
    /** Number of the list it keeps; undefined where it keeps none. */
    const kept = async () => (await overlays.expulsions('office')).at(-1);
    return { names, store, user: key.publicKey, overlays, problems, finds, kept };
  }
}

t.test(
  'who is expelled is known to all, and says so; though the founder is off, and after restarts',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock);
    const office = new Office(1);
    const [founder, anna, ben] = [
      await office.phone(clock, ring, 'founder'),
      await office.phone(clock, ring, 'anna'),
      await office.phone(clock, ring, 'ben'),
    ];
    await clock.advance(SOON_MS);
    anna.names.met(parseUri('sip:ben@office'));
    await clock.advance(SOON_MS);
    t.ok(await anna.finds('ben'));

    // As `ringline overlay expel` does, beside the phone that runs.
    const { list, signature } = office.expel(ben.user);
    await founder.overlays.keepExpulsions('office', { list, signature });
    ring.failure = 'NO_ANSWER';
    t.ok(await anna.finds('ben'), 'anna has not heard of it yet, and knows where ben was');
    ring.failure = undefined;
    t.ok(await during(clock, founder.names.tellExpelled('office')));
    await during(clock, founder.names.stop());
    t.ok(await during(clock, anna.names.tellExpelled('office')));
    t.notOk(await during(clock, anna.names.tellExpelled('another')));
    ring.failure = 'NO_ANSWER';
    t.notOk(await anna.finds('ben'), 'nor is he called where he was known to be');
    ring.failure = undefined;
    await clock.advance(LOOK_AGAIN_MS);
    t.notOk(await anna.finds('ben'));
    t.same([anna.names.expelled, anna.problems], [false, []]);
    t.same([ben.names.expelled, ben.problems], [true, ['REVOKED']], 'told once');
    t.same(await anna.kept(), { list: Buffer.from(list), signature });

    // All super-nodes lose what they held, and those who were expelled come first.
    const empty = new FakeRing(clock);
    await during(clock, Promise.all([anna.names.stop(), ben.names.stop()]));
    const again = {
      ben: await office.phone(clock, empty, 'ben', ben.store),
      carol: await office.phone(clock, empty, 'carol'),
    };
    t.same(again.ben.problems, ['REVOKED'], 'at once, from what it keeps');
    await clock.advance(SOON_MS);
    t.equal(
      empty.puts.filter(put => put.signature === signature).length,
      1,
      'any phone puts it again',
    );
    await clock.advance(LOOK_AGAIN_MS);
    t.notOk(await again.carol.finds('ben'), 'who was never told learns it');

    // Enrolled again by a newer number.
    await again.ben.overlays.join(office.enrol('ben', ben.user), ben.user);
    await during(clock, again.ben.names.stop());
    const back = await office.phone(clock, empty, 'ben', ben.store);
    await clock.advance(SOON_MS);
    t.same([back.names.expelled, back.problems], [false, []]);
    t.ok(await again.carol.finds('ben'));
    await during(clock, Promise.all([back.names.stop(), again.carol.names.stop()]));
    t.equal(clock.pending, 0);
  },
);

t.test('an older list, a forged one and one of another overlay change nothing', async t => {
  const clock = new VirtualClock();
  const office = new Office(2);
  const ring = new FakeRing(clock);
  const anna = await office.phone(clock, ring, 'anna');
  const [ben, dora] = [
    await office.phone(clock, ring, 'ben'),
    await office.phone(clock, ring, 'dora'),
  ];
  const old = office.expel(dora.user);
  // Signed twice by one number, as by a key that lies on two devices: the greater signature counts.
  const [twin, now] = [[ben.user], [ben.user, office.random.bytes(32)]]
    .map(users =>
      office.list(
        users.map(user => ({ user, sequence: 8 })),
        8,
      ),
    )
    .sort((one, other) => (one.signature < other.signature ? -1 : 1)) as [Listed, Listed];
  await during(clock, ring.put(now.record));
  await clock.advance(LOOK_AGAIN_MS);
  t.same([ben.names.expelled, dora.names.expelled], [true, false]);

  // A ring that has forgotten all, where somebody replays what was signed before.
  const stranger = new Ed25519Signer(office.random.bytes(32));
  const forged = { ...office.list([], 9).record };
  const another = new FakeRing(clock);
  await during(clock, another.put(old.record));
  await t.rejects(
    during(clock, another.put({ ...forged, sequence: 10 })),
    { code: 'NOT_KEPT' },
    'not even held',
  );
  const theirs = { ...forged, publisher: deviceIdOf(stranger.publicKey) };
  const crowd = { ...theirs, signature: recordSignatureBy(stranger, theirs) };
  await during(clock, another.put(crowd));
  await during(clock, anna.names.stop());
  const later = await office.phone(clock, another, 'anna', anna.store);
  await clock.advance(SOON_MS);
  t.same(await later.kept(), { list: Buffer.from(now.list), signature: now.signature });
  const [held] = await during(clock, another.get(now.record.key));
  t.equal(held?.signature, now.signature, 'the newer took its place');

  // Who answers for the ring makes something up.
  const lying = (record: RingRecord): RingAccess => ({
    get: async () => [record],
    put: async () => 1,
  });
  for (const lie of [
    twin.record,
    crowd,
    { ...now.record, sequence: 99 },
    { ...now.record, sequence: 99, publisher: theirs.publisher, signature: theirs.signature },
    { ...new Office(3).list([], 99).record },
    { ...new Office(3).list([], 99).record, key: now.record.key, publisher: now.record.publisher },
    { ...office.list([], 99).record, value: undefined },
  ]) {
    await during(clock, later.names.stop());
    const lied = await office.phone(clock, lying(lie), 'anna', anna.store);
    await clock.advance(SOON_MS);
    t.same(await lied.kept(), { list: Buffer.from(now.list), signature: now.signature });
    await during(clock, lied.names.stop());
  }
  await during(clock, Promise.all([ben.names.stop(), dora.names.stop()]));
});

t.test(
  'phones that know different lists agree on the newest, and on one of two of the same number',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock);
    const office = new Office(4);
    const phones = [
      await office.phone(clock, ring, 'anna'),
      await office.phone(clock, ring, 'ben'),
      await office.phone(clock, ring, 'carol'),
    ];
    const users = phones.map(({ user }) => user);
    const older = office.expel(users[0]!);
    const twins = [1, 2].map(i => office.list([{ user: users[i]!, sequence: 7 }], 7));
    for (const [i, list] of [older, ...twins].entries()) {
      await phones[i]!.overlays.keepExpulsions('office', list);
    }
    await clock.advance(3 * LOOK_AGAIN_MS);
    const kept = await Promise.all(phones.map(phone => phone.kept()));
    const [first] = kept;
    t.ok(twins.some(({ signature }) => signature === first?.signature));
    for (const each of kept) t.equal(each?.signature, first?.signature);
    const expelled = phones.map(({ names }) => names.expelled);
    t.equal(expelled.filter(Boolean).length, 1);
    const before = ring.puts.length;
    await clock.advance(3 * LOOK_AGAIN_MS);
    const lists = ring.puts.slice(before).filter(({ key }) => key === older.record.key);
    t.same(lists, [], 'and nobody puts anything more');
    await during(clock, Promise.all(phones.map(({ names }) => names.stop())));
  },
);

t.test('nothing crowds the list out of its place in the ring', async t => {
  const clock = new VirtualClock();
  const office = new Office(5);
  const ring = new SimulatedRing({
    seed: 5,
    verifyRecord: record => recordIsSigned(verifier, record),
  });
  settle(ring, { nodes: 20, routing: 'auto', member: {}, upkeep: true });
  const access = (member: number) =>
    new SimulatedRingAccess(ring, clock, () => ring.members[member]!);
  const { record } = office.list(
    Array.from({ length: MAX_EXPULSIONS }, (_, i) => ({
      user: office.random.bytes(32),
      sequence: 2 ** 31 + i,
    })),
    2 ** 31 + MAX_EXPULSIONS,
  );
  const refused: string[] = [];
  const flood = async (from: number) => {
    for (let i = 0; i < 100; i++) {
      const device = new Ed25519Signer(office.random.bytes(32));
      const value = office.random.bytes(30_000);
      const publisher = deviceIdOf(device.publicKey);
      const made = { key: record.key, publisher, sequence: i, lifeMs: 86_400_000, value };
      const signature = recordSignatureBy(device, made);
      const put = access(from).put({ ...made, ageMs: 0, signature });
      await during(
        clock,
        put.catch((error: CodedError) => refused.push(error.message)),
      );
    }
  };
  await flood(1);
  const strangers = await during(clock, access(4).get(record.key));
  t.equal(strangers.length, 25, 'as many as there is room for under one key');
  t.ok(refused.length === 75 && refused.every(message => message.endsWith('full')));
  t.ok((record.value?.length ?? 0) > 40_000, 'a list of the largest size');
  t.equal(await during(clock, access(7).put(record)), 5);
  await flood(2);
  const found = await during(clock, access(11).get(record.key));
  t.same(
    found.map(({ signature }) => signature),
    [record.signature],
  );
});

t.test('a list of the largest size goes from node to node by their super-nodes', async t => {
  const village = new Village(31);
  const office = new Office(6);
  for (let i = 1; i <= 3; i++) await village.add(`10.0.0.${i}`);
  const [first, ...others] = village.devices.map(({ overlay }) => overlay);
  await village.during(first!.promote());
  await village.until(() => others.every(({ status }) => status.superNode !== undefined), 60_000);
  const [founder, ben, anna] = [
    await office.phone(village.clock, others[0]!, 'founder'),
    await office.phone(village.clock, others[1]!, 'ben'),
    await office.phone(village.clock, first!, 'anna'),
  ];
  const rest = Array.from({ length: MAX_EXPULSIONS - 1 }, () => office.random.bytes(32));
  const { list, signature } = office.expel(ben.user, ...rest);
  await founder.overlays.keepExpulsions('office', { list, signature });
  const from = village.clock.now();
  await village.until(() => ben.names.expelled, 2 * LOOK_AGAIN_MS);
  t.comment(`${list.length} octets, after ${Math.round((village.clock.now() - from) / 1000)} s`);
  await village.until(() => anna.names.expelled === false, 0);
  await village.clock.advance(LOOK_AGAIN_MS);
  t.equal((await anna.kept())?.signature, signature);
  const asked = await village.during(first!.get(nameKey('ben', 'office')));
  t.equal(asked.length, 1, 'its name is there still');
  t.notOk(await anna.finds('ben'), 'and leads nowhere');
  for (const { names } of [founder, ben, anna]) await village.during(names.stop());
  await village.stop();
});
