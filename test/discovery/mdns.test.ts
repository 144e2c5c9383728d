/** Advertiser and browser on the loopback interface, with names nobody else has. */
import { createSocket, type Socket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import { SystemClock } from '../../src/core/clock.js';
import { silentLogger } from '../../src/core/logger.js';
import type { InterfaceAddress, NetworkWatcherEvents } from '../../src/core/network.js';
import { randomToken, SystemRandom } from '../../src/core/random.js';
import { SystemNetwork, systemAddresses } from '../../src/core/system-network.js';
import type { PhoneSighting } from '../../src/discovery/discovery.js';
import { decodeMessage, encodeMessage } from '../../src/discovery/mdns/dns-codec.js';
import { queryOf, responseOf } from '../../src/discovery/mdns/dns-message.js';
import { MdnsAdvertiser } from '../../src/discovery/mdns/mdns-advertiser.js';
import { MdnsBrowser } from '../../src/discovery/mdns/mdns-browser.js';
import { MdnsLinks } from '../../src/discovery/mdns/mdns-links.js';
import { leastTimeAgain } from '../harness/time-limit.js';

const GROUP = '224.0.0.251';
const PORT = 5353;
const clock = new SystemClock();
const logger = silentLogger;
const never = new AbortController().signal;
const loopback = () =>
  systemAddresses()
    .filter(each => each.internal && each.family === 'IPv4')
    .slice(0, 1);
/** Our timers do not keep the process alive, so the test does. */
const keepAlive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(keepAlive));

function unusedName(): string {
  return `t${randomToken(new SystemRandom(), 6)}`;
}

class FakeWatcher extends EventEmitter<NetworkWatcherEvents> {
  usable: readonly InterfaceAddress[] | undefined;
  async start() {}
  async stop() {}
  change(now: readonly InterfaceAddress[]): void {
    this.usable = now;
    this.emit('change', now);
  }
}

/** The real network, of which only the loopback interface is seen. */
class LoopbackNetwork extends SystemNetwork {
  override addresses(): readonly InterfaceAddress[] {
    return loopback();
  }
}

const random = new SystemRandom();

/** Each has sockets of its own, as separate programs have. */
function links(network = new LoopbackNetwork(), watcher?: FakeWatcher): MdnsLinks {
  return new MdnsLinks({ clock, logger, network, random, ...(watcher && { watcher }) });
}

function advertiser(): MdnsAdvertiser {
  return new MdnsAdvertiser({ clock, logger, random, links: links() });
}

function newBrowser(over = links()): MdnsBrowser {
  return new MdnsBrowser({ clock, random, links: over });
}

async function joined(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(PORT, '0.0.0.0');
  await once(socket, 'listening');
  socket.addMembership(GROUP, '127.0.0.1');
  socket.setMulticastInterface('127.0.0.1');
  return socket;
}

/** Some sandboxes have no multicast, or forbid the port. */
async function multicastWorks(): Promise<boolean> {
  if (!Object.values(networkInterfaces()).some(each => each?.some(({ internal }) => internal)))
    return false;
  try {
    const socket = await joined();
    const heard = Promise.race([once(socket, 'message').then(() => true), sleepFor(500)]);
    socket.send(Buffer.alloc(12), PORT, GROUP, () => undefined);
    const works = await heard;
    socket.close();
    return works === true;
  } catch {
    return false;
  }
}

/** For what comes at once on a quiet machine. */
const LIMIT_MS = 30_000;

function sleepFor(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

const skip = (await multicastWorks()) ? false : 'no multicast on the loopback interface here';
const onNetwork = { skip, buffered: true };
t.jobs = 4;

t.test(
  'a phone announces itself, is found under its name without regard to case, and says goodbye',
  onNetwork,
  async t => {
    const name = unusedName();
    const phone = advertiser();
    const browser = newBrowser();
    await browser.start();
    await phone.start({ name, port: 5070, deviceId: `dev-${name}` });
    t.equal(phone.name, undefined, 'not settled while it probes');
    const named = once(phone, 'named');
    const found = await browser.find(name.toUpperCase(), never, LIMIT_MS);
    t.match(found, {
      name,
      deviceId: `dev-${name}`,
      endpoints: [{ address: '127.0.0.1', port: 5070 }],
      host: `ringline-dev${name}.local`,
    });
    t.same(await named, [name]);
    t.equal(await browser.find(name, never, 0), found, 'answered from memory');
    const down = downOf(browser, name);
    await phone.stop();
    await phone.stop();
    t.match(await down, { name });
    t.equal(phone.name, undefined);
    await browser.stop();
    t.equal(
      await browser.find('anybody', never, 60_000),
      undefined,
      'a stopped browser does not wait',
    );
  },
);

t.test('a phone says by which other protocols it takes calls, and where', onNetwork, async t => {
  const name = unusedName();
  const phone = advertiser();
  const browser = newBrowser();
  await browser.start();
  const ports = { TLS: 5071, WSS: 8443 };
  await phone.start({ name, port: 5070, tcp: true, ports, deviceId: `dev-${name}` });
  const found = await browser.find(name, never, LIMIT_MS);
  t.same(found?.ports, ports);
  t.match(await servedAs('_sip._tcp', name), [{ port: 5070, target: /^ringline-dev.*local$/ }]);
  t.match(await servedAs('_sips._tcp', name), [{ port: 5071, target: /^ringline-dev.*local$/ }]);
  await phone.stop();
  t.same(await servedAs('_sips._tcp', name, 400), [], 'it said goodbye to all of them');
  await browser.stop();
});

t.test(
  'a name that somebody else has for TCP alone is theirs there, and ours',
  onNetwork,
  async t => {
    const name = unusedName();
    const [gateway, phone] = [advertiser(), advertiser()];
    await gateway.start({ name: `${name}-gw`, port: 5080, deviceId: unusedName() });
    gateway.publish('trunk', { name, services: [{ type: '_sip._tcp', port: 5090, texts: [] }] });
    t.same(await once(gateway, 'published'), ['trunk', name]);
    const ports = { TLS: 5071 };
    await phone.start({ name, port: 5070, tcp: true, ports, deviceId: unusedName() });
    t.same(await once(phone, 'named'), [name]);
    t.match(await servedAs('_sips._tcp', name), [{ port: 5071 }]);
    t.match(await servedAs('_sip._tcp', name), [{ port: 5090 }]);
    t.same(await servedAs('_sip._tcp', `${name}-2`, 400), []);
    await Promise.all([phone.stop(), gateway.stop()]);
  },
);

t.test('of two phones with one name the later gets the next number', onNetwork, async t => {
  const name = unusedName();
  const [first, second] = [advertiser(), advertiser()];
  await first.start({ name, port: 5071, deviceId: `${name}1` });
  await once(first, 'named');
  await second.start({ name, port: 5072, deviceId: `${name}2` });
  t.same(await once(second, 'named'), [`${name}-2`]);
  t.equal(first.name, name);
  const browser = newBrowser();
  await browser.start();
  const [one, two] = await Promise.all([
    browser.find(name, never, LIMIT_MS),
    browser.find(`${name}-2`, never, LIMIT_MS),
  ]);
  t.same([one?.endpoints[0]?.port, two?.endpoints[0]?.port], [5071, 5072]);
  await Promise.all([browser.stop(), first.stop(), second.stop()]);
});

t.test(
  'a phone stopped as soon as it started, or while it probes, leaves nothing behind',
  onNetwork,
  async t => {
    const early = advertiser();
    const starting = early.start({ name: unusedName(), port: 5073, deviceId: unusedName() });
    await early.stop();
    await starting;
    const stops = async () => {
      const probing = advertiser();
      probing.on('named', () => t.fail('was stopped before'));
      await probing.start({ name: unusedName(), port: 5074, deviceId: unusedName() });
      const before = performance.now();
      await probing.stop();
      return performance.now() - before;
    };
    t.ok((await leastTimeAgain(await stops(), stops, 1400)) < 1500, 'in bounded time');
  },
);

t.test('a name that cannot be dialled is refused', async t => {
  const phone = advertiser();
  await t.rejects(phone.start({ name: 'alice (2)', port: 5060, deviceId: unusedName() }), {
    code: 'BAD_PHONE_NAME',
  });
  await phone.stop();
});

t.test('a search ends in time or when it is called off', onNetwork, async t => {
  const browser = newBrowser();
  await browser.start();
  const name = unusedName();
  t.equal(await browser.find(name, never, 50), undefined);
  const abort = new AbortController();
  const search = browser.find(name, abort.signal, 5000);
  abort.abort(new Error('hung up'));
  await t.rejects(search, { message: 'hung up' });
  await t.rejects(browser.find(name, abort.signal, 5000), { message: 'hung up' });
  t.equal(browser.listenerCount('up'), 0);
  await browser.stop();
});

t.test('rubbish, and answers from another port, leave the browser unmoved', onNetwork, async t => {
  const name = unusedName();
  const browser = newBrowser();
  const up: string[] = [];
  browser.on('up', phone => up.push(phone.name));
  await browser.start();
  await sleepFor(200);
  const multicaster = await joined();
  const stranger = createSocket('udp4');
  stranger.bind(0);
  await once(stranger, 'listening');
  stranger.setMulticastInterface('127.0.0.1');
  const send = (socket: Socket, data: Buffer) => {
    return new Promise(resolve => socket.send(data, PORT, GROUP, resolve));
  };
  const good = announcementOf(`${name}a`);
  for (let cut = 0; cut < good.length; cut += 3) {
    await send(multicaster, good.subarray(0, cut));
    const flipped = Buffer.from(good);
    flipped[cut] = flipped[cut]! ^ 0xff;
    if (cut > 60) await send(multicaster, flipped.subarray(0, cut + 1));
  }
  await send(stranger, announcementOf(`${name}b`));
  await send(multicaster, announcementOf(`${name}c`));
  const wanted = await browser.find(`${name}c`, never, LIMIT_MS);
  t.equal(wanted?.name, `${name}c`);
  t.notOk(up.includes(`${name}b`));
  multicaster.close();
  stranger.close();
  await browser.stop();
});

t.test(
  'a browser started without any interface finds phones when one comes',
  onNetwork,
  async t => {
    let own: readonly InterfaceAddress[] = [];
    const watcher = new FakeWatcher();
    const network = new LoopbackNetwork();
    network.addresses = () => own;
    const browser = newBrowser(links(network, watcher));
    await browser.start();
    const name = unusedName();
    const phone = advertiser();
    await phone.start({ name, port: 5075, deviceId: unusedName() });
    await once(phone, 'named');
    t.equal(await browser.find(name, never, 300), undefined);
    own = loopback();
    watcher.change([]);
    t.equal((await browser.find(name, never, LIMIT_MS))?.name, name);
    await Promise.all([browser.stop(), phone.stop()]);
    t.equal(watcher.listenerCount('change'), 0);
  },
);

/** Where the network says that NAME.TYPE is, asked until it answers. */
async function servedAs(type: string, name: string, withinMs = LIMIT_MS) {
  const socket = await joined();
  const full = `${name}.${type}.local`;
  const servers = new Map<string, { port: number; target: string }>();
  socket.on('message', data => {
    const { answers = [], additionals = [] } = decodeMessage(data) ?? {};
    for (const { name: found, ttl, data: record } of [...answers, ...additionals]) {
      if (record.type !== 'SRV' || found !== full || ttl === 0) continue;
      servers.set(`${record.port} ${record.host}`, { port: record.port, target: record.host });
    }
  });
  const [question] = encodeMessage(
    queryOf({ questions: [{ name: full, type: 'SRV', unicast: false }] }),
  );
  for (let waited = 0; servers.size === 0 && waited < withinMs; waited += 100) {
    if (waited % 500 === 0) socket.send(question!, PORT, GROUP);
    await sleepFor(100);
  }
  socket.close();
  return [...servers.values()];
}

function downOf(browser: MdnsBrowser, name: string): Promise<PhoneSighting> {
  return new Promise(resolve => {
    browser.on('down', phone => phone.name === name && resolve(phone));
  });
}

function announcementOf(name: string): Buffer {
  const full = `${name}._sip._udp.local`;
  const common = { ttl: 120, flush: false };
  const host = `${name}.local`;
  const srv = { type: 'SRV', priority: 0, weight: 0, port: 5076, host } as const;
  const [packet] = encodeMessage(
    responseOf({
      answers: [
        { ...common, name: '_sip._udp.local', data: { type: 'PTR', target: full } },
        { ...common, name: full, data: srv },
        { ...common, name: host, data: { type: 'A', address: '192.0.2.77' } },
      ],
    }),
  );
  return Buffer.from(packet!);
}
