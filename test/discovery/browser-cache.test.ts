import t from 'tap';
import type { InterfaceAddress } from '../../src/core/network.js';
import { MAX_PHONES, step, wakeAt } from '../../src/discovery/mdns/browser-cache.js';
import {
  type BrowserAction,
  type BrowserEvent,
  newBrowserState,
  type Question,
} from '../../src/discovery/mdns/browser-state.js';
import { escapeLabel } from '../../src/discovery/mdns/dns-name.js';
import { type PhoneRecord, SERVICE } from '../../src/discovery/mdns/dns-records.js';
import { MAX_ADDRESSES_PER_HOST } from '../../src/discovery/mdns/host-addresses.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';

const ETH0: InterfaceAddress = {
  name: 'eth0',
  address: '169.254.7.1',
  family: 'IPv4',
  prefix: 16,
  internal: false,
};
const LO: InterfaceAddress = {
  name: 'lo',
  address: '127.0.0.1',
  family: 'IPv4',
  prefix: 8,
  internal: true,
};

/** A browser on virtual time: it wakes when it asked to be woken, and remembers what it did and when. */
class Bench {
  now = 0;
  readonly log: (BrowserAction & { at: number })[] = [];
  readonly #state;

  constructor(seed = 1) {
    const random = new SeededRandom(seed);
    this.#state = newBrowserState(() => random.unit());
  }

  start(): this {
    this.network([ETH0, LO]);
    return this;
  }

  network(addresses: readonly InterfaceAddress[]): void {
    this.#take({ kind: 'network', now: this.now, addresses });
  }

  ask(): void {
    this.#take({ kind: 'ask', now: this.now });
  }

  hear(
    records: readonly PhoneRecord[],
    link = 'eth0',
    direct = false,
    source = '169.254.7.2',
  ): void {
    this.#take({ kind: 'heard', now: this.now, link, source, records, direct });
  }

  overhear(questions: readonly Question[], known: readonly string[] = []): void {
    this.#take({ kind: 'overheard', now: this.now, linkId: 'eth0 IPv4', questions, known });
  }

  doubt(name: string): void {
    this.#take({ kind: 'doubt', now: this.now, name });
  }

  advance(ms: number): void {
    const until = this.now + ms;
    for (let at = wakeAt(this.#state); at <= until; at = wakeAt(this.#state)) {
      if (at < this.now) throw new Error(`wants to be woken at ${at}, and it is ${this.now}`);
      this.now = at;
      this.#take({ kind: 'due', now: at });
    }
    this.now = until;
  }

  #take(event: BrowserEvent): void {
    for (const action of step(this.#state, event)) this.log.push({ ...action, at: this.now });
    if (wakeAt(this.#state) <= this.now) throw new Error('wants to be woken at once, for ever');
  }

  get size() {
    const { instances, hosts } = this.#state;
    return {
      instances: instances.size,
      hosts: hosts.size,
      addresses: Math.max(0, ...[...hosts.values()].map(each => each.size)),
    };
  }

  /** What was said of phones, and nothing of it said again. */
  told(): string[] {
    const told = this.log.flatMap(each =>
      each.kind === 'query' ? [] : `${each.kind} ${each.phone.name}`,
    );
    this.log.length = 0;
    return told;
  }

  /** `time in s: questions` */
  asked(): string[] {
    const asked = this.log.flatMap(each => {
      if (each.kind !== 'query') return [];
      const questions = each.questions.map(({ type, name }) => `${type} ${name}`);
      return `${(each.at / 1000).toFixed(1)} ${questions.join(', ')}`;
    });
    this.log.length = 0;
    return asked;
  }

  phone(name: string) {
    return [...this.#state.instances.values()].find(each => each.name === name)?.seen;
  }
}

interface Said {
  ttl?: number;
  address?: string;
  port?: number;
  flush?: boolean;
}

function pointer(name: string, ttl = 4500): PhoneRecord {
  return {
    type: 'PTR',
    name: SERVICE,
    instance: `${escapeLabel(name)}.${SERVICE}`,
    ttl,
    flush: false,
  };
}

function server(name: string, { ttl = 120, port = 5060 }: Said = {}): PhoneRecord {
  const full = `${escapeLabel(name)}.${SERVICE}`.toLowerCase();
  return { type: 'SRV', name: full, host: `${name}-host.local`, port, ttl, flush: true };
}

function text(name: string, ttl = 4500): PhoneRecord {
  const full = `${escapeLabel(name)}.${SERVICE}`.toLowerCase();
  return { type: 'TXT', name: full, texts: ['txtvers=1', 'ID=a1b2', 'id=other'], ttl, flush: true };
}

function address(
  name: string,
  { ttl = 120, address: a = '169.254.9.9', flush = true }: Said = {},
): PhoneRecord {
  const type = a.includes(':') ? 'AAAA' : 'A';
  return { type, name: `${name}-host.local`.toLowerCase(), address: a, ttl, flush };
}

function announcement(name: string, said: Said = {}): PhoneRecord[] {
  const { ttl } = said;
  return [pointer(name, ttl), server(name, said), text(name, ttl), address(name, said)];
}

t.test(
  'a phone that announces itself whole is up at once, whatever the order of its records',
  async t => {
    for (const records of [announcement('Alice'), announcement('Alice').reverse()]) {
      const bench = new Bench().start();
      bench.hear(records);
      t.same(bench.told(), ['up Alice']);
      t.match(bench.phone('Alice'), {
        name: 'Alice',
        deviceId: 'a1b2',
        host: 'Alice-host.local',
        interfaceName: 'eth0',
        endpoints: [{ address: '169.254.9.9', port: 5060 }],
      });
    }
  },
);

t.test('where else a phone takes calls is heard, changes, and is no nonsense', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('Alice'));
  t.same(bench.phone('Alice')?.ports, {});
  const says = (...texts: string[]) => {
    bench.hear([{ ...text('Alice'), texts: ['txtvers=1', ...texts] } as PhoneRecord]);
    return bench.phone('Alice')?.ports;
  };
  t.same(says('tls=5061', 'TLS=7', 'ws=8080'), { TLS: 5061, WS: 8080 });
  t.same(bench.told(), ['up Alice', 'changed Alice']);
  t.same(says('tls=0', 'ws=65536', 'wss=-1'), {});
  t.same(says('tls=', 'ws=1e3', 'wss=8443 '), {});
});

t.test(
  'the question for phones goes out after 20-120 ms, then at intervals that double up to an hour',
  async t => {
    const bench = new Bench().start();
    bench.advance(5 * 3600_000);
    const times = bench.log.map(({ at }) => at);
    t.ok(times[0]! >= 20 && times[0]! <= 120);
    const pauses = times.slice(1).map((at, index) => Math.round((at - times[index]!) / 1000));
    t.same(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600]);
  },
);

t.test('whoever asks makes the question go out again, at most once a second', async t => {
  const bench = new Bench().start();
  bench.advance(600_000);
  bench.asked();
  for (let i = 0; i < 100; i++) {
    bench.ask();
    bench.advance(10);
  }
  bench.advance(1000);
  t.equal(bench.asked().length, 2);
});

t.test('what is missing is asked for, and again at growing intervals', async t => {
  const bench = new Bench().start();
  bench.advance(100_000);
  bench.asked();
  bench.hear([pointer('bob')]);
  t.same(bench.asked(), []);
  bench.advance(120);
  t.match(bench.asked(), [`TXT bob.${SERVICE}, SRV bob.${SERVICE}`]);
  bench.hear([server('bob'), text('bob')]);
  const from = bench.now;
  bench.advance(7100);
  t.same(
    bench.log.map(({ at }) => Math.round((at - from) / 1000)),
    [1, 3, 7],
  );
  const missing = 'A bob-host.local, AAAA bob-host.local';
  t.match(bench.asked(), [missing, missing, missing]);
  bench.hear([address('bob')]);
  t.same(bench.told(), ['up bob']);
  bench.advance(15_000);
  t.same(bench.asked(), [], 'nothing is missing any more');
});

t.test('what is missing, and another host has just asked for, is not asked', async t => {
  const bench = new Bench().start();
  bench.advance(100_000);
  bench.asked();
  bench.hear([pointer('bob'), server('bob')]);
  bench.overhear([{ type: 'A', name: 'bob-host.local' }]);
  bench.advance(900);
  t.same(bench.asked(), []);
  bench.advance(200);
  t.equal(bench.asked().length, 1, 'unless nobody answers');
});

t.test(
  'records are asked for again at 80, 85, 90 and 95% of their life, then the phone is down',
  async t => {
    const bench = new Bench().start();
    bench.advance(1024_000);
    bench.hear(announcement('carol', { ttl: 1000 }));
    bench.told();
    const from = bench.now;
    bench.advance(999_900);
    const asked = bench.log.filter(
      each => each.kind === 'query' && each.questions.some(({ type }) => type === 'SRV'),
    );
    const parts = asked.map(({ at }) => (at - from) / 1_000_000);
    t.equal(parts.length, 4);
    for (const [index, part] of [0.8, 0.85, 0.9, 0.95].entries()) {
      t.ok(parts[index]! >= part && parts[index]! <= part + 0.02, `${parts[index]}`);
    }
    t.ok(
      bench.log.some(
        each => each.kind === 'query' && each.questions.some(({ type }) => type === 'A'),
      ),
    );
    t.same(bench.told(), []);
    bench.advance(200);
    t.same(bench.told(), ['down carol']);
  },
);

t.test('a phone that answers the refresh stays up, and a day brings no news of it', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('dave'));
  bench.told();
  for (let i = 0; i < 24 * 720; i++) {
    const before = bench.log.length;
    bench.advance(5000);
    if (bench.log.length > before) bench.hear(announcement('dave'));
  }
  t.same(bench.told(), []);
});

t.test(
  'a phone that says goodbye is gone a second later, unless it comes back in that second',
  async t => {
    const bench = new Bench().start();
    bench.hear(announcement('eve'));
    bench.told();
    bench.hear(announcement('eve', { ttl: 0 }));
    bench.advance(990);
    t.same(bench.told(), []);
    bench.hear(announcement('eve'));
    bench.advance(5000);
    t.same(bench.told(), []);
    bench.hear(announcement('eve', { ttl: 0 }));
    bench.advance(1000);
    t.same(bench.told(), ['down eve']);
    t.same(bench.size, { instances: 0, hosts: 0, addresses: 0 });
    bench.hear(announcement('eve', { ttl: 0 }));
    t.same(
      bench.size,
      { instances: 0, hosts: 0, addresses: 0 },
      'a goodbye of a stranger is not kept',
    );
  },
);

t.test(
  'a new address with the cache-flush bit drives out the old one after a second, on its link only',
  async t => {
    const bench = new Bench().start();
    bench.hear(announcement('frank', { address: '169.254.1.1' }));
    bench.hear([address('frank', { address: '169.254.1.2' })]);
    bench.hear([address('frank', { address: '10.0.0.1' })], 'wlan0');
    bench.advance(3000);
    const addresses = () => bench.phone('frank')?.endpoints.map(each => each.address);
    t.same(
      addresses(),
      ['169.254.1.1', '169.254.1.2', '10.0.0.1'],
      'records of one second belong together',
    );
    bench.hear([address('frank', { address: '169.254.1.3' })]);
    bench.advance(1100);
    t.same(addresses(), ['169.254.1.3', '10.0.0.1']);
    bench.hear([address('frank', { address: '169.254.1.4', ttl: 0, flush: false })]);
    t.same(addresses(), ['169.254.1.3', '10.0.0.1'], 'a goodbye makes no address known');
  },
);

t.test('a pulled cable is no goodbye: when it is back, phones are asked for', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('kim', { ttl: 4500 }));
  bench.advance(600_000);
  t.same(bench.told(), ['up kim']);
  bench.network([LO]);
  bench.advance(5000);
  bench.network([ETH0, LO]);
  bench.log.length = 0;
  bench.advance(200);
  t.match(bench.asked(), [/^605\.[012] PTR/]);
  t.ok(bench.phone('kim'));
});

t.test(
  'where a cable comes back, who does not answer within ten seconds is forgotten (RFC 6762 §10.3)',
  async t => {
    const bench = new Bench().start();
    bench.hear([...announcement('kim'), ...announcement('lea')]);
    bench.network([LO]);
    bench.advance(5000);
    bench.told();
    bench.network([ETH0, LO]);
    bench.advance(150);
    const known = bench.log.flatMap(each => (each.kind === 'query' ? each.known : []));
    t.same(known, [], 'both are asked to answer, known or not');
    bench.hear(announcement('lea'));
    bench.advance(9700);
    t.same(bench.told(), []);
    bench.advance(300);
    t.same(bench.told(), ['down kim']);
  },
);

t.test(
  'a phone in doubt is asked for, by unicast too, and forgotten unless it answers (RFC 6762 §10.4)',
  async t => {
    for (const answers of [true, false]) {
      const bench = new Bench().start();
      bench.hear([...announcement('mia'), ...announcement('noa')]);
      bench.advance(2000);
      bench.log.length = 0;
      bench.doubt('MIA');
      bench.doubt('nobody');
      const [query] = bench.log;
      t.match(query, { kind: 'query', directly: [{ address: '169.254.9.9', link: 'eth0' }] });
      t.same(bench.asked(), [`2.0 SRV mia.${SERVICE}, A mia-host.local, AAAA mia-host.local`]);
      bench.advance(5000);
      if (answers) bench.hear([server('mia', { ttl: 10 })], 'eth0', true);
      bench.advance(5001);
      t.same(bench.told(), answers ? [] : ['down mia']);
      if (!answers) continue;
      bench.advance(60_000);
      t.same(bench.told(), [], 'a short life in a direct answer says nothing (RFC 6762 §6.7)');
    }
  },
);

t.test(
  'questions of others that nobody answers speak for the phone being gone (RFC 6762 §10.5)',
  async t => {
    const bench = new Bench().start();
    bench.hear([...announcement('ole'), ...announcement('pia')]);
    bench.told();
    const ask = (name: string) => bench.overhear([{ type: 'A', name: `${name}-host.local` }]);
    ask('ole');
    bench.advance(11_000);
    t.same(bench.told(), [], 'one question may be lost');
    for (const name of ['ole', 'pia']) ask(name);
    bench.advance(1000);
    for (const name of ['ole', 'pia']) ask(name);
    bench.advance(500);
    bench.hear([address('pia')]);
    bench.advance(8400);
    t.same(bench.told(), []);
    bench.advance(200);
    t.same(bench.told(), ['down ole']);
  },
);

t.test(
  'what another host has just asked is not asked again, unless it knows more than we do (RFC 6762 §7.3)',
  async t => {
    const bench = new Bench().start();
    const PTR = { type: 'PTR', name: SERVICE } as const;
    bench.overhear([PTR], [`stranger.${SERVICE}`]);
    bench.advance(150);
    const exceptions = () =>
      bench.log.splice(0).flatMap(each => (each.kind === 'query' ? [each.exceptOn] : []));
    t.same(exceptions(), [[]]);
    bench.advance(850);
    bench.overhear([PTR]);
    bench.advance(150);
    t.same(exceptions(), [['eth0 IPv4']]);
    bench.advance(3000);
    t.same(exceptions(), [[]]);
  },
);

t.test('a phone that does not answer its refresh is asked by unicast at last', async t => {
  const bench = new Bench().start();
  bench.advance(1024_000);
  bench.hear([pointer('rio'), server('rio', { ttl: 1000 }), address('rio', { ttl: 4500 })]);
  bench.log.length = 0;
  bench.advance(999_000);
  const direct = bench.log.map(each => each.kind === 'query' && each.directly.length);
  t.same(direct.slice(-4), [0, 0, 1, 1]);
});

t.test('a goodbye of another server does not take the phone away', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('grace'));
  bench.told();
  bench.hear([{ ...server('grace', { ttl: 0 }), host: 'rival.local' } as PhoneRecord]);
  bench.advance(2000);
  t.same(bench.told(), []);
});

t.test(
  'addresses are ordered by how well they can be reached, and impossible ones dropped',
  async t => {
    const bench = new Bench().start();
    bench.hear(announcement('heidi', { address: 'fe80::1' }));
    const more = [
      '2001:db8::5',
      '192.0.2.1',
      '169.254.3.3',
      '127.0.0.1',
      '0.0.0.0',
      '224.0.0.5',
      '255.255.255.255',
      'ff02::1',
      '::',
      '::1',
    ];
    bench.hear(more.map(each => address('heidi', { address: each, flush: false })));
    t.same(
      bench.phone('heidi')?.endpoints.map(each => each.address),
      ['169.254.3.3', '192.0.2.1', '2001:db8::5', 'fe80::1%eth0'],
    );
    bench.hear([address('heidi', { address: '127.0.0.1', flush: false })], 'lo');
    t.equal(
      bench.phone('heidi')?.endpoints.at(-1)?.address,
      '127.0.0.1',
      'on this host it can be reached',
    );
  },
);

t.test('a phone without a port cannot be called', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('ivan', { port: 0 }));
  t.same(bench.told(), []);
});

t.test('names with spaces, dots and any script are names; control characters are not', async t => {
  const bench = new Bench().start();
  for (const name of ['Dr. Müller (Büro)', '会議室', 'tab\there', '\u001b[2J'])
    bench.hear(announcement(name));
  t.same(bench.told(), ['up Dr. Müller (Büro)', 'up 会議室']);
  const dotted = new Bench().start();
  dotted.advance(100_000);
  dotted.asked();
  dotted.hear([pointer('Dr. No')]);
  dotted.advance(120);
  t.match(dotted.asked(), [`TXT Dr\\. No.${SERVICE}, SRV Dr\\. No.${SERVICE}`]);
});

t.test('phones known for more than half their time need not answer', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('judy', { ttl: 1000 }));
  bench.hear([pointer('nobody')]);
  bench.advance(150);
  const known = bench.log.flatMap(each => (each.kind === 'query' ? each.known : []));
  t.same(known, [{ instance: `judy.${SERVICE}`, ttl: 999 }]);
  bench.advance(600_000);
  bench.log.length = 0;
  bench.ask();
  bench.advance(150);
  t.same(
    bench.log.map(each => each.kind === 'query' && each.known),
    [[]],
  );
});

t.test(
  'a flood of names grows nothing beyond the limits, moves no real phone and asks little',
  async t => {
    const bench = new Bench().start();
    bench.hear(announcement('mallory-knows-me'));
    for (let i = 0; i < 2 * MAX_PHONES; i++) bench.hear([pointer(`bogus${i}`)]);
    t.equal(bench.size.instances, MAX_PHONES);
    t.ok(bench.phone('mallory-knows-me'));
    bench.hear(announcement('late'));
    for (let i = 0; i < 100; i++)
      bench.hear([address('late', { address: `169.254.4.${i}`, flush: false })]);
    t.same(bench.told(), [
      'up mallory-knows-me',
      'up late',
      ...Array(MAX_ADDRESSES_PER_HOST - 1).fill('changed late'),
    ]);
    t.equal(bench.size.addresses, MAX_ADDRESSES_PER_HOST);
    for (let i = 0; i < 2 * MAX_PHONES; i++) {
      bench.hear([{ ...server('late'), host: `host${i}.local` } as PhoneRecord]);
    }
    t.ok(bench.size.hosts <= MAX_PHONES + 1);
    bench.log.length = 0;
    bench.advance(10_000);
    const questions = bench.log.flatMap(each => (each.kind === 'query' ? each.questions : []));
    t.ok(questions.length < 1000, `${questions.length} questions in 10 s`);
  },
);

t.test('one that tells of a thousand phones that can be reached keeps no other out', async t => {
  const bench = new Bench().start();
  bench.hear(announcement('early'), 'eth0', false, '169.254.7.3');
  for (let i = 0; i < 2 * MAX_PHONES; i++) {
    bench.hear(announcement(`bogus${i}`), 'eth0', false, '169.254.66.6');
  }
  t.equal(bench.size.instances, MAX_PHONES);
  bench.told();
  for (const name of ['late', 'later'])
    bench.hear(announcement(name), 'eth0', false, '169.254.7.4');
  t.same(bench.told(), ['up late', 'down bogus0', 'up later', 'down bogus1']);
  t.equal(bench.size.instances, MAX_PHONES);
  t.ok(bench.phone('early'));
});

t.test(
  'whatever is heard in whatever order: up, changed and down come in turn, and all ends when all falls silent',
  async t => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed);
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random.unit() * from.length)]!;
      const bench = new Bench(seed).start();
      const up = new Map<string, string>();
      for (let i = 0; i < 150; i++) {
        const said = {
          ttl: pick([0, 1, 60, 120, 4500]),
          address: pick(['169.254.2.1', '10.1.1.1', 'fe80::7']),
        };
        const records = announcement(pick(['a', 'b', 'c', 'd']), said).filter(
          () => random.unit() < 0.7,
        );
        bench.hear(records, pick(['eth0', 'wlan0']));
        bench.advance(random.unit() ** 4 * 200_000);
      }
      bench.advance(2 * 3600_000);
      for (const each of bench.log) {
        if (each.kind === 'query') continue;
        const before = up.get(each.phone.name);
        const wrong = each.kind === 'up' ? before !== undefined : before === undefined;
        if (wrong) t.fail(`seed ${seed}: ${each.kind} ${each.phone.name} after ${before}`);
        if (each.kind === 'down') up.delete(each.phone.name);
        else up.set(each.phone.name, each.kind);
      }
      if (up.size > 0 || bench.size.instances > 0)
        t.fail(`seed ${seed}: ${[...up.keys()]} never went down`);
    }
  },
);
