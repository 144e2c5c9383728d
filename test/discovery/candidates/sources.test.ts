/** Super-nodes that are announced by SLP, named by a domain, or found by asking all neighbours. */
import t from 'tap';
import { CodedError } from '../../../src/core/errors.js';
import { silentLogger as logger } from '../../../src/core/logger.js';
import type { InterfaceAddress, Network } from '../../../src/core/network.js';
import { PollingNetworkWatcher } from '../../../src/core/network-watcher.js';
import type { Candidate, CandidateSource } from '../../../src/discovery/candidates/candidate.js';
import { Candidates } from '../../../src/discovery/candidates/candidates.js';
import { DnsSource } from '../../../src/discovery/candidates/dns-source.js';
import { FixedSource, parseBootstrap } from '../../../src/discovery/candidates/fixed-source.js';
import { FloodSource, MAX_ASKED } from '../../../src/discovery/candidates/flood-source.js';
import { MdnsSource } from '../../../src/discovery/candidates/mdns-source.js';
import { SlpSource } from '../../../src/discovery/candidates/slp-source.js';
import { MdnsAdvertiser } from '../../../src/discovery/mdns/mdns-advertiser.js';
import { MdnsLinks } from '../../../src/discovery/mdns/mdns-links.js';
import { SuperNodeAnnouncer } from '../../../src/discovery/super-node-announcer.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { Simulation } from '../../../src/simulation/simulated-phones.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../../src/simulation/virtual-network.js';
import type { DnsAnswer, DnsClient, SrvRecord } from '../../../src/sip/resolution/dns.js';

const NODE = 'a1'.repeat(20);

function searchFor(source: CandidateSource, overlay = 'home') {
  const found: Candidate[] = [];
  const over = new AbortController();
  const search = source.search({ overlay, found: each => found.push(each), signal: over.signal });
  return { found, over, search };
}

class World {
  readonly clock = new VirtualClock();
  readonly net = new VirtualNetwork({ clock: this.clock, seed: 7 });
  #seed = 100;

  at(address: string) {
    const network = this.net.host(address);
    return { clock: this.clock, network, random: new SeededRandom(this.#seed++), logger };
  }

  async superNode(
    address: string,
    {
      change = network => network,
      listen = '::',
    }: { change?: (network: Network) => Network; listen?: string } = {},
  ) {
    const seams = this.at(address);
    const watcher = new PollingNetworkWatcher(
      this.clock,
      () => seams.network.addresses(),
      () => true,
    );
    await watcher.start();
    const links = new MdnsLinks({ ...seams, watcher });
    const advertiser = new MdnsAdvertiser({ ...seams, links });
    await advertiser.start({ name: 'alice', port: 5060, deviceId: NODE });
    const problems: Error[] = [];
    const announcer = new SuperNodeAnnouncer({
      ...seams,
      network: change(seams.network),
      listen,
      advertiser,
      watcher,
      onProblem: error => problems.push(error),
    });
    const stop = async () => {
      const stopped = announcer.stop().then(() => Promise.all([advertiser.stop(), watcher.stop()]));
      await this.clock.advance(5000);
      await stopped;
    };
    return { announcer, problems, stop };
  }
}

t.test('a super-node is found by SLP and by mDNS, and no more once it stops', async t => {
  const world = new World();
  const { announcer, stop } = await world.superNode('10.0.0.1');
  await announcer.start({ overlay: 'home', nodeId: NODE, ports: { TLS: 5061, TCP: 5060 } });
  const wanted = { host: '10.0.0.1', port: 5061, transport: 'tls', overlay: 'home', nodeId: NODE };

  const phone = world.at('10.0.0.2');
  const slp = searchFor(new SlpSource(phone));
  const mdns = searchFor(new MdnsSource({ ...phone, links: new MdnsLinks(phone) }));
  await world.clock.advance(2500);
  t.same(slp.found, [{ ...wanted, source: 'slp' }]);
  t.same(mdns.found[0], { ...wanted, source: 'mdns' });

  const other = searchFor(new SlpSource(world.at('10.0.0.3')), 'office');
  await world.clock.advance(20_000);
  t.same(other.found, [], 'who looks for another overlay does not hear of it');

  await announcer.start({ overlay: 'home', nodeId: NODE, ports: { TCP: 5070 } });
  const late = searchFor(new SlpSource(world.at('10.0.0.4')));
  await world.clock.advance(2500);
  t.match(late.found, [{ port: 5070, transport: 'tcp' }], 'what changes is announced');
  t.equal(late.found.length, 1);
  t.match(mdns.found.at(-1), { port: 5070, transport: 'tcp' });
  await t.rejects(announcer.start({ overlay: 'home', nodeId: NODE, ports: {} }), {
    code: 'NO_PORT',
  });

  await stop();
  const later = searchFor(new SlpSource(world.at('10.0.0.5')));
  await world.clock.advance(20_000);
  t.same(later.found, []);
  const all = [slp, mdns, other, late, later];
  for (const { over } of all) over.abort();
  await world.clock.advance(100);
  await Promise.all(all.map(({ search }) => search));
  t.equal(world.clock.pending, 0, 'nothing is left of anybody');
});

t.test('a super-node is not told of by SLP at an address where it does not listen', async t => {
  const world = new World();
  const here = await world.superNode('10.0.0.1', { listen: '10.0.0.1' });
  const elsewhere = await world.superNode('10.0.0.2', { listen: '127.0.0.1' });
  for (const { announcer } of [here, elsewhere])
    await announcer.start({ overlay: 'home', nodeId: NODE, ports: { TLS: 5061 } });
  const { found, over, search } = searchFor(new SlpSource(world.at('10.0.0.3')));
  await world.clock.advance(5000);
  t.same(
    found.map(({ host }) => host),
    ['10.0.0.1'],
  );
  over.abort();
  await Promise.all([here.stop(), elsewhere.stop(), world.clock.advance(100), search]);
});

t.test('without the privilege for port 427 it says so, and is announced by mDNS', async t => {
  const world = new World();
  const powerless = (network: Network): Network => {
    const forbidden = async () => {
      throw new CodedError('PORT_FORBIDDEN', 'port 427 is not allowed', { remedy: 'setcap' });
    };
    return {
      ...bound(network),
      joinMulticast: options =>
        options.group.port === 427 ? forbidden() : network.joinMulticast(options),
      listenStream: options => (options.port === 427 ? forbidden() : network.listenStream(options)),
      bindDatagram: options => (options.port === 427 ? forbidden() : network.bindDatagram(options)),
    };
  };
  const { announcer, problems, stop } = await world.superNode('10.0.0.1', { change: powerless });
  await announcer.start({ overlay: 'home', nodeId: NODE, ports: { TLS: 5061 } });
  const phone = world.at('10.0.0.2');
  const mdns = searchFor(new MdnsSource({ ...phone, links: new MdnsLinks(phone) }));
  await world.clock.advance(2500);
  t.equal(mdns.found.length > 0, true);
  t.match(problems, [{ code: 'PORT_FORBIDDEN' }]);
  t.equal(problems.length, 1);
  mdns.over.abort();
  await mdns.search;
  await stop();
  t.equal(world.clock.pending, 0);
});

function bound(network: Network): Network {
  return {
    bindDatagram: options => network.bindDatagram(options),
    joinMulticast: options => network.joinMulticast(options),
    connectStream: options => network.connectStream(options),
    listenStream: options => network.listenStream(options),
    secureStream: (connection, options) => network.secureStream(connection, options),
    addresses: () => network.addresses(),
    sourceAddressFor: remote => network.sourceAddressFor(remote),
  };
}

t.test('a domain names super-nodes by SRV records, in their order', async t => {
  const clock = new VirtualClock();
  const random = new SeededRandom(1);
  let up = false;
  const asked: string[] = [];
  const found = <T>(records: readonly T[]): DnsAnswer<T> => {
    return { type: 'found', records, ttlMs: 60_000 };
  };
  const absent = { type: 'absent', ttlMs: 1000 } as const;
  const records: SrvRecord[] = [
    { priority: 2, weight: 0, port: 5071, name: 'late.example.net' },
    { priority: 1, weight: 0, port: 5061, name: 'first.example.net' },
    { priority: 1, weight: 0, port: 5061, name: '.' },
  ];
  const dns: DnsClient = {
    naptr: async () => absent,
    srv: async name => {
      asked.push(name);
      return up ? found(records) : { type: 'failed', reason: 'no answer' };
    },
    a: async name => (name.startsWith('first') ? found(['192.0.2.1']) : absent),
    aaaa: async name => found([name.startsWith('first') ? '2001:db8::1' : '2001:db8::2']),
  };
  const search = searchFor(new DnsSource({ dns, clock, random, domain: 'example.net' }));
  await clock.advance(1000);
  t.same([asked, search.found], [['_ringline._tcp.example.net'], []]);
  up = true;
  await clock.advance(30_000);
  t.same(
    search.found.map(({ host, port, transport }) => `${transport} ${host} ${port}`),
    ['tls 192.0.2.1 5061', 'tls 2001:db8::1 5061', 'tls 2001:db8::2 5071'],
  );
  await clock.advance(24 * 3600_000);
  t.ok(asked.length < 120, `${asked.length} questions in a day`);
  search.over.abort();
  await search.search;
  t.equal(clock.pending, 0);
});

t.test('all neighbours are asked slowly, until one of ours answers', async t => {
  const simulation = new Simulation({ seed: 3 });
  const { clock, network } = simulation;
  await simulation.addPhone('alice', '10.0.0.77');
  const stranger = await network.host('10.0.0.78').bindDatagram({
    address: '10.0.0.78',
    port: 5060,
    trafficClass: 'default',
  });
  let strangers = 0;
  stranger.onMessage = (data, from) => {
    strangers++;
    const text = Buffer.from(data).toString('latin1');
    const kept = text.split('\r\n').filter(line => /^(Via|From|To|Call-ID|CSeq):/.test(line));
    const lines = ['SIP/2.0 200 OK', ...kept, 'Server: Other/1', 'Content-Length: 0', '', ''];
    stranger.send(Buffer.from(lines.join('\r\n'), 'latin1'), from);
  };
  const random = new SeededRandom(9);
  const seams = { network: network.host('10.0.0.1'), clock, random };
  const from = network.trace.length;
  const flood = searchFor(new FloodSource(seams));
  await clock.advanceUntil(() => flood.found.length > 0, 10_000);
  await clock.advance(100);
  await flood.search;
  t.same(
    flood.found.map(({ host, port, transport }) => `${transport} ${host} ${port}`),
    ['tls 10.0.0.77 5061', 'tcp 10.0.0.77 5060'],
  );
  const asked = network.trace.slice(from).filter(({ what }) => what.includes('OPTIONS'));
  t.ok(asked.length <= MAX_ASKED, `${asked.length} asked`);
  t.ok(strangers <= 1);
  const pauses = asked.slice(1).map(({ at }, i) => at - asked[i]!.at);
  t.ok(
    pauses.every(pause => pause >= 20),
    'fifty a second at most',
  );
  const before = network.trace.length;
  await clock.advance(1000);
  t.equal(network.trace.slice(before).filter(({ what }) => what.includes('OPTIONS')).length, 0);
  await simulation.stop();
});

t.test('a network of one settles, all sources asked, a hundred dead hosts in its list', async t => {
  const world = new World();
  const seams = world.at('10.0.0.1');
  const failed = { type: 'failed', reason: 'no answer' } as const;
  const dns: DnsClient = {
    naptr: async () => failed,
    srv: async () => failed,
    a: async () => failed,
    aaaa: async () => failed,
  };
  const bootstrap = Array.from({ length: 100 }, (_, i) => parseBootstrap(`192.0.2.${i + 1}`));
  const sources = [
    new MdnsSource({ ...seams, links: new MdnsLinks(seams) }),
    new SlpSource(seams),
    new FixedSource({ ...seams, bootstrap, resolve: async () => [] }),
    new DnsSource({ ...seams, dns, domain: 'example.net' }),
    new FloodSource(seams),
  ];
  const candidates = new Candidates({ ...seams, overlay: 'home', nodeId: NODE, sources });
  let attempts = 0;
  const over = new AbortController();
  candidates.start();
  void (async () => {
    for await (const candidate of candidates.stream(over.signal)) {
      attempts++;
      candidates.failed(candidate);
    }
  })();
  const seconds = async (count: number) => {
    const before = { packets: world.net.trace.length, attempts };
    const from = world.clock.now();
    for (let s = 0; s < count; s += 30) {
      await world.clock.advance(30_000);
      // As the overlay does while it has nobody.
      candidates.look();
    }
    const sent = world.net.trace.slice(before.packets);
    const inSecond = new Map<number, number>();
    for (const { at } of sent) {
      const second = Math.floor((at - from) / 1000);
      inSecond.set(second, (inSecond.get(second) ?? 0) + 1);
    }
    const most = Math.max(0, ...inSecond.values());
    return { packets: sent.length, most, attempts: attempts - before.attempts };
  };
  const first = await seconds(120);
  t.ok(first.most <= 60, `${first.most} packets in one second at most`);
  t.ok(first.packets < 400, `${first.packets} packets in the first two minutes`);
  await seconds(3480);
  const later = await seconds(3600);
  t.ok(later.packets < 900, `${later.packets} packets in the second hour`);
  t.ok(later.attempts < 1000, `${later.attempts} attempts in it`);
  t.comment(JSON.stringify({ first, later }));
  over.abort();
  const stopped = candidates.stop();
  await world.clock.advance(1000);
  await stopped;
  t.equal(world.clock.pending, 0, 'no timer is left');
  const before = world.net.trace.length;
  await world.clock.advance(60_000);
  t.equal(world.net.trace.length, before, 'and nothing is sent any more');
});

t.test('never more than 254 of the own subnet, each once, and none beyond it', async t => {
  const cases: [InterfaceAddress[], number, RegExp][] = [
    [[lan('192.168.1.9', 24)], 253, /^192\.168\.1\.\d+$/],
    [[lan('10.5.0.9', 16)], 254, /^10\.5\.\d+\.\d+$/],
    [[lan('172.16.0.9', 29)], 5, /^172\.16\.0\.(10|11|12|13|14)$/],
    [[lan('10.5.0.9', 8), lan('10.6.0.9', 8)], 254, /^10\./],
    [[lan('10.0.0.1', 32), { ...lan('127.0.0.1', 8), internal: true }], 0, /./],
  ];
  for (const [addresses, most, pattern] of cases) {
    const clock = new VirtualClock();
    const sent: string[] = [];
    let open = 0;
    const network: Network = {
      ...bound(new VirtualNetwork({ clock, seed: 1 }).host('10.0.0.1')),
      addresses: () => addresses,
      bindDatagram: async ({ address }) => {
        open++;
        return {
          local: { address, port: 40_000 },
          onMessage: () => undefined,
          onError: () => undefined,
          send: (_data, to) => sent.push(to.address),
          close: () => open--,
        };
      },
    };
    const flood = searchFor(new FloodSource({ network, clock, random: new SeededRandom(2) }));
    await clock.advance(10_000);
    await flood.search;
    t.ok(sent.length <= most && sent.length >= most - 2, `${sent.length} of ${most}`);
    t.equal(new Set(sent).size, sent.length);
    t.ok(sent.every(each => pattern.test(each)));
    t.notOk(sent.some(each => addresses.some(({ address }) => address === each)));
    t.equal(open, 0, 'all sockets are closed');
    t.equal(clock.pending, 0);
  }
});

function lan(address: string, prefix: number): InterfaceAddress {
  return { name: 'eth0', family: 'IPv4', internal: false, address, prefix };
}
