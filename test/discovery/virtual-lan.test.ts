/** Responders and browsers on virtual hosts: what one packet after another makes of a whole network. */
import t from 'tap';
import { silentLogger as logger } from '../../src/core/logger.js';
import { PollingNetworkWatcher } from '../../src/core/network-watcher.js';
import { decodeMessage } from '../../src/discovery/mdns/dns-codec.js';
import { MdnsAdvertiser } from '../../src/discovery/mdns/mdns-advertiser.js';
import { MdnsBrowser } from '../../src/discovery/mdns/mdns-browser.js';
import { MdnsLinks } from '../../src/discovery/mdns/mdns-links.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { type LinkOptions, VirtualNetwork } from '../../src/simulation/virtual-network.js';

const never = new AbortController().signal;
// A hundred phones take some seconds, more on a busy machine.
t.setTimeout(180_000);

class World {
  readonly clock = new VirtualClock();
  readonly network: VirtualNetwork;
  readonly #random: SeededRandom;

  constructor(seed: number, link: Partial<LinkOptions> = {}) {
    this.#random = new SeededRandom(seed);
    this.network = new VirtualNetwork({ clock: this.clock, seed, link });
  }

  async host(address: string, ...further: readonly string[]) {
    const { clock } = this;
    const network = this.network.host(address, ...further);
    const random = new SeededRandom(this.#random.uint32());
    const watcher = new PollingNetworkWatcher(
      clock,
      () => network.addresses(),
      () => true,
    );
    await watcher.start();
    const links = new MdnsLinks({ clock, logger, network, random, watcher });
    const advertiser = new MdnsAdvertiser({ clock, logger, random, links });
    const browser = new MdnsBrowser({ clock, random, links });
    const told: string[] = [];
    for (const event of ['up', 'changed', 'down'] as const)
      browser.on(event, ({ name }) => told.push(`${event} ${name}`));
    const problems: string[] = [];
    advertiser.on('problem', ({ message }) => problems.push(message));
    const stop = async () => {
      const stopped = Promise.all([advertiser.stop(), browser.stop(), watcher.stop()]);
      await clock.advance(100);
      await stopped;
    };
    return { address, advertiser, browser, told, problems, stop };
  }

  async phone(name: string, address: string) {
    const host = await this.host(address);
    await host.browser.start();
    await host.advertiser.start({ name, port: 5060, deviceId: `d${address.replaceAll('.', 'x')}` });
    return host;
  }

  /** Multicast packets so far, and the octets of them. */
  get multicasts() {
    const sent = this.network.trace.filter(({ to }) => to.endsWith(':5353'));
    return { packets: sent.length, octets: sent.reduce((sum, { octets }) => sum + octets, 0) };
  }
}

t.test('two phones see each other a second after their start; one that stops is gone', async t => {
  const world = new World(1);
  const alice = await world.phone('alice', '10.0.0.1');
  const bob = await world.phone('bob', '10.0.0.2');
  await world.clock.advance(1150);
  t.same([alice.advertiser.name, bob.advertiser.name], ['alice', 'bob']);
  t.same(new Set(alice.told), new Set(['up alice', 'up bob']));
  t.match(await bob.browser.find('alice', never, 0), {
    endpoints: [{ address: '10.0.0.1', port: 5060 }],
    host: 'ringline-d10x0x0x1.local',
    interfaceName: 'virtual0',
  });
  await alice.stop();
  await world.clock.advance(1100);
  t.same(bob.told.slice(2), ['down alice']);
  await bob.stop();
  t.equal(world.clock.pending, 0, 'no timer outlives them');
});

t.test('a day of two phones is quiet', async t => {
  const world = new World(2);
  const phones = [await world.phone('alice', '10.0.0.1'), await world.phone('bob', '10.0.0.2')];
  await world.clock.advance(60_000);
  for (const { told } of phones) told.length = 0;
  const before = world.multicasts.packets;
  await world.clock.advance(3600_000);
  const packets = world.multicasts.packets - before;
  t.comment(`${packets} packets in an hour`);
  t.ok(packets < 400, `${packets} packets in an hour`);
  t.same(
    phones.flatMap(({ told }) => told),
    [],
    'and brings no news',
  );
});

t.test('a host without IPv4 is found by others like it', async t => {
  const world = new World(3);
  await world.phone('alice', 'fe80::1');
  const bob = await world.phone('bob', 'fe80::2');
  await world.clock.advance(1200);
  t.match(await bob.browser.find('alice', never, 0), {
    endpoints: [{ address: 'fe80::1%virtual0', port: 5060 }],
  });
});

t.test('a phone is announced at the addresses it listens at, and at no others', async t => {
  const world = new World(8);
  const bob = await world.host('10.0.0.2', 'fd00::2');
  await bob.browser.start();
  const host = await world.host('10.0.0.1', 'fd00::1');
  const phone = { name: 'alice', port: 5060, deviceId: 'd1' };
  const seen = async (address: string) => {
    await host.advertiser.start({ ...phone, address });
    await world.clock.advance(6000);
    return (await bob.browser.find('alice', never, 0))?.endpoints.map(each => each.address);
  };
  t.same(await seen('10.0.0.1'), ['10.0.0.1']);
  t.same(await seen('::'), ['10.0.0.1', 'fd00::1']);
  t.same(await seen('0.0.0.0'), ['10.0.0.1']);
  t.same(host.problems, []);
  const elsewhere = await world.host('10.0.0.3');
  await elsewhere.advertiser.start({ ...phone, name: 'eve', address: '10.0.0.9' });
  await world.clock.advance(6000);
  t.match(elsewhere.problems, [/no network interface has the address 10\.0\.0\.9/]);
  t.notOk(bob.told.includes('up eve'));
  world.network.moveHost('10.0.0.3', '10.0.0.9');
  await world.clock.advance(3000);
  t.ok(bob.told.includes('up eve'), 'it is once it has the address');
});

t.test(
  'a host without any link says so, and is announced within a second of getting one',
  async t => {
    const world = new World(4);
    const bob = await world.phone('bob', '10.0.0.2');
    await world.clock.advance(5000);
    world.network.setLink('10.0.0.1', false);
    const alice = await world.phone('alice', '10.0.0.1');
    await world.clock.advance(6000);
    t.match(alice.problems, [/no network interface/]);
    t.equal(alice.advertiser.name, undefined);
    world.network.setLink('10.0.0.1', true);
    await world.clock.advance(1300);
    t.ok(
      world.network.trace.some(({ from }) => from.startsWith('10.0.0.1')),
      'it asks for its name',
    );
    await world.clock.advance(1000);
    t.equal(alice.advertiser.name, 'alice');
    t.ok(bob.told.includes('up alice'));
  },
);

t.test('a phone whose cable was out while another took its name has another one soon', async t => {
  const world = new World(5);
  const first = await world.phone('alice', '10.0.0.1');
  await world.clock.advance(5000);
  world.network.setLink('10.0.0.1', false);
  await world.clock.advance(2000);
  const second = await world.phone('alice', '10.0.0.2');
  await world.clock.advance(3000);
  t.equal(second.advertiser.name, 'alice');
  world.network.setLink('10.0.0.1', true);
  await world.clock.advance(4000);
  t.same([first.advertiser.name, second.advertiser.name], ['alice-2', 'alice']);
});

t.test(
  'of two phones of one name that start at once, one has the next name within three seconds',
  async t => {
    for (const seed of [6, 7, 8]) {
      const world = new World(seed);
      const phones = [
        await world.phone('alice', '10.0.0.1'),
        await world.phone('alice', '10.0.0.2'),
      ];
      await world.clock.advance(3000);
      t.same(phones.map(({ advertiser }) => advertiser.name).sort(), ['alice', 'alice-2']);
    }
  },
);

t.test('two networks that become one: of two with one name one keeps it (RFC 6762 §9)', async t => {
  for (const seed of [6, 7, 8]) {
    const world = new World(seed);
    world.network.dropMulticast = true;
    const phones = [await world.phone('alice', '10.0.0.1'), await world.phone('alice', '10.0.0.2')];
    await world.clock.advance(10_000);
    t.same(
      phones.map(({ advertiser }) => advertiser.name),
      ['alice', 'alice'],
    );
    world.network.dropMulticast = false;
    const witness = await world.host('10.0.0.3');
    await witness.browser.start();
    await world.clock.advance(6000);
    t.same(phones.map(({ advertiser }) => advertiser.name).sort(), ['alice', 'alice-2']);
    const seen = witness.browser.phones();
    t.same(seen.map(({ name }) => name).sort(), ['alice', 'alice-2']);
    t.equal(new Set(seen.map(({ host }) => host)).size, 2, 'each leads to its own host');
  }
});

t.test(
  'where multicast does not come through for a while, phones are asked by unicast',
  async t => {
    const world = new World(9);
    const alice = await world.phone('alice', '10.0.0.1');
    const bob = await world.phone('bob', '10.0.0.2');
    await world.clock.advance(5000);
    world.network.dropMulticast = true;
    await world.clock.advance(600_000);
    t.notOk(bob.told.includes('down alice'), 'an access point that drops multicast hides nobody');
    world.network.setLink('10.0.0.1', false);
    await world.clock.advance(130_000);
    t.ok(bob.told.includes('down alice'));
    await Promise.all([alice.stop(), bob.stop()]);
  },
);

t.test('a phone in doubt that is there stays, one that is gone goes', async t => {
  const world = new World(10);
  await world.phone('alice', '10.0.0.1');
  const bob = await world.phone('bob', '10.0.0.2');
  await world.clock.advance(5000);
  bob.browser.doubt('alice');
  await world.clock.advance(15_000);
  t.notOk(bob.told.includes('down alice'));
  world.network.setLink('10.0.0.1', false);
  bob.browser.doubt('alice');
  await world.clock.advance(10_100);
  t.ok(bob.told.includes('down alice'), 'long before its records run out');
});

for (const { count, names, link, within } of [
  { count: 100, names: 'one name', link: {}, within: 10_000 },
  { count: 30, names: 'one name', link: { loss: 0.1, jitterMs: 20 }, within: 15_000 },
  { count: 30, names: 'names of their own', link: {}, within: 1100 },
]) {
  const how = 'loss' in link ? ', a tenth of packets lost' : '';
  t.test(
    `${count} phones of ${names} start at once${how}: all are named, without a storm`,
    async t => {
      const world = new World(20, link);
      const phones: Awaited<ReturnType<World['host']>>[] = [];
      for (let i = 1; i <= count; i++) phones.push(await world.host(`10.0.0.${i}`));
      await Promise.all(
        phones.map(async ({ advertiser, browser, address }, i) => {
          const name = names === 'one name' ? 'alice' : `phone-${i}`;
          await browser.start();
          await advertiser.start({
            name,
            port: 5060,
            deviceId: `d${address.replaceAll('.', 'x')}`,
          });
        }),
      );
      const start = world.clock.now();
      const named = () => new Set(phones.flatMap(({ advertiser }) => advertiser.name ?? []));
      await world.clock.advanceUntil(() => named().size === count, within);
      const seconds = (world.clock.now() - start) / 1000;
      const { packets, octets } = world.multicasts;
      await world.clock.advance(4000);
      const later = world.multicasts.packets - packets;
      const seen = phones.map(({ browser }) => browser.phones().length);
      t.comment(
        `${count} phones, ${names}${how}: named after ${seconds.toFixed(1)} s, ${packets} packets, ` +
          `${Math.round(octets / 1024)} KiB; ${later} packets in the 4 s after; each sees ${Math.min(...seen)}`,
      );
      t.ok(packets < 15 * count, `${packets} packets`);
      t.ok(later < 15 * count, `${later} packets in the 4 s after`);
      const last = phones[count - 1]!.browser.phones().map(({ name }) => name);
      t.same(new Set(last), named(), 'everybody sees everybody');
      t.equal(Math.min(...seen), count);
    },
  );
}

t.test('the trace of a network is multicast DNS', async t => {
  const world = new World(30);
  await world.phone('alice', '10.0.0.1');
  const host = world.network.host('10.0.0.9');
  const on = host.addresses()[0]!;
  const member = await host.joinMulticast({ group: { address: '224.0.0.251', port: 5353 }, on });
  let messages = 0;
  member.onMessage = data => {
    t.ok(decodeMessage(data));
    messages++;
  };
  await world.clock.advance(10_000);
  t.ok(messages >= 6, `${messages}: probes, announcements, questions`);
  member.close();
});
