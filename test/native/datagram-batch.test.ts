import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import type { DatagramSocket, Endpoint } from '../../src/core/network.js';
import { DatagramBatch } from '../../src/native/datagram-batch.js';
import { loadNative, type Native, nativeProblem } from '../../src/native/index.js';
import { octetsAllocated } from '../media/allocation.js';

const native = loadNative();
if (native) testBatch(native);
else t.pass(`not tried: ${nativeProblem()}`);

/** A port that was free a moment ago. */
async function freePort(address: string): Promise<number> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4').bind(0, address);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>(done => socket.close(done));
  return port;
}

async function bind(batch: DatagramBatch, address = '127.0.0.1'): Promise<DatagramSocket> {
  const port = await freePort(address);
  return batch.bindDatagram({ address, port, trafficClass: 'voice' });
}

/** What a socket hears from now on. */
function heardBy(socket: DatagramSocket) {
  const heard: { text: string; from: Endpoint; ageMs: number }[] = [];
  socket.onMessage = (data, from, ageUs = 0) => {
    heard.push({ text: Buffer.from(data).toString(), from: { ...from }, ageMs: ageUs / 1000 });
  };
  return heard;
}

const octets = (text: string) => new TextEncoder().encode(text);
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

function testBatch(native: Native): void {
  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some(at => at?.address === '::1');

  for (const address of hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']) {
    t.test(`datagrams cross in both directions at ${address}, with source and age`, async t => {
      const batch = new DatagramBatch(native);
      const [a, b] = [await bind(batch, address), await bind(batch, address)];
      const [atA, atB] = [heardBy(a), heardBy(b)];
      a.send(octets('one'), b.local);
      batch.receive();
      t.same(atB, [], 'it waits for the end of the tick');
      batch.flush();
      await pause(30);
      batch.receive();
      t.match(atB, [{ text: 'one', from: a.local }]);
      // The kernel begins to note when they come a while after the first socket has asked for that.
      for (let more = 0; more < 50 && atB.at(-1)!.ageMs < 25; more++) {
        a.send(octets('one more'), b.local);
        batch.flush();
        await pause(30);
        batch.receive();
      }
      const { ageMs } = atB.at(-1)!;
      t.ok(ageMs >= 25 && ageMs < 5000, `${ageMs} ms old`);
      // From now on it is where b sends to, too.
      b.send(octets('two'), a.local);
      a.send(octets('three'), b.local);
      batch.flush();
      batch.receive();
      t.match(atA, [{ text: 'two', from: b.local }]);
      t.match(atB.at(-1), { text: 'three', from: a.local });
      a.close();
      b.close();
    });
  }

  t.test(
    'a socket can turn to another remote; what was queued goes where it was meant',
    async t => {
      const batch = new DatagramBatch(native);
      const [a, b, c] = [await bind(batch), await bind(batch), await bind(batch)];
      const [atB, atC] = [heardBy(b), heardBy(c)];
      a.send(octets('to b'), b.local);
      a.send(octets('to c'), c.local);
      a.send(octets('to b again'), b.local);
      a.close();
      batch.receive();
      t.same(
        atB.map(({ text }) => text),
        ['to b', 'to b again'],
      );
      t.same(
        atC.map(({ text }) => text),
        ['to c'],
      );
      a.send(octets('after closing'), b.local);
      batch.flush();
      for (const socket of [b, c]) socket.close();
    },
  );

  t.test('what cannot be sent is told, and the socket goes on', async t => {
    const batch = new DatagramBatch(native);
    const a = await bind(batch);
    const codes: unknown[] = [];
    a.onError = error => codes.push((error as NodeJS.ErrnoException).code);
    a.send(new Uint8Array(5000), { address: '127.0.0.1', port: 9 });
    a.send(octets('x'), { address: 'nowhere', port: 9 });
    a.send(octets('x'), { address: '127.0.0.1', port: 0 });
    t.same(codes, ['EMSGSIZE', 'EINVAL', 'EINVAL']);
    const failures: Error[] = [];
    a.send(octets('x'), { address: '::1', port: 9 }, error => failures.push(error));
    batch.flush();
    t.ok(failures.length + codes.length > 3, 'of the wrong family');
    const b = await bind(batch);
    const atB = heardBy(b);
    a.send(octets('still here'), b.local);
    batch.flush();
    batch.receive();
    t.match(atB, [{ text: 'still here' }]);
    a.close();
    b.close();
  });

  t.test('a taken port says so, as without the addon', async t => {
    const batch = new DatagramBatch(native);
    const a = await bind(batch);
    const { address, port } = a.local;
    await t.rejects(batch.bindDatagram({ address, port, trafficClass: 'voice' }), {
      code: 'ADDRESS_IN_USE',
    });
    a.close();
    const again = await batch.bindDatagram({ address, port, trafficClass: 'voice' });
    again.close();
  });

  t.test('a flood of one socket leaves the others what is theirs', async t => {
    const batch = new DatagramBatch(native);
    const sockets = await Promise.all(Array.from({ length: 100 }, () => bind(batch)));
    const sender = await bind(batch);
    const heard = sockets.map(heardBy);
    for (const { local } of sockets.slice(0, 80)) {
      for (let i = 0; i < 50; i++) sender.send(octets('flood'), local);
    }
    for (const { local } of sockets.slice(80)) sender.send(octets('voice'), local);
    batch.flush();
    batch.receive();
    t.ok(heard.slice(0, 80).every(({ length }) => length === 32));
    t.ok(heard.slice(80).every(({ length }) => length === 1));
    batch.receive();
    t.ok(
      heard.slice(0, 80).every(({ length }) => length === 50),
      'the rest waited',
    );
    for (const socket of [...sockets, sender]) socket.close();
  });

  t.test('a closed socket hears nothing and keeps no descriptor', async t => {
    const batch = new DatagramBatch(native);
    const before = readdirSync('/proc/self/fd').length;
    const [a, b] = [await bind(batch), await bind(batch)];
    const atB = heardBy(b);
    a.send(octets('too late'), b.local);
    batch.flush();
    b.close();
    b.close();
    batch.receive();
    t.same(atB, []);
    a.close();
    t.equal(readdirSync('/proc/self/fd').length, before);
  });

  t.test('packets that come and go allocate nothing', async t => {
    const batch = new DatagramBatch(native);
    const [a, b] = [await bind(batch), await bind(batch)];
    let heard = 0;
    b.onMessage = data => {
      heard += data.length;
    };
    const data = new Uint8Array(172);
    const { local } = b;
    const octets = octetsAllocated(() => {
      a.send(data, local);
      batch.flush();
      batch.receive();
    }, 5000);
    // The source of somebody b never sent to is written anew each time; a leg always sends.
    b.send(data, a.local);
    t.ok(heard > 0);
    const familiar = octetsAllocated(() => {
      a.send(data, local);
      batch.flush();
      batch.receive();
    }, 5000);
    t.ok(familiar < 48, `${familiar} octets a packet, ${octets} of a stranger's`);
    a.close();
    b.close();
  });
}
