import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { DSCP } from '../../src/core/network.js';
import { SystemNetwork } from '../../src/core/system-network.js';
import { loadNative, type Native, nativeProblem } from '../../src/native/index.js';
import { NativeClock } from '../../src/native/native-clock.js';
import { octetsAllocated } from '../media/allocation.js';

const script = fileURLToPath(new URL('../../../scripts/build-native.mjs', import.meta.url));
const build = (environment: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [script], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });

t.test('without a compiler the build says so in one line and goes on', async t => {
  const { status, stdout, stderr } = build({ CC: '/nowhere/cc' });
  t.equal(status, 0);
  t.match(stdout, /^native addon not built.*apt install gcc libc6-dev && make native\n$/);
  t.equal(stderr, '');
});

const built = build();
t.equal(built.status, 0, built.stderr);
const native = loadNative();
if (native) testAddon(native);
else t.comment(`not tried: ${nativeProblem()}`);

function testAddon(native: Native) {
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some(at => at?.address === '::1');
  const addresses = hasIpv6 ? ['127.0.0.1', '::1', '0.0.0.0', '::'] : ['127.0.0.1', '0.0.0.0'];

  t.equal(nativeProblem(), undefined);

  t.test('its clock goes as fast as that of the runtime, and makes no garbage', async t => {
    const clock = new NativeClock(native);
    // Between two readings the machine may stand still.
    const [before, began, after] = [performance.now(), clock.now(), performance.now()];
    let last = began;
    while (performance.now() < after + 5) {
      const now = clock.now();
      if (now < last) t.fail(`${now} after ${last}`);
      last = now;
    }
    const [least, ended, most] = [
      performance.now() - after,
      clock.now(),
      performance.now() - before,
    ];
    const ours = ended - began;
    t.ok(ours >= least - 0.01 && ours <= most + 0.01, `${least} <= ${ours} <= ${most} ms`);
    // A variable of a closure would box it.
    const sum = new Float64Array(1);
    const octets = octetsAllocated(() => {
      sum[0] = sum[0]! + clock.now();
    });
    t.ok(octets < 8 && sum[0]! > 0, `${octets} octets a reading`);
  });

  t.test('a socket carries the code point it was opened with', async t => {
    for (const address of addresses) {
      for (const dscp of [0, DSCP.signalling, DSCP.voice, 63]) {
        const fd = native.openMarkedUdpSocket(address, 0, dscp);
        t.equal(native.socketDscp(fd), dscp, `${address} ${dscp}`);
        closeSync(fd);
      }
    }
  });

  t.test(
    'what cannot be opened is an error with the code of the system, and nothing leaks',
    async t => {
      const taken = createSocket('udp4').bind(0, '127.0.0.1');
      await once(taken, 'listening');
      const before = descriptors();
      const failures: [() => void, string][] = [
        [() => native.openMarkedUdpSocket('127.0.0.1', taken.address().port, 46), 'EADDRINUSE'],
        [() => native.openMarkedUdpSocket('192.0.2.1', 0, 46), 'EADDRNOTAVAIL'],
        [() => native.openMarkedUdpSocket('localhost', 0, 46), 'EINVAL'],
        [() => native.openMarkedUdpSocket('1'.repeat(300), 0, 46), 'EINVAL'],
        [() => native.openMarkedUdpSocket('127.0.0.1', 65536, 46), 'EINVAL'],
        [() => native.openMarkedUdpSocket('127.0.0.1', 0, 64), 'EINVAL'],
        [() => native.socketDscp(before + 100), 'EBADF'],
      ];
      for (const [attempt, code] of failures)
        t.throws(attempt, { code, message: new RegExp(code) });
      t.equal(descriptors(), before);
      taken.close();
    },
  );

  const network = new SystemNetwork(native.openMarkedUdpSocket);

  t.test('the system network sends and receives through marked sockets', async t => {
    for (const address of addresses.slice(0, hasIpv6 ? 2 : 1)) {
      const options = { address, port: 0, trafficClass: 'voice' } as const;
      const [a, b] = await Promise.all([
        network.bindDatagram(options),
        network.bindDatagram(options),
      ]);
      t.equal(a.local.address, address);
      t.ok(a.local.port > 0);
      const heard = new Promise(resolve => {
        b.onMessage = (data, from) => resolve([Buffer.from(data).toString(), from.port]);
      });
      a.send(Buffer.from('hello'), b.local);
      t.same(await heard, ['hello', a.local.port]);
      await t.rejects(network.bindDatagram({ ...options, port: a.local.port }), {
        code: 'ADDRESS_IN_USE',
      });
      a.close();
      b.close();
    }
  });

  t.test('a thousand sockets opened and closed leave no descriptor behind', async t => {
    const before = descriptors();
    for (let n = 0; n < 1000; n++) {
      const socket = await network.bindDatagram({
        address: '127.0.0.1',
        port: 0,
        trafficClass: 'voice',
      });
      socket.close();
    }
    await new Promise(setImmediate);
    t.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
  });

  t.test('a worker thread loads it too, and its end does no harm to this one', async t => {
    const worker = new Worker(new URL('./worker.js', import.meta.url));
    const [{ loaded, port }] = await once(worker, 'message');
    t.equal(loaded, true);
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    socket.send('echo', port, '127.0.0.1');
    t.equal(String((await once(socket, 'message'))[0]), 'echo');
    socket.close();
    t.equal((await once(worker, 'exit'))[0], 0);
    const fd = native.openMarkedUdpSocket('127.0.0.1', 0, DSCP.voice);
    t.equal(native.socketDscp(fd), DSCP.voice);
    closeSync(fd);
  });

  t.test('libopus is found where the machine has it, and takes no wrong argument', async t => {
    const { opus } = native;
    if (!opus) return t.comment('no libopus.so.0 here');
    t.match(opus.version, /^libopus /);
    t.throws(() => opus.newEncoder(44_100, 2048), RangeError);
    t.throws(() => opus.newDecoder(0), RangeError);
    const encoder = opus.newEncoder(8000, 2048);
    const decoder = opus.newDecoder(8000);
    const frame = new Int16Array(160);
    const data = new Uint8Array(100);
    const octets = opus.encode(encoder, frame, data, 90);
    t.ok(octets > 0 && octets <= 10, `${octets} octets`);
    t.equal(opus.decode(decoder, data, 90, octets, frame, 0, 160, false), 160);
    const wrong: [what: string, result: number][] = [
      ['a frame of no length there is', opus.encode(encoder, new Int16Array(150), data, 0)],
      ['no room', opus.encode(encoder, frame, data, 100)],
      ['before the beginning', opus.encode(encoder, frame, data, -1)],
      ['a decoder that is to encode', opus.encode(decoder, frame, data, 0)],
      ['octets beyond the end', opus.decode(decoder, data, 90, 11, frame, 0, 160, false)],
      ['samples beyond the end', opus.decode(decoder, data, 90, octets, frame, 1, 160, false)],
      ['another array', opus.encode(encoder, data as unknown as Int16Array, data, 0)],
      ['an unknown request', opus.control(encoder, 1, 1)],
    ];
    opus.free(encoder);
    opus.free(encoder);
    opus.free(decoder);
    wrong.push(['a freed encoder', opus.encode(encoder, frame, data, 0)]);
    wrong.push(['a freed decoder', opus.decode(decoder, data, 0, 1, frame, 0, 160, false)]);
    for (const [what, result] of wrong) t.ok(result < 0, what);
  });
}
