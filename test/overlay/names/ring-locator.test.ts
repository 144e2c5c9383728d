import { formatUri, parseUri, type SipUri } from '@sip-stack/parser';
import t from 'tap';
import { silentLogger } from '../../../src/core/logger.js';
import { FirstToKnow } from '../../../src/discovery/first-to-know.js';
import type { Location, Locator } from '../../../src/discovery/locator.js';
import { MAX_CONTACTS } from '../../../src/identity/binding.js';
import { Enrolments, issueEnrolment } from '../../../src/identity/enrolment.js';
import { deviceIdOf } from '../../../src/identity/identity.js';
import { Ed25519Signer } from '../../../src/identity/signing.js';
import { contactsAt, placesOf, type Way, withPhones } from '../../../src/overlay/names/contacts.js';
import { type FoundName, RING_WITHIN_MS } from '../../../src/overlay/names/name-lookup.js';
import {
  type KnownPeople,
  MAX_DEVICES_CALLED,
  RingLocator,
} from '../../../src/overlay/names/ring-locator.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import {
  asker,
  type Device,
  during,
  FakeRing,
  OVERLAY,
  recordOf,
  someone,
  verifier,
} from './people.js';

const never = new AbortController().signal;
const uri = (text: string) => parseUri(text) as SipUri;

class Nobody implements KnownPeople {
  readonly talkedTo: FoundName[] = [];
  readonly doubted: string[] = [];
  known() {
    return undefined;
  }
  lastKnown() {
    return undefined;
  }
  told() {}
  doubt(name: string) {
    this.doubted.push(name);
  }
  talked(found: FoundName) {
    this.talkedTo.push(found);
  }
}

async function village(
  more: {
    enrolments?: Enrolments;
    ownDeviceId?: string;
    reaches?: (address: string) => Promise<boolean>;
  } = {},
) {
  const { reaches = async () => true } = more;
  const clock = new VirtualClock();
  const ring = new FakeRing(clock);
  const random = new SeededRandom(21);
  const at = await asker(clock, ring, more);
  const people = new Nobody();
  const { lookup } = at;
  const locator = new RingLocator({
    overlay: OVERLAY,
    logger: silentLogger,
    lookup,
    people,
    reaches,
  });
  const put = (...records: Parameters<FakeRing['put']>[0][]) =>
    during(clock, Promise.all(records.map(record => ring.put(record))));
  const locate = (target: string) => during(clock, locator.locate(uri(target), never));
  const places = async (target: string) =>
    (await locate(target)).map(({ uri: to, source }) => `${source} ${formatUri(to)}`).sort();
  return { ring, random, ...at, people, locator, put, locate, places };
}

t.test(
  'a name is found at all devices of the person, by the overlay or as if it were here',
  async t => {
    const { random, put, places, locate, people } = await village();
    const alice = someone(random, 2);
    const [desk, mobile] = [alice.devices[0]!, alice.devices[1]!];
    await put(
      recordOf(desk, 'alice', '192.0.2.7:5070', {
        contacts: [
          'sip:alice@192.0.2.7:5070',
          'sip:alice@192.0.2.7:5071;transport=tls',
          'sip:alice@host.example.net',
          'mailto:alice@example.net',
          'nonsense',
        ],
      }),
      recordOf(mobile, 'alice', '198.51.100.3'),
    );
    const all = ['ring sip:alice@192.0.2.7:5070', 'ring sip:alice@198.51.100.3'];
    t.same(await places('sip:alice@local'), all);
    t.same(await places('sip:ALICE@Ringline'), all);
    t.same(await places('sips:alice@local'), ['ring sips:alice@192.0.2.7:5071']);
    t.same(await places('sip:alice@local;transport=tls'), [
      'ring sip:alice@192.0.2.7:5071;transport=tls',
    ]);
    t.same(await places('sip:alice@local;transport=tcp'), [], 'they take no TCP');
    for (const other of [
      'sip:alice@example.net',
      'sip:zoe@local',
      'sip:local',
      'sip:alice@local:5060',
    ]) {
      t.same(await places(other), [], other);
    }
    const found = await locate('sip:alice@local');
    t.same([...new Set(found.map(({ device }) => device))].sort(), [desk.id, mobile.id].sort());
    found[0]?.unreached?.();
    found[0]?.answered?.();
    t.same(people.doubted, ['alice']);
    t.same(
      people.talkedTo.map(({ name }) => name),
      ['alice'],
    );
  },
);

t.test('all ways to a phone are told, address by address, and the one that fits is taken', t => {
  const ways = (address: string, ...more: Way[]): Way[] => [
    { protocol: 'UDP', endpoint: { address, port: 5060 } },
    { protocol: 'TCP', endpoint: { address, port: 5060 } },
    { protocol: 'TLS', endpoint: { address, port: 5061 } },
    { protocol: 'WSS', endpoint: { address, port: 443 } },
    ...more,
  ];
  const found = (contacts: readonly string[], target: string) =>
    placesOf(contacts, uri(target)).map(({ endpoint, target: by }) => {
      return `${by?.protocol} ${endpoint.address} ${endpoint.port}`;
    });
  const both = [...ways('192.0.2.7'), ...ways('2001:db8::7'), ...ways('fe80::7')];
  const contacts = contactsAt('alice', both);
  t.same(contacts, [
    'sip:alice@192.0.2.7:5060',
    'sip:alice@192.0.2.7:5061;transport=tls',
    'sip:alice@192.0.2.7:5060;transport=tcp',
    'sip:alice@[2001:db8::7]:5060',
    'sip:alice@[2001:db8::7]:5061;transport=tls',
    'sip:alice@[2001:db8::7]:5060;transport=tcp',
  ]);
  t.same(
    contactsAt('alice', [...ways('fe80::7').slice(0, 1), ...ways('192.0.2.7').slice(0, 1)]),
    ['sip:alice@192.0.2.7:5060', 'sip:alice@[fe80::7]:5060'],
    'that of its link is told, last, by who has no other of IPv6',
  );
  t.same(found(contacts, 'sip:alice@local'), ['UDP 192.0.2.7 5060', 'UDP 2001:db8::7 5060']);
  t.same(found(contacts, 'sips:alice@local'), ['TLS 192.0.2.7 5061', 'TLS 2001:db8::7 5061']);
  t.same(found(contacts, 'sip:alice@local;transport=tcp'), [
    'TCP 192.0.2.7 5060',
    'TCP 2001:db8::7 5060',
  ]);
  const many = Array.from({ length: 5 }, (_, n) => ways(`192.0.2.${n + 1}`)).flat();
  const kept = contactsAt('alice', many);
  t.equal(kept.length, MAX_CONTACTS);
  t.equal(found(kept, 'sip:alice@local').length, 5, 'each address has a way');
  const alone = contactsAt('alice', ways('fe80::7%eth0').slice(0, 1));
  t.same(alone, ['sip:alice@[fe80::7]:5060'], 'who has no other address tells that of its link');
  t.same(found(alone, 'sip:alice@local'), ['UDP fe80::7 5060']);
  t.end();
});

t.test('an address of a link alone is for who has no route to another', async t => {
  const contacts = ['sip:alice@192.0.2.7', 'sip:alice@198.51.100.7', 'sip:alice@[fe80::7]'];
  const found = async (reached: readonly string[]) => {
    const reaches = async (address: string) => reached.includes(address);
    const { random, put, places } = await village({ reaches });
    const { devices } = someone(random);
    await put(recordOf(devices[0]!, 'alice', '192.0.2.7', { contacts }));
    return places('sip:alice@local');
  };
  const routed = ['ring sip:alice@192.0.2.7', 'ring sip:alice@198.51.100.7'];
  t.same(await found(['192.0.2.7', '198.51.100.7', 'fe80::7']), routed);
  t.same(await found(['198.51.100.7']), routed);
  t.same(await found(['fe80::7']), ['ring sip:alice@[fe80::7]']);
  t.same(await found([]), ['ring sip:alice@[fe80::7]']);
});

t.test('a phone that is registered at several super-nodes rings once', async t => {
  const { random, put, locate } = await village();
  const [house] = [someone(random, 4)];
  const [ada, bob, cleo, dan] = house.devices as [Device, Device, Device, Device];
  const [desk, mobile, studio] = ['urn:uuid:1', '192.0.2.4 5060 192.0.2.4', 'urn:uuid:3'];
  const at = (device: Device, host: string, phones: readonly string[], sequence = 0) => {
    const contacts = withPhones([`sip:ben@${host}`, `sip:ben@${host};transport=tls`], phones);
    return recordOf(device, 'ben', host, { by: 'voucher', contacts, sequence, lifetime: 600 });
  };
  await put({ ...at(ada, '192.0.2.1', [desk]), ageMs: 5000 }, at(bob, '192.0.2.2', [desk]));
  const told = async () => {
    const found = await locate('sip:ben@local');
    return found.map(({ uri: to, device }) => `${formatUri(to)} as ${device}`);
  };
  const fresher = [`sip:ben@192.0.2.2 as ${bob.id}`, `sip:ben@192.0.2.1 as ${bob.id}`];
  t.same(await told(), fresher, 'by who has heard of it last, and then by the other');
  await put(at(ada, '192.0.2.1', [mobile, desk], 1), at(cleo, '192.0.2.3', [studio]));
  const both = [
    `sip:ben@192.0.2.1 as ${ada.id}`,
    `sip:ben@192.0.2.2 as ${ada.id}`,
    `sip:ben@192.0.2.3 as ${cleo.id}`,
  ];
  t.same((await told()).sort(), both, 'at once with his other phone, and with one elsewhere');
  await put(at(dan, '192.0.2.5', []));
  t.ok((await told()).includes(`sip:ben@192.0.2.5 as ${dan.id}`), 'who does not say is called');
});

t.test('who calls their own name reaches their other devices', async t => {
  const random = new SeededRandom(3);
  const alice = someone(random, 2);
  const [desk, mobile] = [alice.devices[0]!, alice.devices[1]!];
  const { put, places } = await village({ ownDeviceId: desk.id });
  await put(recordOf(desk, 'alice', '192.0.2.7'), recordOf(mobile, 'alice', '192.0.2.8'));
  t.same(await places('sip:alice@local'), ['ring sip:alice@192.0.2.8']);
});

t.test('a person with more devices than are called at once is called at the freshest', async t => {
  const { random, put, locate } = await village();
  const alice = someone(random, MAX_DEVICES_CALLED + 2);
  await put(...alice.devices.map((device, i) => recordOf(device, 'alice', `192.0.2.${i + 1}`)));
  t.equal((await locate('sip:alice@local')).length, MAX_DEVICES_CALLED);
});

t.test(
  'two keys under one name: nobody is called, both are named, until one was talked to',
  async t => {
    const { random, put, places, locate, problems, pins } = await village();
    const [alice, mallory] = [someone(random, 2), someone(random)];
    await put(
      recordOf(alice.devices[0]!, 'alice', '192.0.2.7'),
      recordOf(alice.devices[1]!, 'alice', '192.0.2.8'),
      recordOf(mallory.devices[0]!, 'alice', '203.0.113.66'),
    );
    const ids = [alice, mallory].map(({ user }) => deviceIdOf(user.publicKey));
    const clash = { code: 'NAME_CLASH', message: new RegExp(ids.sort().join('.*')) };
    await t.rejects(locate('sip:alice@local'), clash);
    await t.rejects(locate('sip:alice@local'), clash);
    t.equal(problems.length, 1, 'told once');
    await pins.talked('alice', alice.user.publicKey);
    t.same(await places('sip:alice@local'), [
      'ring sip:alice@192.0.2.7',
      'ring sip:alice@192.0.2.8',
    ]);
    t.match(problems.at(-1), new RegExp(deviceIdOf(mallory.user.publicKey)), 'and is still shown');
  },
);

t.test('when the one we talked to is away, another under that name is not called', async t => {
  const { random, put, locate, pins } = await village();
  const [alice, mallory] = [someone(random), someone(random)];
  await pins.talked('alice', alice.user.publicKey);
  await put(recordOf(mallory.devices[0]!, 'alice', '203.0.113.66'));
  await t.rejects(locate('sip:alice@local'), { code: 'NAME_CLASH' });
});

t.test(
  'an ordinary phone is reached through who vouches for it, but displaces nobody who signs',
  async t => {
    const { random, put, places, problems } = await village();
    const [server, alice] = [someone(random), someone(random)];
    const vouched = { by: 'voucher' as const, lifetime: 600 };
    await put(
      recordOf(server.devices[0]!, 'carol', '192.0.2.1', vouched),
      recordOf(server.devices[0]!, 'alice', '192.0.2.1', vouched),
    );
    t.same(await places('sip:carol@local'), ['ring sip:carol@192.0.2.1']);
    t.same(
      await places('sip:alice@local'),
      ['ring sip:alice@192.0.2.1'],
      'as long as nobody signs',
    );
    await put(recordOf(alice.devices[0]!, 'alice', '192.0.2.7'));
    t.same(await places('sip:alice@local'), ['ring sip:alice@192.0.2.7']);
    t.match(problems, [/for an ordinary phone/]);
  },
);

t.test('an ordinary phone is called through all that one user has vouch for it', async t => {
  const { random, put, places, locate } = await village();
  const [house, other] = [someone(random, 2), someone(random)];
  const vouched = { by: 'voucher' as const, lifetime: 600 };
  await put(
    recordOf(house.devices[0]!, 'carol', '192.0.2.1', vouched),
    recordOf(house.devices[1]!, 'carol', '192.0.2.2', vouched),
  );
  const both = ['ring sip:carol@192.0.2.1', 'ring sip:carol@192.0.2.2'];
  t.same(await places('sip:carol@local'), both);
  await put(recordOf(other.devices[0]!, 'carol', '192.0.2.3', vouched));
  const clash = { code: 'NAME_CLASH', remedy: /user certify/ };
  await t.rejects(locate('sip:carol@local'), clash, 'of two users neither is believed');
});

t.test(
  'in a private overlay a name is whose it was enrolled to, and nobody else counts',
  async t => {
    const random = new SeededRandom(8);
    const founder = new Ed25519Signer(random.bytes(32));
    const overlay = { name: OVERLAY, enrolmentKey: founder.publicKey };
    const [alice, mallory] = [someone(random), someone(random)];
    const enrol = (name: string, { user }: typeof alice, sequence: number) =>
      issueEnrolment(founder, OVERLAY, {
        name,
        user: user.publicKey,
        roles: ['user'],
        sequence,
        lifetime: 86_400,
      });
    const { put, places } = await village({ enrolments: new Enrolments(overlay, verifier) });
    await put(
      recordOf(alice.devices[0]!, 'alice', '192.0.2.7', { enrolment: enrol('alice', alice, 1) }),
      recordOf(mallory.devices[0]!, 'alice', '203.0.113.66', {
        enrolment: enrol('mal', mallory, 2),
      }),
    );
    t.same(await places('sip:alice@local'), ['ring sip:alice@192.0.2.7']);
    await put(recordOf(mallory.devices[0]!, 'bob', '203.0.113.66'));
    t.same(await places('sip:bob@local'), [], 'who is not enrolled has no name');
  },
);

t.test('a ring that is not there, or says nothing, knows nobody', async t => {
  const { ring, locate, clock, locator } = await village();
  ring.failure = 'NO_RING';
  t.same(await locate('sip:alice@local'), []);
  ring.silent = true;
  const started = clock.now();
  t.same(await locate('sip:alice@local'), []);
  t.equal(clock.now() - started, RING_WITHIN_MS);
  const gone = new AbortController();
  const waiting = locator.locate(uri('sip:alice@local'), gone.signal);
  gone.abort(new Error('hung up'));
  await t.rejects(waiting, /hung up/);
});

t.test(
  'LAN and ring are asked together: neither waits for the other, and whoever knows answers',
  async t => {
    const { random, put, locator, clock, ring } = await village();
    await put(recordOf(someone(random).devices[0]!, 'alice', '192.0.2.7'));
    const lan = (ms: number, names: string[]): Locator => ({
      locate: async ({ user = '' }, signal) => {
        await new Promise<void>((resolve, reject) => {
          clock.after(ms, resolve);
          signal.addEventListener('abort', () => reject(signal.reason));
        });
        const endpoint = { address: '10.0.0.9', port: 5060 };
        const location: Location = { uri: uri(`sip:${user}@10.0.0.9`), endpoint, source: 'lan' };
        return names.includes(user) ? [location] : [];
      },
    });
    const ask = async (locators: readonly Locator[], name: string) => {
      const began = clock.now();
      const both = new FirstToKnow(locators);
      const [first] = await during(clock, both.locate(uri(`sip:${name}@local`), never));
      return `${first?.source} after ${clock.now() - began} ms`;
    };
    t.equal(await ask([lan(3000, []), locator], 'alice'), 'ring after 100 ms');
    t.equal(await ask([lan(20, ['alice']), locator], 'alice'), 'lan after 20 ms');
    t.equal(await ask([lan(200, ['bob']), locator], 'bob'), 'lan after 200 ms');
    t.equal(await ask([lan(300, []), locator], 'zoe'), 'undefined after 300 ms');
    ring.silent = true;
    t.equal(await ask([lan(20, ['alice']), locator], 'alice'), 'lan after 20 ms');
    const failing: Locator = { locate: async () => Promise.reject(new Error('clash')) };
    t.equal(await ask([failing, lan(20, ['alice'])], 'alice'), 'lan after 20 ms');
    await t.rejects(ask([failing, lan(20, [])], 'alice'), /clash/);
  },
);
