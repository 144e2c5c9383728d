import t from 'tap';
import {
  canReach,
  formatEndpoint,
  heardAt,
  parseEndpoint,
  withoutMapping,
} from '../../src/core/endpoint.js';
import type { DatagramSocket, Endpoint, InterfaceAddress } from '../../src/core/network.js';
import {
  POLL_INTERVAL_MS,
  PollingNetworkWatcher,
  sysfsCarrier,
} from '../../src/core/network-watcher.js';
import { SystemNetwork, systemAddresses } from '../../src/core/system-network.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';

function address(name: string, literal: string, internal = false): InterfaceAddress {
  const family = literal.includes(':') ? 'IPv6' : 'IPv4';
  return { name, address: literal, family, prefix: 24, internal };
}

const LO = address('lo', '127.0.0.1', true);
const ETH0 = address('eth0', '192.0.2.1');
const WLAN0 = address('wlan0', '198.51.100.1');

/** A watcher over addresses and carriers the test sets. */
class Bench {
  readonly clock = new VirtualClock();
  addresses: InterfaceAddress[] = [LO, ETH0];
  readonly unplugged = new Set<string>();
  readonly changes: string[] = [];
  readonly watcher = new PollingNetworkWatcher(
    this.clock,
    () => this.addresses,
    name => !this.unplugged.has(name),
  );

  constructor() {
    this.watcher.on('change', now => this.changes.push(now.map(each => each.address).join(' ')));
  }
}

t.test(
  'the watcher tells of addresses that come and go, once each, and never of loopback',
  async t => {
    const bench = new Bench();
    await bench.watcher.start();
    await bench.clock.advance(5 * POLL_INTERVAL_MS);
    t.same(bench.changes, [], 'what was there at the start is no change');
    bench.addresses = [LO, ETH0, WLAN0];
    await bench.clock.advance(5 * POLL_INTERVAL_MS);
    bench.addresses = [WLAN0, ETH0, LO];
    await bench.clock.advance(POLL_INTERVAL_MS);
    bench.addresses = [WLAN0, address('lo', '127.0.0.2', true)];
    await bench.clock.advance(POLL_INTERVAL_MS);
    bench.addresses = [];
    await bench.clock.advance(POLL_INTERVAL_MS);
    t.same(bench.changes, ['192.0.2.1 198.51.100.1', '198.51.100.1', '']);
  },
);

t.test('a change is noticed within the poll interval', async t => {
  const bench = new Bench();
  await bench.watcher.start();
  bench.addresses = [WLAN0];
  await bench.clock.advance(POLL_INTERVAL_MS - 1);
  t.same(bench.changes, []);
  await bench.clock.advance(1);
  t.same(bench.changes, ['198.51.100.1']);
});

t.test(
  'a pulled cable takes the addresses of its link away, and plugging it in brings them back',
  async t => {
    const bench = new Bench();
    bench.addresses = [ETH0, WLAN0];
    await bench.watcher.start();
    bench.unplugged.add('eth0');
    await bench.clock.advance(POLL_INTERVAL_MS);
    bench.unplugged.delete('eth0');
    await bench.clock.advance(POLL_INTERVAL_MS);
    t.same(bench.changes, ['198.51.100.1', '192.0.2.1 198.51.100.1']);
  },
);

t.test('a stopped watcher looks no more, and can be started again', async t => {
  const bench = new Bench();
  await bench.watcher.start();
  await bench.watcher.start();
  t.equal(bench.clock.pending, 1, 'started twice, it polls once');
  await bench.watcher.stop();
  t.equal(bench.clock.pending, 0);
  bench.addresses = [];
  await bench.clock.advance(5 * POLL_INTERVAL_MS);
  t.same(bench.changes, []);
  await bench.watcher.start();
  bench.addresses = [ETH0];
  await bench.clock.advance(POLL_INTERVAL_MS);
  t.same(bench.changes, ['192.0.2.1']);
});

t.test('an interface that cannot tell about its carrier has one', async t => {
  t.equal(sysfsCarrier('no-such-interface'), true);
});

t.test('endpoints are read as they are written', async t => {
  for (const text of ['192.0.2.1:5060', '[2001:db8::1]:0', '[fe80::1%eth0]:5060']) {
    t.equal(formatEndpoint(parseEndpoint(text, { address: '', port: 1 })), text);
  }
  const defaults = { address: '0.0.0.0', port: 5060 };
  t.same(parseEndpoint('192.0.2.1', defaults), { address: '192.0.2.1', port: 5060 });
  t.same(parseEndpoint('[::]', defaults), { address: '::', port: 5060 });
  t.same(parseEndpoint(':7', defaults), { address: '0.0.0.0', port: 7 });
  t.same(parseEndpoint('', defaults), defaults);
  const wrong = [
    'host:1',
    '1.2.3:4',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3.4:x',
    '::1',
    '[1.2.3.4',
    '1.2.3.4:1:2',
    '[]:1x',
  ];
  for (const text of wrong) {
    t.throws(
      () => parseEndpoint(text, defaults),
      { code: 'BAD_ENDPOINT', remedy: /literal address/ },
      text,
    );
  }
});

const network = new SystemNetwork();
const onLoopback = { address: '127.0.0.1', port: 0, trafficClass: 'default' } as const;

function nextMessage(socket: DatagramSocket): Promise<{ text: string; port: number }> {
  return new Promise(resolve => {
    socket.onMessage = (data, from) =>
      resolve({ text: Buffer.from(data).toString(), port: from.port });
  });
}

t.test('datagrams go both ways and say whom they are from', async t => {
  const [one, two] = await Promise.all([
    network.bindDatagram(onLoopback),
    network.bindDatagram(onLoopback),
  ]);
  t.equal(one.local.address, '127.0.0.1');
  t.ok(one.local.port > 0);
  const heard = nextMessage(two);
  one.send(Buffer.from('hello'), two.local);
  t.same(await heard, { text: 'hello', port: one.local.port });
  const answer = nextMessage(one);
  two.send(Buffer.from('hi'), one.local);
  t.same(await answer, { text: 'hi', port: two.local.port });
  one.close();
  two.close();
});

t.test('bound to all addresses, it is heard at, and answers, both kinds', async t => {
  const any = await network.bindDatagram({ ...onLoopback, address: '::' });
  if (any.local.address !== '::') {
    t.equal(any.local.address, '0.0.0.0', 'all there are, on a machine without IPv6');
    any.close();
    return;
  }
  const { port } = any.local;
  const streams: string[] = [];
  const listener = await network.listenStream({
    address: '::',
    port: 0,
    onConnection: stream => {
      streams.push(`${stream.local.address} ${stream.remote.address}`);
      stream.destroy();
    },
  });
  for (const address of ['127.0.0.1', '::1']) {
    const one = await network.bindDatagram({ ...onLoopback, address });
    const from = new Promise<Endpoint>(resolve => {
      any.onMessage = (_, source) => resolve({ ...source });
    });
    one.send(Buffer.from('hello'), { address, port });
    t.match(await from, one.local, 'as its own kind writes it');
    const answer = nextMessage(one);
    any.send(Buffer.from('hi'), one.local);
    t.same(await answer, { text: 'hi', port });
    one.close();
    const to = { address, port: listener.local.port };
    const closed = await network.connectStream({ to });
    t.equal(closed.remote.address, address);
    await new Promise<void>(resolve => {
      closed.onClose = () => resolve();
    });
  }
  t.same(streams, ['127.0.0.1 127.0.0.1', '::1 ::1']);
  listener.close();
  any.close();
  const of4 = await network.bindDatagram({ ...onLoopback, address: '0.0.0.0' });
  const of6 = { ...onLoopback, address: '::1', port: of4.local.port };
  (await network.bindDatagram(of6)).close();
  of4.close();
});

t.test('which addresses are heard at, and reach whom', async t => {
  const own = [address('eth0', 'fe80::1'), address('eth0', '2001:db8::1'), ETH0];
  const heard = (bound: string) => heardAt(bound, own).map(each => each.address);
  t.same(heard('::'), ['192.0.2.1', '2001:db8::1', 'fe80::1']);
  t.same(heard('0.0.0.0'), ['192.0.2.1']);
  t.same(heard('2001:DB8::1'), ['2001:db8::1']);
  t.same(['fe80::1', 'fe80::1%eth0', 'fe80::1%eth1'].map(heard), [['fe80::1'], ['fe80::1'], []]);
  t.same(heard('127.0.0.1'), []);
  t.same(
    ['::', '0.0.0.0', '192.0.2.1', '::1'].map(from => canReach(from, '198.51.100.1')),
    [true, true, true, false],
  );
  t.same(
    ['::', '0.0.0.0', '192.0.2.1', '::1'].map(from => canReach(from, 'fe80::1')),
    [true, false, false, true],
  );
  for (const text of ['::ffff:192.0.2.1', '::ffff:c000:201', '::1', '192.0.2.1']) {
    t.equal(withoutMapping(text), text === '::ffff:192.0.2.1' ? '192.0.2.1' : text);
  }
});

t.test('what cannot be sent is told, and the socket goes on', async t => {
  const [one, two] = await Promise.all([
    network.bindDatagram(onLoopback),
    network.bindDatagram(onLoopback),
  ]);
  const general: Error[] = [];
  one.onError = error => general.push(error);
  one.send(Buffer.from('x'), { address: '127.0.0.1', port: 0 });
  t.equal(general.length, 1, 'port 0 is refused at once');
  const own = await new Promise<Error>(resolve => {
    one.send(Buffer.alloc(70_000), two.local, resolve);
  });
  t.match(own, { code: 'EMSGSIZE' });
  t.equal(general.length, 1, 'told to whoever sent it, and to nobody else');
  const heard = nextMessage(two);
  one.send(Buffer.from('still here'), two.local);
  t.match(await heard, { text: 'still here' });
  one.close();
  two.close();
});

t.test('a closed socket takes no harm from being used', async t => {
  const socket = await network.bindDatagram(onLoopback);
  socket.onError = error => t.fail(error.message);
  socket.close();
  socket.close();
  socket.send(Buffer.from('x'), { address: '127.0.0.1', port: 9 });
});

t.test('a socket that cannot be opened says why and what to do', async t => {
  const taken = await network.bindDatagram(onLoopback);
  const again = { ...onLoopback, port: taken.local.port };
  await t.rejects(network.bindDatagram(again), { code: 'ADDRESS_IN_USE', remedy: /another port/ });
  taken.close();
  const foreign = { ...onLoopback, address: '192.0.2.1' };
  await t.rejects(network.bindDatagram(foreign), {
    code: 'ADDRESS_NOT_HERE',
    remedy: /ip address/,
  });
});

t.test('packets that matter are opened marked, where there is somebody to mark them', async t => {
  const marks: [string, number, number][] = [];
  const marking = new SystemNetwork((address, port, dscp) => {
    marks.push([address, port, dscp]);
    throw Object.assign(new Error('no'), { code: 'EACCES' });
  });
  const voice = { ...onLoopback, trafficClass: 'voice' } as const;
  await t.rejects(marking.bindDatagram(voice), { code: 'PORT_FORBIDDEN' });
  await t.rejects(marking.bindDatagram({ ...voice, trafficClass: 'signalling' }), {
    code: 'PORT_FORBIDDEN',
  });
  (await marking.bindDatagram(onLoopback)).close();
  t.same(marks, [
    ['127.0.0.1', 0, 46],
    ['127.0.0.1', 0, 40],
  ]);
  (await network.bindDatagram(voice)).close();
});

t.test('the source address is the one packets leave from', async t => {
  t.equal(await network.sourceAddressFor('127.0.0.1'), '127.0.0.1');
  const unroutable = '255.255.255.255';
  await t.rejects(network.sourceAddressFor(unroutable), { code: 'NO_ROUTE', remedy: /cable/ });
});

t.test('a source address is remembered for a moment, a failure is not', async t => {
  const sockets = () => process.getActiveResourcesInfo().filter(name => name === 'UDPWrap').length;
  const fresh = new SystemNetwork();
  const looks = async (remote: string) => {
    const before = sockets();
    const asked = fresh.sourceAddressFor(remote).catch(() => undefined);
    const opened = sockets() - before;
    await asked;
    return opened;
  };
  t.equal(await looks('127.0.0.1'), 1);
  t.equal(await looks('127.0.0.1'), 0, 'no socket was needed');
  t.equal(await looks('127.0.0.2'), 1, 'another host may be reached another way');
  fresh.forgetRoutes();
  t.equal(await looks('127.0.0.1'), 1, 'routes have changed');
  t.equal(await looks('255.255.255.255'), 1);
  t.equal(await looks('255.255.255.255'), 1);
});

t.test('the addresses of this machine are listed with family and prefix', async t => {
  for (const each of systemAddresses()) {
    t.match(each, { name: String, address: String, family: /^IPv[46]$/, internal: Boolean });
    t.ok(each.prefix >= 0 && each.prefix <= (each.family === 'IPv4' ? 32 : 128));
  }
  const loopback = network.addresses().find(each => each.address === '127.0.0.1');
  if (loopback) t.match(loopback, { family: 'IPv4', prefix: 8, internal: true });
});
