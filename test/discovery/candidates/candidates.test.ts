/** Candidates for super-nodes: from several sources, on virtual time and network. */
import t from 'tap';
import { silentLogger as logger } from '../../../src/core/logger.js';
import type {
  Candidate,
  CandidateSource,
  Search,
  SourceName,
} from '../../../src/discovery/candidates/candidate.js';
import {
  MAX_OF_A_SOURCE,
  newCandidateBook,
  stepBook,
  wakeAt,
} from '../../../src/discovery/candidates/candidate-book.js';
import { Candidates } from '../../../src/discovery/candidates/candidates.js';
import { FixedSource, parseBootstrap } from '../../../src/discovery/candidates/fixed-source.js';
import { MdnsSource } from '../../../src/discovery/candidates/mdns-source.js';
import {
  FIRST_WRITE_MS,
  MAX_MISSES,
  MAX_PEERS,
  RememberedPeers,
  WRITE_EVERY_MS,
} from '../../../src/discovery/candidates/remembered-peers.js';
import { MdnsAdvertiser } from '../../../src/discovery/mdns/mdns-advertiser.js';
import { MdnsLinks } from '../../../src/discovery/mdns/mdns-links.js';
import { SeededRandom } from '../../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../../src/simulation/virtual-network.js';
import { MemoryStore } from '../../../src/storage/memory-store.js';
import type { Storable } from '../../../src/storage/store.js';

const NODE = 'a1'.repeat(20);
const OTHER_NODE = 'b2'.repeat(20);

function at(host: string, source: SourceName, more: Partial<Candidate> = {}): Candidate {
  return { host, port: 5061, transport: 'tls', source, ...more };
}

/** A source that tells what the test has it tell. */
class TestSource implements CandidateSource {
  readonly name: SourceName;
  readonly lastResort: boolean;
  searches = 0;
  failures = 0;
  search_: Search | undefined;
  readonly #tells: readonly Candidate[];

  constructor(name: SourceName, tells: readonly Candidate[] = [], lastResort = false) {
    this.name = name;
    this.#tells = tells;
    this.lastResort = lastResort;
  }

  async search(search: Search): Promise<void> {
    this.searches++;
    this.search_ = search;
    if (this.failures-- > 0) throw new Error('out of order');
    for (const each of this.#tells) search.found(each);
    await new Promise<void>(resolve => search.signal.addEventListener('abort', () => resolve()));
  }
}

class CountingStore extends MemoryStore {
  writes = 0;

  override set(key: string, value: Storable): Promise<void> {
    this.writes++;
    return super.set(key, value);
  }
}

class Bench {
  readonly clock = new VirtualClock();
  readonly candidates: Candidates;
  readonly tried: { readonly at: number; readonly host: string }[] = [];
  readonly #over = new AbortController();

  constructor(sources: readonly CandidateSource[], nodeId = NODE) {
    const { clock } = this;
    const random = new SeededRandom(1);
    this.candidates = new Candidates({ clock, random, logger, overlay: 'home', nodeId, sources });
  }

  /** Tries whatever it is given; `alive` says whether somebody is there. */
  run(alive: (candidate: Candidate) => boolean = () => false): void {
    this.candidates.start();
    void (async () => {
      for await (const candidate of this.candidates.stream(this.#over.signal)) {
        this.tried.push({ at: this.clock.now(), host: candidate.host });
        if (alive(candidate)) this.candidates.proved(candidate);
        else this.candidates.failed(candidate);
      }
    })();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    const stopped = this.candidates.stop();
    await this.clock.advance(1000);
    await stopped;
  }
}

function many(source: SourceName, count: number, network = '10.1.0'): Candidate[] {
  return Array.from({ length: count }, (_, i) => at(`${network}.${i + 1}`, source));
}

t.test('a hundred dead super-nodes cause neither storm nor hang', async t => {
  const bench = new Bench([new TestSource('fixed', many('fixed', 100))]);
  bench.run();
  await bench.clock.advance(6 * 3600_000);
  const inAny = (ms: number) => {
    const counts = bench.tried.slice(0, 500).map(({ at: from }, i) => {
      return bench.tried.slice(i, i + 200).filter(({ at }) => at < from + ms).length;
    });
    return Math.max(...counts);
  };
  t.ok(inAny(1000) <= 10, `at most ${inAny(1000)} attempts a second`);
  const lastHour = bench.tried.filter(({ at }) => at > 5 * 3600_000).length;
  t.ok(lastHour <= 800, `${lastHour} attempts in the last hour`);
  t.ok(lastHour > 100, 'and they are not given up for good');
  t.equal(
    new Set(bench.tried.slice(0, 100).map(({ host }) => host)).size,
    100,
    'each had its turn',
  );
  t.comment(`most in a second: ${inAny(1000)}; in the last hour: ${lastHour}`);
  await bench.stop();
  t.equal(bench.clock.pending, 0, 'no timer outlives them');
});

t.test('what is due when it was said to be is tried then, whatever was rounded', t => {
  const random = new SeededRandom(3);
  let inVain = 0;
  for (let run = 0; run < 2000; run++) {
    const book = newCandidateBook('home', () => random.unit());
    // With digits to the last, and beyond a power of two there is one less.
    const from = 65_536 - (1000 * random.unit()) / 3;
    for (const candidate of many('mdns', 12))
      stepBook(book, { kind: 'found', candidate, now: from });
    for (let i = 0; i < 12; i++) stepBook(book, { kind: 'wanted', now: from });
    while (book.wanted > 0) {
      const actions = stepBook(book, { kind: 'due', now: wakeAt(book) });
      if (actions.length > 0) continue;
      inVain++;
      break;
    }
  }
  t.equal(inVain, 0);
  t.end();
});

t.test('a long dead list does not hold up who is found otherwise', async t => {
  const mdns = new TestSource('mdns');
  const bench = new Bench([new TestSource('fixed', many('fixed', 100)), mdns]);
  bench.run(({ source }) => source === 'mdns');
  await bench.clock.advance(2000);
  mdns.search_?.found(at('10.0.0.9', 'mdns'));
  const before = bench.tried.length;
  await bench.clock.advance(300);
  t.equal(bench.tried[before]?.host, '10.0.0.9');
  await bench.clock.advance(60_000);
  t.ok(
    bench.tried.length <= before + 20,
    'once somebody is proven the others are tried at leisure',
  );
  bench.candidates.hurry();
  const leisurely = bench.tried.length;
  await bench.clock.advance(5000);
  t.ok(bench.tried.length >= leisurely + 20, 'unless that one serves us no more');
  await bench.stop();
});

t.test('strangers are asked only where nobody is reached, and no longer than that', async t => {
  const flood = new TestSource('flood', [], true);
  const alone = new Bench([new TestSource('mdns'), flood]);
  alone.run();
  await alone.clock.advance(4999);
  t.equal(flood.searches, 0);
  await alone.clock.advance(2);
  t.equal(flood.searches, 1);
  alone.candidates.proved(at('10.0.0.1', 'mdns'));
  t.ok(flood.search_?.signal.aborted, 'one that is reached ends it');
  await alone.stop();

  const unneeded = new TestSource('flood', [], true);
  const bench = new Bench([new TestSource('mdns', [at('10.0.0.1', 'mdns')]), unneeded]);
  bench.run(() => true);
  await bench.clock.advance(60_000);
  t.equal(unneeded.searches, 0);
  await bench.stop();
  t.equal(bench.clock.pending, 0);
});

t.test('who is alone and wants to look again and again asks less and less', async t => {
  const [mdns, flood] = [new TestSource('mdns'), new TestSource('flood', [], true)];
  const bench = new Bench([mdns, flood]);
  bench.run();
  for (let s = 0; s < 3600; s++) {
    bench.candidates.look();
    await bench.clock.advance(1000);
  }
  t.ok(mdns.searches < 25, `${mdns.searches} searches in an hour`);
  t.ok(flood.searches <= 3, `strangers are asked ${flood.searches} times`);
  const before = flood.searches;
  bench.candidates.networkChanged();
  await bench.clock.advance(15_100);
  t.equal(flood.searches, before + 1, 'another network is another matter');
  await bench.stop();
  t.equal(bench.clock.pending, 0);
});

t.test('who is lost is looked for again, by all sources, and not at once many times', async t => {
  const source = new TestSource('mdns', [at('10.0.0.1', 'mdns')]);
  const bench = new Bench([source]);
  let up = true;
  bench.run(() => up);
  await bench.clock.advance(20_000);
  t.same([source.searches, bench.tried.length], [1, 1]);
  up = false;
  bench.candidates.failed(at('10.0.0.1', 'mdns'));
  for (let i = 0; i < 50; i++) bench.candidates.look();
  t.equal(source.searches, 2);
  await bench.clock.advance(9000);
  t.equal(source.searches, 2);
  await bench.clock.advance(2000);
  t.equal(source.searches, 3, 'what was wanted meanwhile comes once');
  t.ok(bench.tried.length > 1, 'and it is tried again');
  await bench.stop();
});

t.test('who was a super-node once, and is none, is tried when it is heard again', async t => {
  const mdns = new TestSource('mdns');
  const bench = new Bench([mdns]);
  let up = true;
  bench.run(() => up);
  const [one, other] = ['10.0.0.1', 'fe80::1%eth0'].map(host =>
    at(host, 'mdns', { nodeId: OTHER_NODE }),
  );
  for (const each of [one, other]) mdns.search_!.found(each!);
  await bench.clock.advance(60_000);
  t.equal(bench.tried.length, 1);
  mdns.search_!.found(one!);
  await bench.clock.advance(60_000);
  t.equal(bench.tried.length, 1, 'not while it is one');
  up = false;
  bench.candidates.gone(OTHER_NODE);
  t.equal(mdns.searches, 2, 'it was the only one');
  await bench.clock.advance(1000);
  t.equal(bench.tried.length, 1);
  up = true;
  for (const each of [one, other]) mdns.search_!.found(each!);
  await bench.clock.advance(100);
  t.same(
    bench.tried.slice(1).map(({ host }) => host),
    [one!.host],
    'by the address that was found first',
  );
  await bench.stop();
  t.equal(bench.clock.pending, 0);
});

t.test('a source that fails is asked again, later each time', async t => {
  const source = new TestSource('dns', [at('10.0.0.1', 'dns')]);
  source.failures = 3;
  const bench = new Bench([source]);
  bench.run();
  await bench.clock.advance(9000);
  t.equal(source.searches, 1);
  await bench.clock.advance(61_000 + 1000);
  t.equal(source.searches, 4);
  t.equal(bench.tried.length > 0, true);
  await bench.stop();
});

t.test('a network that comes back makes everybody worth an attempt again', async t => {
  const bench = new Bench([new TestSource('fixed', many('fixed', 3))]);
  bench.run();
  await bench.clock.advance(3600_000);
  const before = bench.tried.length;
  bench.candidates.networkChanged();
  await bench.clock.advance(1500);
  t.equal(bench.tried.length, before + 3);
  await bench.stop();
});

t.test('what is not ours is no candidate', async t => {
  const tells = [
    at('10.0.0.1', 'mdns', { overlay: 'office' }),
    at('10.0.0.2', 'mdns', { overlay: 'home', nodeId: NODE }),
    at('10.0.0.3', 'mdns', { overlay: 'home', nodeId: OTHER_NODE }),
    at('fe80::3%eth0', 'mdns', { overlay: 'home', nodeId: OTHER_NODE }),
  ];
  const bench = new Bench([new TestSource('mdns', tells)]);
  bench.run(() => true);
  await bench.clock.advance(60_000);
  t.same(
    bench.tried.map(({ host }) => host),
    ['10.0.0.3'],
    'other overlays, we ourselves, and further addresses of who is proven',
  );
  bench.candidates.failed(at('10.0.0.3', 'mdns'), 'other-overlay');
  await bench.clock.advance(60_000);
  t.notOk(
    bench.tried.slice(1).some(({ host }) => host === '10.0.0.3'),
    'is left alone for long',
  );
  await bench.stop();
});

t.test('no source fills the memory', async t => {
  const book = newCandidateBook('home', () => 0.5);
  for (const candidate of many('mdns', 200, '10.1.0').concat(many('mdns', 200, '10.2.0')))
    stepBook(book, { kind: 'found', now: 0, candidate });
  stepBook(book, { kind: 'found', now: 0, candidate: at('10.3.0.1', 'dns') });
  t.equal(book.entries.size, MAX_OF_A_SOURCE + 1);
  stepBook(book, {
    kind: 'failed',
    now: 0,
    candidate: at('10.1.0.5', 'mdns'),
    reason: 'no-answer',
  });
  stepBook(book, { kind: 'found', now: 1, candidate: at('10.4.0.1', 'mdns') });
  t.ok(book.entries.has('tls 10.4.0.1 5061'), 'who failed makes room');
  t.notOk(book.entries.has('tls 10.1.0.5 5061'));
});

t.test('who waits for a candidate gets none after it has given up', async t => {
  const source = new TestSource('mdns');
  const bench = new Bench([source]);
  bench.candidates.start();
  const patience = new AbortController();
  const first = bench.candidates.next(patience.signal);
  const second = bench.candidates.next(new AbortController().signal);
  patience.abort();
  await t.rejects(first);
  source.search_?.found(at('10.0.0.1', 'mdns'));
  t.equal((await second).host, '10.0.0.1');
  const third = bench.candidates.next(new AbortController().signal);
  await Promise.all([t.rejects(third, 'nor after the end'), bench.stop()]);
});

t.test('names of the configuration', async t => {
  t.same(parseBootstrap('ring.example.net'), {
    host: 'ring.example.net',
    port: 5061,
    transport: 'tls',
  });
  t.same(parseBootstrap('[2001:db8::7]:5080;transport=TCP'), {
    host: '2001:db8::7',
    port: 5080,
    transport: 'tcp',
  });
  for (const bad of ['', 'bob@192.0.2.1', '192.0.2.1:99999', 'a b', 'h;transport=ws', 'h:0'])
    t.throws(() => parseBootstrap(bad), { code: 'BAD_BOOTSTRAP' }, bad);

  const clock = new VirtualClock();
  let known = false;
  const asked: string[] = [];
  const source = new FixedSource({
    clock,
    logger,
    bootstrap: ['192.0.2.7', 'ring.example.net:5071', 'gone.example.net'].map(parseBootstrap),
    resolve: async uri => {
      if (!('host' in uri)) return [];
      asked.push(`${uri.host}:${uri.port}`);
      if (!known || uri.host.startsWith('gone')) throw new Error('no such host');
      const endpoint = { address: '192.0.2.8', port: uri.port ?? 0 };
      return [{ protocol: 'TLS', endpoint }];
    },
  });
  const found: string[] = [];
  const over = new AbortController();
  const search = source.search({
    overlay: 'home',
    found: ({ host, port }) => found.push(`${host}:${port}`),
    signal: over.signal,
  });
  await clock.advance(1000);
  t.same(found, ['192.0.2.7:5061']);
  t.same(asked, ['ring.example.net:5071', 'gone.example.net:5061']);
  known = true;
  await clock.advance(30_000);
  t.same(found.slice(1), ['192.0.2.8:5071'], 'what is not found is looked up again');
  over.abort();
  await search;
  t.equal(clock.pending, 0);
});

t.test('super-nodes that were reached are remembered', async t => {
  const clock = new VirtualClock();
  const store = new CountingStore();
  const options = { store, clock, logger, overlay: 'home' };
  const remembered = await RememberedPeers.load(options);
  const hosts = () => remembered.peers.map(({ host }) => host);

  for (const candidate of many('mdns', 60, '10.1.0')) remembered.proved(candidate);
  remembered.proved(at('2001:db8::1', 'dns', { nodeId: NODE }));
  remembered.proved(at('192.0.2.1', 'fixed'));
  t.equal(hosts().length, MAX_PEERS);
  t.same(new Set(hosts().slice(0, 3)), new Set(['192.0.2.1', '2001:db8::1', '10.1.0.60']));
  t.equal(store.writes, 0);
  await clock.advance(FIRST_WRITE_MS);
  t.equal(store.writes, 1, 'written after a moment, once');

  for (let i = 0; i < 100; i++) {
    remembered.proved(at('10.1.0.60', 'mdns'));
    remembered.proved(at('192.0.2.1', 'fixed'));
    await clock.advance(60_000);
  }
  t.equal(store.writes, 1, 'who is reached again is no news');
  for (let i = 0; i < 20; i++) {
    remembered.proved(at(`10.2.0.${i}`, 'mdns'));
    await clock.advance(60_000);
  }
  const most = 1 + Math.ceil((20 * 60_000) / WRITE_EVERY_MS) + 1;
  t.ok(store.writes <= most, `${store.writes} writes`);
  await remembered.close();
  const again = await RememberedPeers.load(options);
  t.same(new Set(again.peers), new Set(remembered.peers), 'and they are there at the next start');
  t.ok(again.peers.some(({ nodeId }) => nodeId === NODE));
  t.equal(clock.pending, 0);
});

t.test('who is not reached is forgotten in the end, but not for want of a network', async t => {
  const clock = new VirtualClock();
  const store = new MemoryStore();
  const remembered = await RememberedPeers.load({ store, clock, logger, overlay: 'home' });
  const [dead, alive] = [at('10.0.0.1', 'mdns'), at('10.0.0.2', 'mdns')];
  for (const each of [dead, alive]) remembered.proved(each);
  const search = (reached: readonly Candidate[], missed: readonly Candidate[]) => {
    void remembered.search({
      overlay: 'home',
      found: () => {},
      signal: new AbortController().signal,
    });
    for (let i = 0; i < 5; i++) for (const each of missed) remembered.failed(each);
    for (const each of reached) remembered.proved(each);
  };
  for (let i = 0; i < 50; i++) search([], [dead, alive]);
  t.equal(remembered.peers.length, 2, 'fifty starts without a cable');
  for (let i = 1; i < MAX_MISSES; i++) search([alive], [dead]);
  t.equal(remembered.peers.length, 2);
  t.equal(remembered.peers[0]?.host, '10.0.0.2', 'who was reached comes first');
  search([alive], [dead]);
  t.same(
    remembered.peers.map(({ host }) => host),
    ['10.0.0.2'],
  );
  await remembered.close();
});

t.test('what is no record of peers is passed over', async t => {
  const store = new MemoryStore();
  const good = { host: '10.0.0.1', port: 5061, transport: 'tls', misses: 0 };
  const bad = [
    null,
    7,
    {},
    { ...good, host: 'name' },
    { ...good, port: 0 },
    { ...good, transport: 'x' },
  ];
  await store.set('peers/home', { peers: [...bad, good] });
  const options = { store, clock: new VirtualClock(), logger };
  const remembered = await RememberedPeers.load({ ...options, overlay: 'home' });
  t.same(
    remembered.peers.map(({ host }) => host),
    ['10.0.0.1'],
  );
  await store.set('peers/home', { peers: 'none' });
  t.same((await RememberedPeers.load({ ...options, overlay: 'home' })).peers, []);
  await t.rejects(RememberedPeers.load({ ...options, overlay: '../x' }), { code: 'BAD_NAME' });
});

t.test(
  'a super-node that announces itself by mDNS is a candidate within a second or two',
  async t => {
    for (const [nodeAddress, phoneAddress] of [
      ['10.0.0.1', '10.0.0.2'],
      ['fe80::1', 'fe80::2'],
    ] as const) {
      const clock = new VirtualClock();
      const net = new VirtualNetwork({ clock, seed: 3 });
      const linksAt = (address: string, seed: number) => {
        const random = new SeededRandom(seed);
        return new MdnsLinks({ clock, logger, network: net.host(address), random });
      };
      const random = new SeededRandom(5);
      const advertiser = new MdnsAdvertiser({
        clock,
        logger,
        random,
        links: linksAt(nodeAddress, 1),
      });
      await advertiser.start({ name: 'alice', port: 5060, deviceId: 'd1' });
      const texts = ['txtvers=1', 'overlay=home', `node=${NODE}`];
      const services = [{ type: '_ringline._tcp', port: 5061, texts }];
      advertiser.publish('super-node', { name: NODE.slice(0, 16), services });
      const source = new MdnsSource({ clock, random, links: linksAt(phoneAddress, 2) });
      const found: Candidate[] = [];
      const over = new AbortController();
      const search = source.search({
        overlay: 'home',
        found: each => found.push(each),
        signal: over.signal,
      });
      await clock.advance(1500);
      const host = nodeAddress.startsWith('fe80') ? `${nodeAddress}%virtual0` : nodeAddress;
      const wanted = { host, port: 5061, transport: 'tls', overlay: 'home', nodeId: NODE };
      t.same(found[0], { ...wanted, source: 'mdns' });
      t.notOk(
        found.some(({ port }) => port === 5060),
        'a phone is none',
      );
      found.length = 0;
      advertiser.publish('super-node', {
        name: NODE.slice(0, 16),
        services: [{ type: '_ringline._tcp', port: 5060, texts: [...texts, 'transport=tcp'] }],
      });
      await clock.advance(1500);
      t.match(found.at(-1), { host, port: 5060, transport: 'tcp' }, 'what changes is told');
      over.abort();
      const stopped = Promise.all([search, advertiser.stop()]);
      await clock.advance(100);
      await stopped;
      t.equal(clock.pending, 0, 'nothing is left of either');
    }
  },
);
