import { EventEmitter } from 'node:events';
import { formatUri, parseUri, type SipUri } from '@sip-stack/parser';
import t from 'tap';
import { AddressLocator } from '../../src/discovery/address-locator.js';
import type { Browser, BrowserEvents, PhoneSighting } from '../../src/discovery/discovery.js';
import { DNS_WITHIN_MS, DnsLocator } from '../../src/discovery/dns-locator.js';
import { LAN_WITHIN_MS, LanLocator } from '../../src/discovery/lan-locator.js';
import { type Locator, LocatorChain } from '../../src/discovery/locator.js';
import { checkPhoneName, foldName, isPhoneName, nextName } from '../../src/discovery/phone-name.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { resolverByLookup } from '../../src/sip/resolver.js';

const never = new AbortController().signal;

const ALICE: PhoneSighting = {
  name: 'Alice',
  deviceId: 'a1',
  host: 'ringline-a1.local',
  endpoints: [
    { address: '169.254.7.1', port: 5070 },
    { address: 'fe80::1%eth0', port: 5070 },
  ],
  ports: { TLS: 5071 },
};

class OnePhone extends EventEmitter<BrowserEvents> implements Browser {
  readonly asked: [name: string, withinMs: number][] = [];
  async start() {}
  async stop() {}
  readonly doubted: string[] = [];
  phones() {
    return [ALICE];
  }
  doubt(name: string) {
    this.doubted.push(name);
  }
  async find(name: string, _signal: AbortSignal, withinMs: number) {
    this.asked.push([name, withinMs]);
    return foldName(name) === 'alice' ? ALICE : undefined;
  }
}

async function located(locator: Locator, uri: string): Promise<string[]> {
  const locations = await locator.locate(parseUri(uri) as SipUri, never);
  return locations.map(({ uri, endpoint, source }) => {
    return `${source} ${formatUri(uri)} at ${endpoint.address} ${endpoint.port}`;
  });
}

/** Where a call goes and how, and the name it has to prove there. */
async function targets(locator: Locator, uri: string): Promise<string[]> {
  const locations = await locator.locate(parseUri(uri) as SipUri, never);
  return locations.map(({ target, endpoint }) => {
    const { protocol, tlsName } = target ?? {};
    return [protocol, endpoint.address, endpoint.port, tlsName].filter(Boolean).join(' ');
  });
}

t.test(
  'a phone of the LAN is called by name, or a user at it, at each of its addresses',
  async t => {
    const browser = new OnePhone();
    const lan = new LanLocator(browser);
    t.same(await located(lan, 'sip:alice@local'), [
      'lan sip:alice@169.254.7.1:5070 at 169.254.7.1 5070',
      'lan sip:alice@[fe80::1]:5070 at fe80::1%eth0 5070',
    ]);
    t.equal(
      (await located(lan, 'sip:Room@ALICE.Local'))[0],
      'lan sip:Room@169.254.7.1:5070 at 169.254.7.1 5070',
    );
    t.equal(
      (await located(lan, 'sip:alice.local'))[0],
      'lan sip:169.254.7.1:5070 at 169.254.7.1 5070',
    );
    t.equal(
      (await located(lan, 'sip:x@alice.local:5099'))[0],
      'lan sip:x@169.254.7.1:5099 at 169.254.7.1 5099',
    );
    t.same(await located(lan, 'sip:k%C3%BCche@local'), []);
    t.same(browser.asked.at(-1), ['küche', LAN_WITHIN_MS]);
  },
);

t.test('a phone of the LAN is called by TLS where it says that it takes that', async t => {
  const lan = new LanLocator(new OnePhone());
  t.same(
    (await located(lan, 'sips:alice@local'))[0],
    'lan sips:alice@169.254.7.1:5071 at 169.254.7.1 5071',
  );
  t.same(await targets(lan, 'sips:alice@local'), ['TLS 169.254.7.1 5071', 'TLS fe80::1%eth0 5071']);
  t.equal(
    (await located(lan, 'sip:room@alice.local;transport=tls'))[0],
    'lan sip:room@169.254.7.1:5071;transport=tls at 169.254.7.1 5071',
  );
  t.equal((await targets(lan, 'sip:alice@local;transport=tcp'))[0], 'TCP 169.254.7.1 5070');
  t.equal((await targets(lan, 'sips:alice@alice.local:5099'))[0], 'TLS 169.254.7.1 5099');
  t.equal(
    (await targets(lan, 'sip:alice@local;transport=ws'))[0],
    'WS 169.254.7.1 80',
    'the usual port',
  );
  await t.rejects(located(lan, 'sips:alice@local;transport=udp'), {
    code: 'UNSUPPORTED_TRANSPORT',
  });
});

t.test('a phone of the LAN that was not reached is looked for again', async t => {
  const browser = new OnePhone();
  const lan = new LanLocator(browser);
  const [place] = await lan.locate(parseUri('sip:room@Alice.local') as SipUri, never);
  t.same(browser.doubted, []);
  place?.unreached?.();
  t.same(browser.doubted, ['Alice']);
});

t.test('the LAN is not asked about hosts elsewhere', async t => {
  const browser = new OnePhone();
  const lan = new LanLocator(browser);
  for (const uri of [
    'sip:alice@example.com',
    'sip:alice@mylocal',
    'sip:alice@192.0.2.1',
    'sips:alice@example.com',
    'sip:local',
  ]) {
    t.same(await located(lan, uri), [], uri);
  }
  t.same(browser.asked, []);
});

t.test(
  'a literal address is where it says, 5060 unless it has a port; maddr overrides it',
  async t => {
    const locator = new AddressLocator();
    t.same(await located(locator, 'sip:bob@192.0.2.5;x=1'), [
      'address sip:bob@192.0.2.5;x=1 at 192.0.2.5 5060',
    ]);
    t.same(await located(locator, 'sip:[2001:db8::1]:5080'), [
      'address sip:[2001:db8::1]:5080 at 2001:db8::1 5080',
    ]);
    t.same(await located(locator, 'sip:bob@example.com;maddr=192.0.2.9'), [
      'address sip:bob@example.com;maddr=192.0.2.9 at 192.0.2.9 5060',
    ]);
    t.same(await located(locator, 'sip:bob@example.com'), []);
    t.same(await located(locator, 'sips:bob@example.com'), []);
  },
);

t.test(
  'an address is called by the protocol its URI names, at the port of that protocol',
  async t => {
    const locator = new AddressLocator();
    const cases: Record<string, string> = {
      'sip:bob@192.0.2.5': 'UDP 192.0.2.5 5060',
      'sip:bob@192.0.2.5;transport=tcp': 'TCP 192.0.2.5 5060',
      'sip:bob@192.0.2.5;transport=TLS': 'TLS 192.0.2.5 5061',
      'sips:bob@192.0.2.5': 'TLS 192.0.2.5 5061',
      'sips:bob@[2001:db8::1]:5071': 'TLS 2001:db8::1 5071',
      'sip:bob@192.0.2.5;transport=ws': 'WS 192.0.2.5 80',
      'sips:bob@192.0.2.5;transport=ws': 'WSS 192.0.2.5 443',
      'sips:bob@example.com;maddr=192.0.2.9': 'TLS 192.0.2.9 5061 example.com',
    };
    for (const [uri, target] of Object.entries(cases)) {
      t.same(await targets(locator, uri), [target], uri);
    }
    await t.rejects(located(locator, 'sip:bob@192.0.2.5;transport=sctp'), {
      code: 'UNSUPPORTED_TRANSPORT',
      remedy: /transport parameter/,
    });
  },
);

t.test('a host name is looked up, and a lookup that fails or hangs finds nothing', async t => {
  const hosts: Record<string, string[]> = { 'pbx.example': ['192.0.2.1', '2001:db8::1'] };
  const asked: string[] = [];
  const clock = new VirtualClock();
  const locator = new DnsLocator(
    resolverByLookup(async host => {
      asked.push(host);
      if (host === 'hangs.example') return new Promise<string[]>(() => undefined);
      const addresses = hosts[host];
      if (!addresses) throw new Error('ENOTFOUND');
      return addresses;
    }),
    clock,
  );
  t.same(await located(locator, 'sip:bob@pbx.example'), [
    'dns sip:bob@pbx.example at 192.0.2.1 5060',
    'dns sip:bob@pbx.example at 2001:db8::1 5060',
  ]);
  t.same(await located(locator, 'sip:bob@pbx.example:5080;transport=udp'), [
    'dns sip:bob@pbx.example:5080;transport=udp at 192.0.2.1 5080',
    'dns sip:bob@pbx.example:5080;transport=udp at 2001:db8::1 5080',
  ]);
  t.same(await located(locator, 'sip:bob@nowhere.example'), []);
  for (const uri of ['sip:bob@local', 'sip:bob@192.0.2.1']) {
    t.same(await located(locator, uri), [], uri);
  }
  t.same(asked, ['pbx.example', 'pbx.example', 'nowhere.example']);
  t.same((await targets(locator, 'sips:bob@pbx.example'))[0], 'TLS 192.0.2.1 5061 pbx.example');

  let answer: string[] | undefined;
  void located(locator, 'sip:hangs.example').then(found => {
    answer = found;
  });
  await clock.advance(DNS_WITHIN_MS - 1);
  t.equal(answer, undefined);
  await clock.advance(1);
  t.same(answer, []);

  const abort = new AbortController();
  const aborted = locator.locate(parseUri('sip:hangs.example') as SipUri, abort.signal);
  abort.abort(new Error('hung up'));
  await t.rejects(aborted, { message: 'hung up' });
  await t.rejects(locator.locate(parseUri('sip:hangs.example') as SipUri, abort.signal), {
    message: 'hung up',
  });
  t.equal(clock.pending, 0);
});

t.test('locators are asked in turn until one knows', async t => {
  const browser = new OnePhone();
  const asked: string[] = [];
  const dns = new DnsLocator(
    resolverByLookup(async host => {
      asked.push(host);
      return ['192.0.2.1'];
    }),
  );
  const chain = new LocatorChain([new AddressLocator(), new LanLocator(browser), dns]);
  t.match(await located(chain, 'sip:alice@alice.local'), [/^lan/, /^lan/]);
  t.match(await located(chain, 'sip:x@192.0.2.7'), [/^address/]);
  t.same(asked, []);
  t.match(await located(chain, 'sip:x@printer.local'), [/^dns/]);
  t.same(await located(new LocatorChain([]), 'sip:x@printer.local'), []);
});

t.test('a phone may be called anything that can be dialled', async t => {
  for (const name of ['alice', 'küche', '会議室', '7', 'alice-2', 'a_b', 'x'.repeat(63)])
    t.ok(isPhoneName(name), name);
  for (const name of [
    '',
    'a b',
    'a.b',
    '-a',
    'a-',
    'alice (2)',
    'a@b',
    'a\u0000',
    'ü'.repeat(32),
    'x'.repeat(64),
  ]) {
    t.notOk(isPhoneName(name), name);
    t.throws(() => checkPhoneName(name), { code: 'BAD_PHONE_NAME', remedy: /letters and digits/ });
  }
  t.equal(checkPhoneName('alice'), 'alice');
});

t.test('a taken name gets the next number, and stays one that can be dialled', async t => {
  t.equal(nextName('alice'), 'alice-2');
  t.equal(nextName('alice-2'), 'alice-3');
  t.equal(nextName('alice-9'), 'alice-10');
  t.equal(nextName('alice-0'), 'alice-0-2');
  for (const name of ['x'.repeat(63), `${'ü'.repeat(31)}x`, '会'.repeat(21)]) {
    t.ok(isPhoneName(nextName(name)), name);
    t.not(nextName(name), name);
  }
  t.equal(foldName('ÄLICE'), 'Älice', 'RFC 6762 folds ASCII alone');
});
