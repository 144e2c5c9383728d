import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { formatUri, parseUri, Via } from '@sip-stack/parser';
import t from 'tap';
import type { CodedError } from '../../src/core/errors.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import {
  CachingDns,
  FAILURE_MS,
  LONGEST_ABSENCE_MS,
} from '../../src/sip/resolution/caching-dns.js';
import type { DnsAnswer, DnsClient, NaptrRecord, SrvRecord } from '../../src/sip/resolution/dns.js';
import type { SipProtocol } from '../../src/sip/resolution/plan.js';
import { responseTarget, sentByUri } from '../../src/sip/resolution/response-path.js';
import { orderServers } from '../../src/sip/resolution/srv-order.js';
import { SystemDns } from '../../src/sip/resolution/system-dns.js';
import {
  type Attempt,
  FIRST_PENALTY_MS,
  LONGEST_PENALTY_MS,
  TargetHealth,
} from '../../src/sip/resolution/target-health.js';
import {
  RESOLUTION_LIMIT_MS,
  type Target,
  TargetResolver,
  type TargetResolverOptions,
} from '../../src/sip/resolution/target-resolver.js';

const ALL: readonly SipProtocol[] = ['UDP', 'TCP', 'TLS', 'WS', 'WSS'];
const USUAL: readonly SipProtocol[] = ['UDP', 'TCP', 'TLS'];
const TTL_MS = 300_000;

/** `failed` answers at once that nobody knows, `silent` never answers. */
type Zone = Readonly<Record<string, readonly unknown[] | 'failed' | 'silent'>>;

class ZoneDns implements DnsClient {
  readonly questions: string[] = [];
  zone: Zone;
  ttlMs = TTL_MS;

  constructor(zone: Zone) {
    this.zone = zone;
  }

  naptr(name: string): Promise<DnsAnswer<NaptrRecord>> {
    return this.#answer(`NAPTR ${name}`);
  }
  srv(name: string): Promise<DnsAnswer<SrvRecord>> {
    return this.#answer(`SRV ${name}`);
  }
  a(name: string): Promise<DnsAnswer<string>> {
    return this.#answer(`A ${name}`);
  }
  aaaa(name: string): Promise<DnsAnswer<string>> {
    return this.#answer(`AAAA ${name}`);
  }

  async #answer<T>(question: string): Promise<DnsAnswer<T>> {
    this.questions.push(question);
    const known = this.zone[question] ?? this.zone['*'];
    if (known === 'silent') return new Promise(() => undefined);
    if (known === 'failed') return { type: 'failed', reason: 'refused' };
    if (known === undefined) return { type: 'absent', ttlMs: this.ttlMs };
    return { type: 'found', records: known as readonly T[], ttlMs: this.ttlMs };
  }
}

const srv = (name: string, priority = 0, weight = 0, port = 5060): SrvRecord => ({
  name,
  priority,
  weight,
  port,
});

const naptr = (
  order: number,
  preference: number,
  service: string,
  replacement: string,
  flags = 's',
): NaptrRecord => ({ order, preference, flags, service, regexp: '', replacement });

interface Fixture extends Partial<TargetResolverOptions> {
  readonly zone?: Zone;
}

function fixture({ zone = {}, ...options }: Fixture = {}) {
  const clock = new VirtualClock();
  const dns = new ZoneDns(zone);
  const resolver = new TargetResolver({
    dns,
    lookup: async () => [],
    clock,
    random: new SeededRandom(1),
    protocols: USUAL,
    families: () => ['IPv6', 'IPv4'],
    ...options,
  });
  /** Targets as `UDP 192.0.2.1 5060 tls-name`, or the code of the error. */
  const resolve = async (uri: string): Promise<readonly string[] | string> => {
    const outcome = settled(resolver, uri);
    await clock.advance(0);
    return outcome;
  };
  return { clock, dns, resolver, resolve };
}

async function settled(resolver: TargetResolver, uri: string): Promise<readonly string[] | string> {
  try {
    return (await resolver.resolve(parseUri(uri))).map(inShort);
  } catch (error) {
    return (error as CodedError).code;
  }
}

function inShort({ protocol, endpoint, tlsName }: Target): string {
  const { address, port } = endpoint;
  return [protocol, address, port, tlsName].filter(part => part !== undefined).join(' ');
}

t.test('an address says everything by itself', async t => {
  const { dns, resolve } = fixture({ protocols: ALL });
  const cases: Readonly<Record<string, readonly string[] | string>> = {
    'sip:192.0.2.1': ['UDP 192.0.2.1 5060'],
    'sip:192.0.2.1:5070': ['UDP 192.0.2.1 5070'],
    'sip:[2001:db8::1]': ['UDP 2001:db8::1 5060'],
    'sip:[fe80::1%25eth0]:5062': ['UDP fe80::1%eth0 5062'],
    'sip:192.0.2.1;transport=tcp': ['TCP 192.0.2.1 5060'],
    'sip:192.0.2.1;transport=TLS': ['TLS 192.0.2.1 5061'],
    'sip:192.0.2.1;transport=ws': ['WS 192.0.2.1 80'],
    'sip:192.0.2.1;transport=wss': ['WSS 192.0.2.1 443'],
    'sips:192.0.2.1': ['TLS 192.0.2.1 5061'],
    'sips:192.0.2.1;transport=tcp': ['TLS 192.0.2.1 5061'],
    'sips:192.0.2.1;transport=ws': ['WSS 192.0.2.1 443'],
    'sips:192.0.2.1;transport=udp': 'UNSUPPORTED_TRANSPORT',
    'sip:192.0.2.1;transport=sctp': 'UNSUPPORTED_TRANSPORT',
    'sip:example.com;maddr=192.0.2.9': ['UDP 192.0.2.9 5060'],
    'sip:example.com;maddr=[2001:db8::9]': ['UDP 2001:db8::9 5060'],
    'sips:example.com;maddr=192.0.2.9': ['TLS 192.0.2.9 5061 example.com'],
    'tel:+12015550123': 'UNSUPPORTED_URI',
  };
  for (const [uri, expected] of Object.entries(cases))
    t.strictSame(await resolve(uri), expected, uri);
  t.strictSame(dns.questions, []);

  const plain = fixture({ protocols: ['UDP'] });
  t.equal(await plain.resolve('sips:192.0.2.1'), 'UNSUPPORTED_TRANSPORT');
  t.equal(await plain.resolve('sip:192.0.2.1;transport=tcp'), 'UNSUPPORTED_TRANSPORT');
  const web = fixture({ protocols: ['WSS', 'TLS'] });
  t.strictSame(await web.resolve('sip:192.0.2.1'), ['TLS 192.0.2.1 5061']);
});

t.test('a name with a port has addresses and no services', async t => {
  const zone = { 'A example.com': ['192.0.2.1', '192.0.2.2'], 'AAAA example.com': ['2001:db8::1'] };
  const { dns, resolve } = fixture({ zone });
  t.strictSame(await resolve('sip:example.com:5070'), [
    'UDP 2001:db8::1 5070',
    'UDP 192.0.2.1 5070',
    'UDP 192.0.2.2 5070',
  ]);
  t.strictSame(dns.questions, ['AAAA example.com', 'A example.com']);
  t.strictSame(await resolve('sips:example.com.:5071'), [
    'TLS 2001:db8::1 5071 example.com',
    'TLS 192.0.2.1 5071 example.com',
    'TLS 192.0.2.2 5071 example.com',
  ]);
  const four = fixture({ zone, families: () => ['IPv4'] });
  t.strictSame(await four.resolve('sip:example.com:5070;transport=tcp'), [
    'TCP 192.0.2.1 5070',
    'TCP 192.0.2.2 5070',
  ]);
  t.strictSame(four.dns.questions, ['A example.com'], 'only families with a route are asked for');
});

t.test('NAPTR chooses the transport, SRV the server and port (RFC 3263 §4.1, §4.2)', async t => {
  const zone: Zone = {
    'NAPTR example.com': [
      naptr(90, 50, 'SIP+D2T', '_sip._tcp.example.com'),
      naptr(100, 50, 'SIP+D2U', '_sip._udp.example.com'),
      naptr(50, 90, 'sips+d2t', '_sips._tcp.secure.example'),
      naptr(50, 10, 'sip+d2s', '_sip._sctp.example.com'),
      naptr(10, 10, 'E2U+email', 'mail.example.com'),
      { ...naptr(10, 10, 'SIP+D2U', '_sip._udp.example.com'), regexp: '!^.*$!sip:x@y.example!' },
      naptr(10, 10, 'SIP+D2U', 'backup.example.com', ''),
    ],
    'SRV _sips._tcp.secure.example': [srv('edge.example', 0, 0, 5071)],
    'SRV _sip._tcp.example.com': [srv('backup.example.com', 2), srv('main.example.com', 1)],
    'SRV _sip._udp.example.com': [srv('main.example.com', 1)],
    'A edge.example': ['192.0.2.3'],
    'A main.example.com': ['192.0.2.1'],
    'A backup.example.com': ['192.0.2.2'],
  };
  t.strictSame(await fixture({ zone }).resolve('sip:example.com'), [
    'TLS 192.0.2.3 5071 example.com',
    'TCP 192.0.2.1 5060',
    'TCP 192.0.2.2 5060',
    'UDP 192.0.2.1 5060',
  ]);
  t.strictSame(
    await fixture({ zone }).resolve('sips:example.com'),
    ['TLS 192.0.2.3 5071 example.com'],
    'a sips address stays secure',
  );
  t.strictSame(await fixture({ zone, protocols: ['UDP'] }).resolve('sip:example.com'), [
    'UDP 192.0.2.1 5060',
  ]);
  const named = fixture({ zone });
  t.strictSame(await named.resolve('sip:example.com;transport=udp'), ['UDP 192.0.2.1 5060']);
  t.notOk(named.dns.questions.includes('NAPTR example.com'), 'a named transport needs no NAPTR');

  const web = fixture({
    protocols: ALL,
    zone: {
      'NAPTR example.com': [
        naptr(2, 0, 'SIP+D2W', 'ws.example.com', 'A'),
        naptr(1, 0, 'SIPS+D2W', '_wss.example.com'),
      ],
      'SRV _wss.example.com': [srv('edge.example.com', 0, 0, 8443)],
      'A ws.example.com': ['192.0.2.4'],
      'A edge.example.com': ['192.0.2.5'],
    },
  });
  t.strictSame(await web.resolve('sip:ws.example.com;transport=ws'), ['WS 192.0.2.4 80']);
  t.strictSame(await web.resolve('sip:example.com'), [
    'WSS 192.0.2.5 8443 example.com',
    'WS 192.0.2.4 80',
  ]);
});

t.test(
  'without NAPTR the SRV records of every transport count, without SRV the addresses',
  async t => {
    const zone: Zone = {
      'SRV _sips._tcp.example.com': [srv('a.example', 0, 0, 5061)],
      'SRV _sip._udp.example.com': [srv('a.example', 0, 0, 5066)],
      'A a.example': ['192.0.2.1'],
      'A plain.example': ['192.0.2.2'],
    };
    const { dns, resolve } = fixture({ zone });
    t.strictSame(await resolve('sip:example.com'), [
      'UDP 192.0.2.1 5066',
      'TLS 192.0.2.1 5061 example.com',
    ]);
    t.equal(dns.questions.filter(asked => asked === 'A a.example').length, 1, 'asked once');
    t.strictSame(await resolve('sip:plain.example'), ['UDP 192.0.2.2 5060']);
    t.strictSame(await resolve('sips:plain.example'), ['TLS 192.0.2.2 5061 plain.example']);
    t.strictSame(await resolve('sip:plain.example;transport=tcp'), ['TCP 192.0.2.2 5060']);
    t.equal(await resolve('sip:nothing.example'), 'NO_SUCH_HOST');
    t.ok(dns.questions.includes('SRV _sip._tcp.nothing.example'));

    const lost = fixture({
      zone: {
        'NAPTR example.com': [naptr(1, 1, 'SIP+D2U', '_sip._udp.gone.example')],
        'SRV _sip._udp.example.com': [srv('a.example')],
        'A a.example': ['192.0.2.1'],
      },
    });
    t.strictSame(
      await lost.resolve('sip:example.com'),
      ['UDP 192.0.2.1 5060'],
      'NAPTR into the void',
    );
  },
);

t.test('a service that is declined is not looked for elsewhere (RFC 2782)', async t => {
  const declined = { 'SRV _sip._udp.example.com': [srv('.')], 'A example.com': ['192.0.2.1'] };
  t.equal(await fixture({ zone: declined }).resolve('sip:example.com'), 'SERVICE_NOT_OFFERED');
  const partly = {
    ...declined,
    'SRV _sip._tcp.example.com': [srv('example.com')],
    'SRV _sips._tcp.example.com': [srv('')],
  };
  t.strictSame(await fixture({ zone: partly }).resolve('sip:example.com'), ['TCP 192.0.2.1 5060']);
  t.equal(await fixture({ zone: partly }).resolve('sips:example.com'), 'SERVICE_NOT_OFFERED');
});

t.test('servers without an address are passed over; each answer is bounded', async t => {
  const names = Array.from({ length: 50 }, (_, n) => `s${n}.example`);
  const addresses = Array.from({ length: 50 }, (_, n) => `192.0.2.${n}`);
  const zone: Zone = {
    'SRV _sip._udp.example.com': names.map((name, n) => srv(name, n)),
    ...Object.fromEntries(names.slice(1).map(name => [`A ${name}`, addresses])),
  };
  const { clock, dns, resolve } = fixture({ zone });
  const targets = await resolve('sip:example.com');
  t.equal(clock.pending, 0, 'no timer is left');
  t.equal(targets.length, 32);
  t.equal(targets[0], 'UDP 192.0.2.0 5060');
  t.equal(targets[8], 'UDP 192.0.2.0 5060', 'eight addresses of each server');
  t.equal(dns.questions.filter(asked => asked.startsWith('A ')).length, 16);

  const records = names.map((name, n) => naptr(n, 0, 'SIP+D2U', name));
  const many = fixture({ zone: { 'NAPTR example.com': records } });
  await many.resolve('sip:example.com');
  t.equal(many.dns.questions.filter(asked => /^SRV s\d/.test(asked)).length, 8);
});

t.test('names of the LAN are no business of the DNS', async t => {
  const asked: string[] = [];
  const { dns, resolve } = fixture({
    zone: { 'A hosts.example': 'failed' },
    lookup: async host => {
      asked.push(host);
      if (host === 'broken') throw new Error('no such thing');
      return host === 'unknown.local' ? [] : ['192.0.2.7', 'fe80::7%eth0', '192.0.2.8'];
    },
  });
  t.strictSame(await resolve('sip:alice.local'), [
    'UDP fe80::7%eth0 5060',
    'UDP 192.0.2.7 5060',
    'UDP 192.0.2.8 5060',
  ]);
  t.strictSame(await resolve('sip:pbx;transport=tcp'), [
    'TCP fe80::7%eth0 5060',
    'TCP 192.0.2.7 5060',
    'TCP 192.0.2.8 5060',
  ]);
  t.equal(await resolve('sip:unknown.local'), 'NO_SUCH_HOST');
  t.equal(await resolve('sip:broken'), 'NO_SUCH_HOST');
  t.strictSame(dns.questions, []);
  t.equal(
    (await resolve('sip:hosts.example')).length,
    3,
    'the hosts file helps where the DNS cannot',
  );
  t.strictSame(asked, ['alice.local', 'pbx', 'unknown.local', 'broken', 'hosts.example']);
});

t.test('a network without DNS fails clearly and within 5 s', async t => {
  const refused = fixture({ zone: { '*': 'failed' } });
  t.equal(await refused.resolve('sip:example.com'), 'NO_DNS_ANSWER');

  const lookup = () => new Promise<never>(() => undefined);
  const { clock, resolver } = fixture({ zone: { '*': 'silent' }, lookup });
  t.equal(RESOLUTION_LIMIT_MS, 5000);
  let outcome: unknown;
  void settled(resolver, 'sip:example.com').then(code => {
    outcome = code;
  });
  await clock.advance(RESOLUTION_LIMIT_MS - 1);
  t.equal(outcome, undefined);
  await clock.advance(1);
  t.equal(outcome, 'NO_DNS_ANSWER');
  t.equal(clock.pending, 0, 'no timer is left');

  const mixed = fixture({ zone: { 'A example.com': 'failed' } });
  t.equal(await mixed.resolve('sip:example.com'), 'NO_DNS_ANSWER', 'silence is no absence');
  const half = fixture({ zone: { 'SRV _sip._tcp.example.com': 'failed' } });
  t.equal(await half.resolve('sip:example.com'), 'NO_DNS_ANSWER');
});

t.test('a router that drops NAPTR costs two seconds, not the call', async t => {
  const { clock, resolver } = fixture({
    zone: {
      'NAPTR example.com': 'silent',
      'SRV _sips._tcp.example.com': 'silent',
      'SRV _sip._udp.example.com': [srv('a.example')],
      'A a.example': ['192.0.2.1'],
      'AAAA a.example': 'silent',
    },
  });
  const outcome = settled(resolver, 'sip:example.com');
  await clock.advance(3500);
  t.strictSame(await outcome, ['UDP 192.0.2.1 5060']);
});

t.test('servers come by priority, and by weight among equals (RFC 2782)', async t => {
  const random = new SeededRandom(42);
  const records = [
    srv('last', 20, 0),
    srv('heavy', 10, 60),
    srv('light', 10, 30),
    srv('lighter', 10, 10),
    srv('never', 10, 0),
  ];
  const rounds = 4000;
  const first = new Map<string, number>();
  const second = new Map<string, number>();
  const count = (tally: Map<string, number>, { name }: SrvRecord) =>
    tally.set(name, (tally.get(name) ?? 0) + 1);
  let inOrder = 0;
  for (let round = 0; round < rounds; round++) {
    const ordered = orderServers(records, random);
    if (ordered.length === 5 && ordered[4]!.name === 'last') inOrder++;
    count(first, ordered[0]!);
    if (ordered[0]!.name === 'heavy') count(second, ordered[1]!);
  }
  t.equal(inOrder, rounds, 'priority before weight');
  const near = (tally: Map<string, number>, name: string, share: number) => {
    const all = [...tally.values()].reduce((sum, n) => sum + n, 0);
    const found = (tally.get(name) ?? 0) / all;
    t.ok(Math.abs(found - share) < 0.025, `${name}: ${found.toFixed(3)}, expected ${share}`);
  };
  near(first, 'heavy', 60 / 101);
  near(first, 'light', 30 / 101);
  near(first, 'lighter', 10 / 101);
  near(first, 'never', 1 / 101);
  t.ok((first.get('never') ?? 0) > 0, 'without weight: seldom, but not never');
  near(second, 'light', 30 / 41);
  near(second, 'lighter', 10 / 41);

  const equal = new Map<string, number>();
  const unweighted = [srv('a'), srv('b'), srv('c')];
  for (let round = 0; round < rounds; round++) count(equal, orderServers(unweighted, random)[0]!);
  for (const name of ['a', 'b', 'c']) near(equal, name, 1 / 3);
  t.same(
    unweighted.map(({ name }) => name),
    ['a', 'b', 'c'],
    'what was handed in is left alone',
  );
  t.same(orderServers([], random), []);
});

t.test('answers are kept as long as they say', async t => {
  const clock = new VirtualClock();
  const dns = new ZoneDns({ 'A a.example': ['192.0.2.1'], 'A down.example': 'failed' });
  const cache = new CachingDns(dns, clock, 3);
  const asked = async (name: string) => {
    const before = dns.questions.length;
    await cache.a(name);
    return dns.questions.length > before;
  };
  t.equal(await asked('a.example'), true);
  t.equal(await asked('A.EXAMPLE'), false);
  await cache.aaaa('a.example');
  t.equal(dns.questions.length, 2, 'another type is another question');
  await clock.advance(TTL_MS - 1);
  t.equal(await asked('a.example'), false);
  await clock.advance(1);
  t.equal(await asked('a.example'), true);

  t.equal(await asked('absent.example'), true);
  await clock.advance(LONGEST_ABSENCE_MS - 1);
  t.equal(await asked('absent.example'), false);
  await clock.advance(1);
  t.equal(await asked('absent.example'), true, 'absence is believed for a minute');

  t.equal(await asked('down.example'), true);
  await clock.advance(FAILURE_MS - 1);
  t.equal(await asked('down.example'), false);
  await clock.advance(1);
  t.equal(await asked('down.example'), true, 'silence for five seconds');

  cache.clear();
  for (const name of ['b', 'c', 'd']) t.equal(await asked(name), true);
  t.equal(await asked('b'), false);
  t.equal(await asked('e'), true);
  t.equal(cache.size, 3);
  t.equal(await asked('b'), false, 'used lately, kept');
  t.equal(await asked('c'), true, 'unused for longest, gone');
  cache.clear();
  t.equal(await asked('b'), true);

  dns.ttlMs = 0;
  t.equal(await asked('zero.example'), true);
  t.equal(await asked('zero.example'), true, 'a lifetime of 0 is not kept');
  dns.ttlMs = 1e12;
  dns.zone = { 'A long.example': ['192.0.2.1'] };
  await asked('long.example');
  await clock.advance(86_400_000);
  t.equal(await asked('long.example'), true, 'nor any for more than a day');

  dns.zone = { '*': 'silent' };
  const together = dns.questions.length;
  void cache.srv('shared');
  void cache.srv('shared');
  t.equal(dns.questions.length, together + 1, 'a question under way is shared');
  await clock.advance(10_000);
  void cache.srv('shared');
  t.equal(dns.questions.length, together + 2, 'but not for ever');
});

t.test('a target that failed stands last for a while (RFC 3263 §4.3)', async t => {
  const target = (host: number): Target => ({
    protocol: 'UDP',
    endpoint: { address: `192.0.2.${host}`, port: 5060 },
  });
  const targets = [target(1), target(2), target(3)];
  const health = new TargetHealth();
  const order = (now: number) =>
    health.order(targets, now).map(({ endpoint }) => Number(endpoint.address.slice(-1)));
  const response = (status: number): Attempt => ({ type: 'response', status });

  t.strictSame(order(0), [1, 2, 3]);
  t.equal(health.report(target(1), { type: 'timeout' }, 0), true);
  t.strictSame(order(0), [2, 3, 1]);
  t.equal(health.report(target(2), response(503), 10), true);
  t.strictSame(order(20), [3, 1, 2], 'who recovers first stands before');
  t.strictSame(order(FIRST_PENALTY_MS - 1), [3, 1, 2]);
  t.strictSame(order(FIRST_PENALTY_MS), [1, 3, 2], 'recovered');

  const later = FIRST_PENALTY_MS;
  t.equal(health.report(target(1), { type: 'transport-error' }, later), true);
  t.strictSame(order(later + 2 * FIRST_PENALTY_MS - 1), [2, 3, 1], 'twice as long');
  t.strictSame(order(later + 2 * FIRST_PENALTY_MS), [1, 2, 3]);
  for (let n = 0; n < 40; n++) health.report(target(1), { type: 'timeout' }, 0);
  t.strictSame(order(LONGEST_PENALTY_MS - 1), [2, 3, 1]);
  t.strictSame(order(LONGEST_PENALTY_MS), [1, 2, 3], 'never for longer than this');

  for (const status of [180, 200, 404, 408, 500, 603]) {
    t.equal(health.report(target(1), response(status), 0), false, `${status} is an answer`);
  }
  t.strictSame(order(0), [1, 3, 2], 'any answer clears it');
  health.report(target(1), { type: 'timeout' }, 0);
  t.strictSame(order(FIRST_PENALTY_MS), [1, 3, 2], 'and the penalty starts anew');
  health.clear();
  t.strictSame(order(0), [1, 2, 3]);
  const busy = (retryAfterMs: number) =>
    health.report(target(1), { type: 'response', status: 503, retryAfterMs }, 0);
  busy(1000);
  t.strictSame(order(999), [2, 3, 1]);
  t.strictSame(order(1000), [1, 2, 3], 'for as long as Retry-After says');
  busy(1e9);
  t.strictSame(order(LONGEST_PENALTY_MS - 1), [2, 3, 1]);
  t.strictSame(order(LONGEST_PENALTY_MS), [1, 2, 3], 'within reason');
  health.clear();
  t.strictSame(order(0), [1, 2, 3]);

  const overTcp = { ...target(1), protocol: 'TCP' } as const;
  health.report(target(1), { type: 'timeout' }, 0);
  t.same(health.order([target(1), overTcp], 0), [overTcp, target(1)], 'another protocol may work');
  for (let n = 0; n < 1000; n++) {
    const endpoint = { address: '192.0.2.1', port: n };
    health.report({ protocol: 'TCP', endpoint }, { type: 'timeout' }, 0);
  }
  t.equal(health.size, 256);
});

t.test('the way back of a response (RFC 3261 §18.2.2, RFC 3581, RFC 3263 §5)', async t => {
  const target = (via: string) => inShort(responseTarget(Via.parse(via)));
  const cases: Readonly<Record<string, string>> = {
    'SIP/2.0/UDP host.example:5070;received=192.0.2.1;rport=6000': 'UDP 192.0.2.1 6000',
    'SIP/2.0/UDP host.example:5070;received=192.0.2.1': 'UDP 192.0.2.1 5070',
    'SIP/2.0/UDP 192.0.2.1;rport': 'UDP 192.0.2.1 5060',
    'SIP/2.0/UDP [2001:db8::1]': 'UDP 2001:db8::1 5060',
    'SIP/2.0/UDP host.example;maddr=239.1.2.3;received=192.0.2.1': 'UDP 192.0.2.1 5060',
    'SIP/2.0/UDP host.example;maddr=239.1.2.3': 'UDP 239.1.2.3 5060',
    'SIP/2.0/TCP host.example:5070;received=192.0.2.1;rport=40000': 'TCP 192.0.2.1 5070',
    'SIP/2.0/TLS host.example;received=192.0.2.1': 'TLS 192.0.2.1 5061',
    'SIP/2.0/SCTP host.example;received=192.0.2.1': 'UDP 192.0.2.1 5060',
  };
  for (const [via, expected] of Object.entries(cases)) t.equal(target(via), expected, via);

  const back = (via: string) => sentByUri(Via.parse(via));
  t.equal(formatUri(back('SIP/2.0/TLS h.example;branch=1')), 'sip:h.example;transport=tls');
  const zone: Zone = {
    'SRV _sip._tcp.h.example': [srv('backup.example', 0, 0, 5077)],
    'A backup.example': ['192.0.2.2'],
    'A h.example': ['192.0.2.3'],
  };
  const { resolver, dns } = fixture({ zone });
  const targets = async (via: string) => (await resolver.resolve(back(via))).map(inShort);
  t.strictSame(await targets('SIP/2.0/TCP h.example'), ['TCP 192.0.2.2 5077']);
  t.strictSame(await targets('SIP/2.0/TCP h.example:5070'), ['TCP 192.0.2.3 5070']);
  t.notOk(
    dns.questions.some(asked => asked.startsWith('NAPTR')),
    'the transport is known',
  );
});

t.test('the DNS of the system', async t => {
  const server = await nameServer({
    '1 a.example': [
      [300, [192, 0, 2, 1]],
      [60, [192, 0, 2, 2]],
    ],
    '28 a.example': [[30, [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1]]],
    '33 _sip._udp.a.example': [
      [5, [...short(1), ...short(2), ...short(5070), ...name('a.example')]],
    ],
    '35 a.example': [
      [
        5,
        [
          ...short(3),
          ...short(4),
          ...text('S'),
          ...text('SIP+D2U'),
          ...text(''),
          ...name('_sip._udp.a.example'),
        ],
      ],
    ],
    '1 empty.example': [],
    '1 broken.example': 'server failure',
  });
  t.teardown(() => server.close());
  const { port } = server.address();
  let made = 0;
  const dns = new SystemDns(() => {
    made++;
    const resolver = new Resolver({ timeout: 1000, tries: 1 });
    resolver.setServers([`127.0.0.1:${port}`]);
    return resolver;
  });
  const found = (records: readonly unknown[], ttlMs: number) => ({ type: 'found', records, ttlMs });
  t.match(await dns.a('a.example'), found(['192.0.2.1', '192.0.2.2'], 60_000));
  t.match(await dns.aaaa('a.example'), found(['2001:db8::1'], 30_000));
  t.match(await dns.srv('_sip._udp.a.example'), found([srv('a.example', 1, 2, 5070)], 60_000));
  const expected = naptr(3, 4, 'SIP+D2U', '_sip._udp.a.example', 'S');
  t.match(await dns.naptr('a.example'), found([expected], 60_000));
  t.match(await dns.a('nowhere.example'), { type: 'absent' });
  t.match(await dns.a('empty.example'), { type: 'absent' });
  t.match(await dns.a('broken.example'), { type: 'failed', reason: /ESERVFAIL/ });
  dns.refresh();
  t.equal(made, 2);

  server.close();
  t.match(await dns.a('a.example'), { type: 'failed' });
});

/** Records by type number and name: lifetime in s and data. */
type Records = Readonly<
  Record<string, readonly [ttl: number, data: readonly number[]][] | 'server failure'>
>;

/** A name server on loopback, which knows `records` and nothing else (RFC 1035 §4). */
async function nameServer(records: Records) {
  const socket = createSocket('udp4');
  let open = true;
  socket.on('message', (query, from) => {
    let pos = 12;
    const labels: string[] = [];
    for (let length = query[pos++]!; length > 0; length = query[pos++]!) {
      labels.push(query.toString('latin1', pos, pos + length));
      pos += length;
    }
    const known = records[`${query.readUInt16BE(pos)} ${labels.join('.').toLowerCase()}`];
    const answers = Array.isArray(known) ? known : [];
    const code = known === undefined ? 3 : known === 'server failure' ? 2 : 0;
    const type = [...query.subarray(pos, pos + 2)];
    const header = [...query.subarray(0, 2), 0x85, 0x80 | code];
    const counts = [...short(1), ...short(answers.length), ...short(0), ...short(0)];
    const question = [...query.subarray(12, pos + 4)];
    const body = answers.flatMap(([ttl, data]: [number, readonly number[]]) => [
      ...[0xc0, 12, ...type, ...short(1), ...short(0), ...short(ttl), ...short(data.length)],
      ...data,
    ]);
    const reply = Buffer.from([...header, ...counts, ...question, ...body]);
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: () => socket.address(),
    close() {
      if (open) socket.close();
      open = false;
    },
  };
}

function short(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function text(value: string): number[] {
  return [value.length, ...Buffer.from(value)];
}

function name(value: string): number[] {
  return [...value.split('.').flatMap(text), 0];
}
