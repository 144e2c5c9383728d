import { formatUri, parseUri, type SipUri, type Uri } from '@sip-stack/parser';
import t from 'tap';
import type { Call } from '../../../src/calling/call.js';
import type { CodedError } from '../../../src/core/errors.js';
import { silentLogger } from '../../../src/core/logger.js';
import { type CborValue, decodeCbor } from '../../../src/identity/cbor.js';
import { deviceIdOf } from '../../../src/identity/identity.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import { StoredIdentity } from '../../../src/identity/stored-identity.js';
import { StoredOverlay } from '../../../src/identity/stored-overlay.js';
import { StoredUser } from '../../../src/identity/stored-user.js';
import { LOOK_AGAIN_MS } from '../../../src/overlay/names/look-again.js';
import { nameKey } from '../../../src/overlay/names/name-record.js';
import { OverlayNames } from '../../../src/overlay/names/overlay-names.js';
import { DEFAULT_OVERLAY, readyOwnUser } from '../../../src/overlay/names/own-user.js';
import { recordIsSigned } from '../../../src/overlay/ring/record-signature.js';
import type { RingRecord } from '../../../src/overlay/ring/records.js';
import type { RingAccess } from '../../../src/overlay/ring-access.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { settle } from '../../../src/simulation/settled-ring.js';
import { Simulation } from '../../../src/simulation/simulated-phones.js';
import { SimulatedRing } from '../../../src/simulation/simulated-ring.js';
import { SimulatedRingAccess } from '../../../src/simulation/simulated-ring-access.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';
import { during, FakeRing, verifier } from './people.js';

const MINUTE = 60_000;
const never = new AbortController().signal;

interface PhoneOptions {
  readonly name: string;
  readonly address: string;
  readonly store?: MemoryStore;
  readonly users?: () => { name: string; contacts: string[] }[];
}

/** The names of a phone that has been told nothing but what it is called. */
function namesOf(clock: VirtualClock, ring: RingAccess, seed: number, options: PhoneOptions) {
  const { name, address, store = new MemoryStore(), users = () => [] } = options;
  const random = new SeededRandom(seed);
  const identity = new StoredIdentity({ store, random });
  const self = { name, contacts: [`sip:${name}@${address}:5060`] };
  const names = new OverlayNames({
    clock,
    random,
    logger: silentLogger,
    ring,
    identity,
    store: () => store,
    phoneName: name,
    self: () => self,
    reaches: async () => true,
    users,
  });
  const overlay = {
    address: () => names.address,
    calledUs: (who: Uri) => names.met(who, true),
  };
  return { names, self, store, random, overlay };
}

function follow(call: Call): string[] {
  const phases: string[] = [];
  call.on('phase', phase => phases.push(phase));
  call.once('ended', end => phases.push(end.code));
  return phases;
}

t.test(
  'phones that were told nothing call each other through a ring; the second call asks nobody',
  async t => {
    const world = new Simulation({ seed: 2 });
    const { clock } = world;
    const simulated = new SimulatedRing({
      seed: 5,
      verifyRecord: record => recordIsSigned(verifier, record),
    });
    settle(simulated, { nodes: 20, routing: 'auto', member: {}, upkeep: true });
    let asked = 0;
    const access = (member: number): RingAccess => {
      const ring = new SimulatedRingAccess(simulated, clock, () => simulated.members[member]!);
      return {
        get: key => {
          asked++;
          return ring.get(key);
        },
        put: record => ring.put(record),
      };
    };
    const [anna, bob] = [
      namesOf(clock, access(3), 31, { name: 'anna', address: '10.0.0.1' }),
      namesOf(clock, access(11), 32, { name: 'bob', address: '10.0.0.2' }),
    ];
    for (const { names } of [anna, bob]) await names.start();
    const annasPhone = await world.addPhone('anna', '10.0.0.1', { overlay: anna.overlay });
    const bobsPhone = await world.addPhone('bob', '10.0.0.2', {
      locator: bob.names,
      overlay: bob.overlay,
    });
    annasPhone.person.attend(call => call.answer());
    await clock.advance(5000);
    t.equal(bob.names.overlay, DEFAULT_OVERLAY);

    const first = bobsPhone.calls.dial('sip:anna@ringline');
    const phases = follow(first);
    await clock.advance(5000);
    t.same(phases.at(-1), 'connected');
    t.equal(first.location?.source, 'ring');
    t.same(bob.names.buddies, ['anna']);
    const [taken] = annasPhone.calls.current;
    t.equal(
      taken?.remoteUri && formatUri(taken.remoteUri),
      'sip:bob@ringline',
      'who calls says so',
    );
    t.same(anna.names.buddies, ['bob'], 'and is known to whom was called');
    first.hangUp();
    await clock.advance(10 * MINUTE);

    const before = asked;
    const began = clock.now();
    const second = bobsPhone.calls.dial('sip:anna@ringline');
    let connectedAfter = Number.POSITIVE_INFINITY;
    second.on('phase', phase => {
      if (phase === 'connected') connectedAfter = clock.now() - began;
    });
    await clock.advance(500);
    t.equal(second.phase, 'connected');
    t.equal(asked - before, 0, 'requests to the ring at call time');
    t.comment(`the call to a buddy was connected after ${Math.round(connectedAfter)} ms`);
    second.hangUp();

    await clock.advance(MINUTE);
    // Anna's phone moves; whoever calls where she was is led to where she is, within the call.
    const moved = await world.addPhone('anna', '10.0.0.7');
    moved.person.attend(call => call.answer());
    world.network.setLink('10.0.0.1', false);
    Object.assign(anna.self, { contacts: ['sip:anna@10.0.0.7:5060'] });
    anna.names.changed();
    await clock.advance(1000);
    const third = bobsPhone.calls.dial('sip:anna@ringline');
    await clock.advance(8000);
    t.equal(third.phase, 'connected');
    t.equal(third.location?.endpoint.address, '10.0.0.7');
    await Promise.all([world.stop(), during(clock, anna.names.stop(), 10 * MINUTE)]);
    await during(clock, bob.names.stop());
  },
);

t.test(
  'a phone publishes its name and those of its users, and says so to whom it attaches to',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock);
    const users = [{ name: 'carol', contacts: ['sip:carol@10.0.0.1:5060'] }];
    const { names, self } = namesOf(clock, ring, 1, {
      name: 'kitchen',
      address: '10.0.0.1',
      users: () => users,
    });
    const told: (readonly RingRecord[])[] = [];
    names.on('records', records => told.push(records));
    await names.start();
    await clock.advance(1000);
    const keys = (records: readonly RingRecord[]) => records.map(({ key }) => key).sort();
    const keyOf = (name: string) => nameKey(name, DEFAULT_OVERLAY);
    t.same(keys(names.records), [keyOf('kitchen'), keyOf('carol')].sort());
    t.same(keys(told.at(-1) ?? []), keys(names.records));

    users.splice(0);
    Object.assign(self, { name: 'kitchen-2' });
    names.changed();
    await clock.advance(1000);
    t.same(keys(names.records), [keyOf('kitchen-2')], 'renamed, and without users');
    const asked = namesOf(clock, ring, 9, { name: 'bob', address: '10.0.0.2' });
    await asked.names.start();
    const find = async (name: string) => {
      const target = parseUri(`sip:${name}@local`) as SipUri;
      const found = await during(clock, asked.names.locate(target, never));
      return found.map(({ uri }) => formatUri(uri));
    };
    t.same(await find('kitchen'), []);
    t.same(await find('carol'), []);
    t.same(await find('Kitchen-2'), ['sip:kitchen@10.0.0.1:5060']);
    asked.names.met(parseUri('sip:kitchen-2@Ringline'));
    asked.names.met(parseUri('sip:someone@example.net'));
    t.same(asked.names.buddies, ['kitchen-2'], 'only people of this overlay');
    await during(clock, Promise.all([names.stop(), asked.names.stop()]));
    t.same(
      names.records.map(({ value }) => value),
      [undefined],
      'tombstones for who it detaches from',
    );
    t.same(await asked.names.locate(parseUri('sip:bob@local') as SipUri, never), [], 'stopped');
    t.equal(clock.pending, 0);
  },
);

t.test('without a ring names wait for one', async t => {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  ring.failure = 'NO_RING';
  const { names } = namesOf(clock, ring, 1, { name: 'kitchen', address: '10.0.0.1' });
  await names.start();
  await clock.advance(MINUTE);
  const target = parseUri('sip:anna@local') as SipUri;
  t.same(await during(clock, names.locate(target, never)), []);
  ring.failure = undefined;
  const before = ring.puts.length;
  names.ringChanged();
  await clock.advance(200);
  t.equal(ring.puts.length, before + 1, 'at once when there is one');
  await during(clock, names.stop());
});

t.test(
  'a phone makes itself a user where it needs one, once, and never in a private overlay',
  async t => {
    const store = new MemoryStore();
    const random = new SeededRandom(4);
    const identity = new StoredIdentity({ store, random });
    const options = { store, random, identity, phoneName: 'kitchen' };
    const first = await readyOwnUser(options);
    t.same([first.overlay.name, first.name], [DEFAULT_OVERLAY, undefined]);
    t.same(await readyOwnUser(options), first, 'the same after a restart');
    const made = await new StoredUser({ store, random }).certified();
    t.same(made?.capabilities, ['reach', 'publish', 'read']);

    const given = new MemoryStore();
    await new StoredUser({ store: given, random }).make('anna');
    const hers = {
      ...options,
      store: given,
      identity: new StoredIdentity({ store: given, random }),
    };
    t.equal((await readyOwnUser(hers)).name, 'anna', 'a user that was there is whom it speaks for');

    const office = new StoredOverlay({ store: given, random });
    const user = (await new StoredUser({ store: given, random }).user())!;
    await office.create('office', 'correct horse battery');
    const enrolment = await office.enrol('office', 'correct horse battery', {
      name: 'anna.b',
      user: user.key.publicKey,
      roles: ['user'],
    });
    await office.join(enrolment, user.key.publicKey);
    const enrolled = await readyOwnUser(hers);
    t.same([enrolled.overlay.name, enrolled.name], ['office', 'anna.b']);
    t.ok(enrolled.proof.enrolment);

    const stranger = new MemoryStore();
    const other = new StoredOverlay({ store: stranger, random });
    await other.join(enrolment, user.key.publicKey);
    const key = new Ed25519Signer(random.bytes(32)).publicKey;
    const uncertified = { ...options, store: stranger, identity: { publicKey: async () => key } };
    await t.rejects(readyOwnUser(uncertified), { code: 'NOT_CERTIFIED', remedy: /user certify/ });
    t.equal(await new StoredUser({ store: stranger, random }).user(), undefined);
  },
);

t.test('a device that was taken back is called no more by anybody, and is told so', async t => {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const desk = namesOf(clock, ring, 51, { name: 'anna', address: '10.0.0.1' });
  const lost = namesOf(clock, ring, 52, { name: 'anna', address: '10.0.0.2' });
  const other = namesOf(clock, ring, 53, { name: 'bob', address: '10.0.0.3' });
  // Her key lies on the desk; the mobile has its certificate alone.
  const anna = new StoredUser(desk);
  await anna.make('anna');
  const mobile = await new StoredIdentity(lost).publicKey();
  await new StoredUser(lost).accept(await anna.certify(mobile, ['reach']), mobile);
  const problems: string[] = [];
  lost.names.on('problem', error => problems.push((error as CodedError).code));
  for (const { names } of [desk, lost, other]) await names.start();
  await clock.advance(1000);
  const hosts = async () => {
    const target = parseUri('sip:anna@ringline') as SipUri;
    const found = await during(clock, other.names.locate(target, never));
    return found.map(({ endpoint }) => endpoint.address).sort();
  };
  t.same(await hosts(), ['10.0.0.1', '10.0.0.2']);

  await anna.revoke(deviceIdOf(mobile));
  await clock.advance(LOOK_AGAIN_MS + 1000);
  t.same(problems, [], 'who has not heard yet goes on');
  // Whoever asks, as each phone does for its own names, learns it from the record of the desk.
  await clock.advance(LOOK_AGAIN_MS + 1000);
  t.same(await hosts(), ['10.0.0.1']);
  t.same(problems, ['REVOKED']);
  const list = await anna.list();
  t.same(await new StoredUser(lost).list(), list, 'kept where it was heard of');

  // The ring forgets the desk: the list holds where it came, after a restart too.
  await during(clock, desk.names.stop());
  t.same(await hosts(), []);
  await during(clock, lost.names.stop());
  const again = namesOf(clock, ring, 54, { name: 'anna', address: '10.0.0.2', store: lost.store });
  await again.names.start();
  await clock.advance(1000);
  const [record] = await during(clock, ring.get(nameKey('anna', DEFAULT_OVERLAY)));
  const value = decodeCbor(record?.value ?? new Uint8Array(), { octets: 9999, depth: 1, items: 9 });
  t.same(value.ok && (value.value as CborValue[])[3], list, 'it says so itself');
  await during(clock, Promise.all([again.names.stop(), other.names.stop()]));
  t.equal(clock.pending, 0);
});

t.test(
  'that a device was taken back is heard also where somebody else claims its name',
  async t => {
    const clock = new VirtualClock();
    const ring = new FakeRing(clock);
    const desk = namesOf(clock, ring, 61, { name: 'anna', address: '10.0.0.1' });
    const lost = namesOf(clock, ring, 62, { name: 'anna', address: '10.0.0.2' });
    const rival = namesOf(clock, ring, 63, { name: 'anna', address: '10.0.0.3' });
    const anna = new StoredUser(desk);
    await anna.make('anna');
    const mobile = await new StoredIdentity(lost).publicKey();
    await new StoredUser(lost).accept(await anna.certify(mobile, ['reach']), mobile);
    const problems = new Set<string>();
    lost.names.on('problem', error => problems.add((error as CodedError).code));
    for (const { names } of [desk, lost, rival]) await names.start();
    await clock.advance(1000);
    await anna.revoke(deviceIdOf(mobile));
    await clock.advance(2 * LOOK_AGAIN_MS + 2000);
    t.same([...problems].sort(), ['NAME_CLASH', 'REVOKED']);
    await during(clock, Promise.all([desk, lost, rival].map(({ names }) => names.stop())));
  },
);

t.test('a cable that is out takes no name back', async t => {
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const { names, self } = namesOf(clock, ring, 41, { name: 'anna', address: '10.0.0.1' });
  await during(clock, names.start());
  await clock.advance(1000);
  const key = nameKey('anna', DEFAULT_OVERLAY);
  const [before] = await during(clock, ring.get(key));
  t.ok(before?.value);
  const [contact = ''] = self.contacts.splice(0);
  names.changed();
  await clock.advance(5000);
  self.contacts.push(contact);
  names.changed();
  await clock.advance(5000);
  const [after] = await during(clock, ring.get(key));
  t.equal(after?.sequence, before?.sequence, 'it is the same record');
  await during(clock, names.stop());
});
