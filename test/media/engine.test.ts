import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { codecByName } from '../../src/media/codecs/registry.js';
import { Codings } from '../../src/media/codings.js';
import type { MediaLeg, PayloadFormat } from '../../src/media/engine.js';
import { Graph } from '../../src/media/graph.js';
import { Leg } from '../../src/media/leg.js';
import { LocalMediaEngine } from '../../src/media/local-engine.js';
import type { PacketPath } from '../../src/media/packet-path.js';
import { RtpPacket, readRtp, writeRtpHeader } from '../../src/media/rtp.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { VirtualClock } from '../../src/simulation/virtual-clock.js';
import { VirtualNetwork } from '../../src/simulation/virtual-network.js';
import { octetsAllocated } from './allocation.js';
import { chirp, follow, frequencyHz, levelAtDb, levelDb } from './signal.js';
import { throughCodec } from './through-codec.js';
import { readWav, writeWav } from './wav-file.js';

const RATE = 8000;
const FRAME = 160;
const PCMU: PayloadFormat = { name: 'PCMU', payloadType: 0 };
const PCMA: PayloadFormat = { name: 'PCMA', payloadType: 8 };

const folder = await mkdtemp(join(tmpdir(), 'ringline-media-'));
t.teardown(() => rm(folder, { recursive: true }));
let files = 0;
const newFile = () => join(folder, `${++files}.wav`);

interface Party {
  readonly address: string;
  readonly engine: LocalMediaEngine;
}

/** A clock, a network and engines on it; everything is stopped when the test ends. */
async function world(t: Tap, names: number, seed = 1) {
  const clock = new VirtualClock();
  const network = new VirtualNetwork({ clock, seed });
  const parties: Party[] = [];
  for (let i = 1; i <= names; i++) {
    const address = `10.0.0.${i}`;
    const engine = new LocalMediaEngine({
      clock,
      network: network.host(address),
      random: new SeededRandom(seed * 100 + i),
      onError: error => t.fail(error),
    });
    await engine.start();
    parties.push({ address, engine });
  }
  t.teardown(() => Promise.all(parties.map(({ engine }) => engine.stop())));
  return { clock, network, parties };
}

type Tap = Pick<typeof t, 'teardown' | 'fail'>;

async function openLeg({ engine, address }: Party): Promise<MediaLeg> {
  return engine.openLeg({ address });
}

function point(leg: MediaLeg, to: Party, port: number, format = PCMU, flow = {}): void {
  const remote = { address: to.address, port };
  leg.configure({ remote, format, send: true, receive: true, ...flow });
}

/** A call between two parties: one leg each. */
async function call(a: Party, b: Party, format = PCMU): Promise<[MediaLeg, MediaLeg]> {
  const legs: [MediaLeg, MediaLeg] = [await openLeg(a), await openLeg(b)];
  point(legs[0], b, legs[1].port, format);
  point(legs[1], a, legs[0].port, format);
  return legs;
}

/** What `leg` hears in `ms`. */
async function hear(party: Party, leg: MediaLeg, clock: VirtualClock, ms: number) {
  const file = newFile();
  const recorder = await party.engine.openRecorder({ file });
  party.engine.connect(leg, recorder);
  // Not all at once: the disk works in real time.
  for (let left = ms; left > 0; left -= 1000) await clock.advance(Math.min(left, 1000));
  await recorder.close();
  return (await readWav(file)).samples;
}

for (const format of [PCMU, PCMA]) {
  t.test(`440 Hz over ${format.name} arrives within 0.5 dB and 1 Hz`, async t => {
    const { clock, parties } = await world(t, 2);
    const [a, b] = parties as [Party, Party];
    const [near, far] = await call(a, b, format);
    const tone = await a.engine.openTone({ tones: [{ frequencies: [440] }], levelDbm0: -10 });
    a.engine.connect(tone, near);
    const heard = (await hear(b, far, clock, 1500)).subarray(RATE / 4);
    t.ok(Math.abs(frequencyHz(heard, RATE) - 440) < 1);
    t.ok(Math.abs(levelDb(heard) - (-10 - 3.17)) < 0.5, `${levelDb(heard)} dB`);
  });

  t.test(`a chirp over ${format.name} arrives sample by sample`, async t => {
    const { clock, network, parties } = await world(t, 2);
    network.link = { ...network.link, jitterMs: 15, duplication: 0.1 };
    const [a, b] = parties as [Party, Party];
    const [near, far] = await call(a, b, format);
    // Short enough to be read whole before it plays: the disk keeps real time, the clock does not.
    const signal = chirp({ samples: RATE * 4, sampleRate: RATE });
    const file = newFile();
    await writeWav(file, signal, RATE);
    const player = await a.engine.openPlayer({ file });
    // The stream runs before the signal begins, so that the buffer has found its depth.
    await clock.advance(500);
    a.engine.connect(player, near);
    const heard = await hear(b, far, clock, 4500);
    const expected = throughCodec(codecByName(format.name)!, signal);
    t.match(follow(heard, expected), { exact: signal.length, missing: 0, extra: 0 });
    t.match(await far.statistics(), { packetsLost: 0, packetsRefused: 0, sendErrors: 0 });
  });
}

t.test('the same seed gives the same packets', async t => {
  const run = async () => {
    const { clock, network, parties } = await world(t, 2, 42);
    const [a, b] = parties as [Party, Party];
    const [near] = await call(a, b);
    const tone = await a.engine.openTone({ tones: [{ frequencies: [440] }] });
    a.engine.connect(tone, near);
    await clock.advance(10_000);
    return network.traceText();
  };
  const first = await run();
  t.ok(first.split('\n').length > 1000);
  t.equal(await run(), first);
});

t.test('an echo comes back within 40 ms and the way', async t => {
  const { clock, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const near = await openLeg(a);
  await clock.advance(7);
  const far = await openLeg(b);
  point(near, b, far.port);
  point(far, a, near.port);
  b.engine.connect(far, far);
  const tone = await a.engine.openTone({ tones: [{ frequencies: [440], ms: 400 }] });
  await clock.advance(200);
  a.engine.connect(tone, near);
  const heard = await hear(a, near, clock, 1000);
  const start = heard.findIndex(sample => sample !== 0);
  // Two buffers of 20 to 40 ms, the way there and back of 1 ms each, and the tick.
  t.ok(start > 0 && start <= (82 + 20) * 8, `${start / 8} ms`);
  t.match(await far.statistics(), { packetsLost: 0, concealedFrames: 0 });
});

t.test('three legs in a mix: each hears the two others and not itself', async t => {
  const { clock, parties } = await world(t, 4);
  const [mixer, ...phones] = parties as [Party, Party, Party, Party];
  const mix = await mixer.engine.openMix();
  const frequencies = [400, 700, 1100];
  const legs: MediaLeg[] = [];
  for (const [i, phone] of phones.entries()) {
    const [atMixer, atPhone] = await call(mixer, phone);
    mixer.engine.connect(atMixer, mix);
    mixer.engine.connect(mix, atMixer);
    const tones = [{ frequencies: [frequencies[i]!] }];
    phone.engine.connect(await phone.engine.openTone({ tones, levelDbm0: -12 }), atPhone);
    legs.push(atPhone);
  }
  await clock.advance(500);
  const recordings = phones.map(() => newFile());
  const recorders = await Promise.all(
    phones.map((phone, i) => phone.engine.openRecorder({ file: recordings[i]! })),
  );
  for (const [i, phone] of phones.entries()) phone.engine.connect(legs[i]!, recorders[i]!);
  await clock.advance(1000);
  for (const [i, file] of recordings.entries()) {
    await recorders[i]!.close();
    const { samples } = await readWav(file);
    for (const [j, hz] of frequencies.entries()) {
      const level = levelAtDb(samples, hz, RATE);
      if (i === j) t.ok(level < -60, `${i} hears itself at ${level} dB`);
      else t.ok(Math.abs(level - (-12 - 3.17)) < 1, `${i} hears ${j} at ${level} dB`);
    }
  }
});

t.test('a player ends when it has played, or is closed', async t => {
  const { clock, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const [near] = await call(a, b);
  let ended = 0;
  const openTone = async (ms: number, loop = false) => {
    const tone = await a.engine.openTone({ tones: [{ frequencies: [440], ms }], loop });
    void tone.ended.then(() => ended++);
    return tone;
  };
  const tone = await openTone(200);
  await clock.advance(1000);
  t.equal(ended, 0, 'waits for a listener');
  a.engine.connect(tone, near);
  await clock.advance(190);
  t.equal(ended, 0);
  await clock.advance(30);
  t.equal(ended, 1);
  const endless = await openTone(100, true);
  a.engine.connect(endless, near);
  await clock.advance(1000);
  t.equal(ended, 1);
  await endless.close();
  await endless.close();
  await clock.advance(0);
  t.equal(ended, 2);
});

t.test('hold: who neither sends nor receives is silent, and goes on after', async t => {
  const { clock, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const [near, far] = await call(a, b);
  const tone = await a.engine.openTone({ tones: [{ frequencies: [440] }] });
  a.engine.connect(tone, near);
  await clock.advance(1000);
  point(near, b, far.port, PCMU, { send: false });
  await clock.advance(100);
  const { packetsSent } = await near.statistics();
  t.equal(levelDb((await hear(b, far, clock, 3000)).subarray(RATE)), Number.NEGATIVE_INFINITY);
  t.equal((await near.statistics()).packetsSent, packetsSent);
  t.ok(((await far.statistics()).silentForMs ?? 0) > 2900);
  point(near, b, far.port);
  const after = await hear(b, far, clock, 1000);
  t.ok(levelDb(after.subarray(800)) > -20, 'back within 100 ms');
  t.equal((await far.statistics()).packetsLost, 0);

  point(far, a, near.port, PCMU, { receive: false });
  t.equal(levelDb(await hear(b, far, clock, 500)), Number.NEGATIVE_INFINITY, 'does not listen');
});

t.test('reports tell the round trip and a goodbye is said', async t => {
  const { clock, network, parties } = await world(t, 2);
  network.link = { ...network.link, delayMs: 30 };
  const [a, b] = parties as [Party, Party];
  const [near, far] = await call(a, b);
  t.equal((await near.statistics()).roundTripMs, undefined);
  await clock.advance(20_000);
  for (const leg of [near, far]) {
    const { roundTripMs, packetsSent, bufferMs } = await leg.statistics();
    t.ok(Math.abs((roundTripMs ?? 0) - 60) < 1, `${roundTripMs} ms`);
    t.equal(packetsSent, 1000);
    t.ok(bufferMs >= 20 && bufferMs <= 40);
  }
  const before = network.trace.filter(({ octets }) => octets !== 172).length;
  await near.close();
  t.equal(network.trace.filter(({ octets }) => octets !== 172).length, before + 1);
  t.ok(before > 4 && before < 24, `${before} reports in 20 s`);
});

t.test('a network that is gone costs packets, nothing else', async t => {
  const { clock, network, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const [near, far] = await call(a, b);
  await clock.advance(1000);
  network.setLink(a.address, false);
  await clock.advance(5000);
  t.equal((await near.statistics()).sendErrors > 240, true);
  network.setLink(a.address, true);
  const { packetsReceived } = await far.statistics();
  await clock.advance(1000);
  t.ok((await far.statistics()).packetsReceived - packetsReceived >= 49);
  t.ok((await far.statistics()).packetsLost >= 249);
});

/** Streams of somebody who is not the far end. */
async function stranger(
  network: VirtualNetwork,
  clock: VirtualClock,
  address: string,
  to: { address: string; port: number },
) {
  const socket = await network
    .host(address)
    .bindDatagram({ address, port: 4000, trafficClass: 'voice' });
  let sequence = 500;
  let heard = 0;
  socket.onMessage = () => {
    heard++;
  };
  return {
    heard: () => heard,
    async stream(packets: number, everyMs: number, ssrc: number, from = sequence) {
      sequence = from;
      const data = new Uint8Array(172);
      for (let i = 0; i < packets; i++) {
        writeRtpHeader(data, 0, false, sequence++ & 0xffff, sequence * 160, ssrc);
        socket.send(data, to);
        await clock.advance(everyMs);
      }
    },
  };
}

t.test('while the far end talks, nobody else is heard or sent to', async t => {
  const { clock, network, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const [near, far] = await call(a, b);
  const tone = await a.engine.openTone({ tones: [{ frequencies: [440] }], levelDbm0: -10 });
  a.engine.connect(tone, near);
  await clock.advance(500);
  const flooder = await stranger(network, clock, '10.0.0.9', {
    address: b.address,
    port: far.port,
  });
  await flooder.stream(1000, 1, 7);
  t.equal(flooder.heard(), 0);
  const { packetsRefused, packetsLost, concealedFrames } = await far.statistics();
  t.same(
    { packetsRefused, packetsLost, concealedFrames },
    { packetsRefused: 1000, packetsLost: 0, concealedFrames: 0 },
  );
});

t.test('a far end behind NAT is answered where its packets come from', async t => {
  const { clock, network, parties } = await world(t, 1);
  const [b] = parties as [Party];
  const leg = await openLeg(b);
  // Signalled is an address where nobody is.
  leg.configure({
    remote: { address: '192.168.9.9', port: 5004 },
    format: PCMU,
    send: true,
    receive: true,
  });
  const natted = await stranger(network, clock, '10.0.0.8', { address: b.address, port: leg.port });
  await natted.stream(20, 20, 7);
  t.ok(natted.heard() >= 15, `${natted.heard()} packets`);
  t.equal((await leg.statistics()).packetsReceived, 18, 'all after the first two');

  const other = await stranger(network, clock, '10.0.0.7', { address: b.address, port: leg.port });
  await Promise.all([natted.stream(50, 20, 7), other.stream(50, 20, 8)]);
  t.equal(other.heard(), 0, 'who came first stays while it talks');
});

t.test('another source at the far end is played once the one before is silent', async t => {
  const { clock, network, parties } = await world(t, 1);
  const [b] = parties as [Party];
  const leg = await openLeg(b);
  const format = PCMU;
  leg.configure({ remote: { address: '10.0.0.8', port: 4000 }, format, send: true, receive: true });
  const far = await stranger(network, clock, '10.0.0.8', { address: b.address, port: leg.port });
  await far.stream(50, 20, 7, 500);
  await clock.advance(120);
  await far.stream(50, 20, 8, 500);
  const { packetsReceived, packetsLate, packetsDuplicate } = await leg.statistics();
  t.same(
    { packetsReceived, packetsLate, packetsDuplicate },
    { packetsReceived: 99, packetsLate: 0, packetsDuplicate: 0 },
  );
});

t.test(
  'the stream that was heard may go on elsewhere, where its place is silent; no other may',
  async t => {
    const { clock, network, parties } = await world(t, 1);
    const [b] = parties as [Party];
    const leg = await openLeg(b);
    point(leg, { address: '10.0.0.8', engine: b.engine }, 4000);
    const to = { address: b.address, port: leg.port };
    const [before, after, thief] = [
      await stranger(network, clock, '10.0.0.8', to),
      await stranger(network, clock, '10.0.0.9', to),
      await stranger(network, clock, '10.0.0.10', to),
    ];
    const received = async () => (await leg.statistics()).packetsReceived;
    await before.stream(50, 20, 7, 500);
    await thief.stream(100, 20, 8, 550);
    await thief.stream(20, 20, 7, 400);
    await thief.stream(20, 20, 7, 5000);
    t.equal(await received(), 50, 'another stream, an older part of it, one that leaps');
    t.equal(thief.heard(), 0);
    await after.stream(50, 20, 7, 560);
    t.equal(await received(), 98, 'all after the first two');
    t.ok(after.heard() > 40, 'and is answered there');
    point(leg, { address: '10.0.0.9', engine: b.engine }, 4000);
    await after.stream(50, 20, 7);
    const { packetsReceived, packetsLost } = await leg.statistics();
    t.same(
      [packetsReceived, packetsLost],
      [148, 12],
      'once it is signalled it is the same stream still',
    );
  },
);

t.test('a leg goes on at another address with the numbers it had', async t => {
  const { clock, network, parties } = await world(t, 1);
  const [b] = parties as [Party];
  const leg = await openLeg(b);
  const there = await network
    .host('10.0.0.8')
    .bindDatagram({ address: '10.0.0.8', port: 4000, trafficClass: 'voice' });
  const heard: { from: string; port: number; ssrc: number; sequence: number; at: number }[] = [];
  const packet = new RtpPacket();
  there.onMessage = (data, { address: from, port }) => {
    if (!readRtp(data, packet, data.length)) return;
    const { ssrc, sequence, timestamp: at } = packet;
    heard.push({ from, port, ssrc, sequence, at });
  };
  point(leg, { address: '10.0.0.8', engine: b.engine }, 4000);
  await clock.advance(1000);
  network.moveHost(b.address, '10.0.0.77');
  t.equal(await leg.move('10.0.0.77'), leg.port, 'by the same ports, since they are free');
  await clock.advance(1000);
  const lastBefore = heard.findLast(({ from }) => from === b.address);
  const firstAfter = heard.find(({ from }) => from === '10.0.0.77');
  if (!lastBefore || !firstAfter) throw new Error('nothing was heard');
  const { port, ssrc, sequence, at } = lastBefore;
  t.same(firstAfter, {
    from: '10.0.0.77',
    port,
    ssrc,
    sequence: (sequence + 1) & 0xffff,
    at: at + 160,
  });
  t.ok(heard.length > 95);
  await t.rejects(leg.move('10.9.9.9'), { code: 'ADDRESS_NOT_HERE' });
  const count = heard.length;
  await clock.advance(1000);
  t.ok(heard.length > count + 45, 'where it cannot go, it stays');
  await leg.close();
  await t.rejects(leg.move('10.0.0.77'), { code: 'NODE_CLOSED' });
});

t.test('the signalled address takes its stream back', async t => {
  const { clock, network, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const far = await openLeg(b);
  const near = await openLeg(a);
  point(far, a, near.port);
  const thief = await stranger(network, clock, '10.0.0.9', { address: b.address, port: far.port });
  await thief.stream(10, 20, 7);
  t.ok(thief.heard() > 5, 'nobody else was there');
  point(near, b, far.port);
  await clock.advance(100);
  const heard = thief.heard();
  await thief.stream(20, 20, 7);
  t.equal(thief.heard(), heard);
  t.ok((await near.statistics()).packetsReceived > 20);
});

t.test(
  'packet in, frame through the graph, packet out: nothing is allocated but boxed numbers',
  async t => {
    let now = 0;
    const clock = { now: () => now, wallTime: () => 0, after: () => ({ cancel: () => undefined }) };
    const path: PacketPath = {
      port: 0,
      sendErrors: 0,
      refused: 0,
      onRtp: () => undefined,
      onRtcp: () => undefined,
      onSourceChange: () => undefined,
      guard: undefined,
      move: async () => undefined,
      setRemote: () => undefined,
      sendRtp: () => undefined,
      sendRtcp: () => undefined,
      close: () => undefined,
    };
    const random = new SeededRandom(1);
    const leg = new Leg({ clock, random, path, codings: new Codings() });
    const remote = { address: '10.0.0.1', port: 4000 };
    leg.configure({ remote, format: PCMU, send: true, receive: true });
    const graph = new Graph();
    const node = graph.add(leg);
    const mix = graph.addMix();
    graph.connect(node, node);
    graph.connect(node, mix);
    graph.connect(mix, node);
    const data = new Uint8Array(12 + FRAME).fill(0x55);
    const packet = new RtpPacket();
    let i = 0;
    const octets = octetsAllocated(() => {
      now = i * 20 + 3;
      writeRtpHeader(data, 0, false, i & 0xffff, i * FRAME, 9);
      readRtp(data, packet);
      packet.arrivalMs = now;
      path.onRtp(packet);
      now += 8;
      graph.tick(now);
      i++;
    });
    t.ok(octets < 64, `${octets} octets a frame`);
    t.match(leg.statistics(), { packetsReceived: i, packetsLost: 0 });
  },
);

t.test('the clock runs only while there is something to play', async t => {
  const { clock, parties } = await world(t, 1);
  const [a] = parties as [Party];
  await clock.advance(1000);
  t.equal((await a.engine.clockStatistics()).ticks, 0);
  const mix = await a.engine.openMix();
  await clock.advance(1000);
  t.equal((await a.engine.clockStatistics()).ticks, 50);
  await mix.close();
  await clock.advance(1000);
  t.equal((await a.engine.clockStatistics()).ticks, 50);
  t.equal(clock.pending, 0);
});

t.test('what cannot be is refused with a remedy', async t => {
  const { parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const tone = await a.engine.openTone({ tones: [{ frequencies: [440] }] });
  const mix = await a.engine.openMix();
  const leg = await openLeg(b);
  t.throws(() => a.engine.connect(mix, tone), { code: 'NOT_CONNECTABLE' });
  t.throws(() => a.engine.connect(mix, mix), { code: 'NOT_CONNECTABLE' });
  t.throws(() => a.engine.connect(tone, leg), { code: 'FOREIGN_NODE' });
  await t.rejects(a.engine.openLeg({ address: '10.9.9.9' }), { code: 'ADDRESS_NOT_HERE' });
  await t.rejects(a.engine.openPlayer({ file: join(folder, 'none') }), { code: 'NO_SUCH_FILE' });
  await t.rejects(a.engine.openTone({ tones: [] }), { code: 'BAD_TONE' });
  await leg.close();
  await t.rejects(leg.statistics(), { code: 'NODE_CLOSED' });
  await b.engine.stop();
  await t.rejects(b.engine.openMix(), { code: 'ENGINE_STOPPED' });
  await b.engine.start();
  await t.resolves(b.engine.openMix());
});

t.test('a pair of ports is even and odd, and a taken one is passed over', async t => {
  const { network, parties } = await world(t, 2);
  const [a, b] = parties as [Party, Party];
  const first = await openLeg(a);
  t.equal(first.port % 2, 0);
  t.ok(first.port >= 16_384 && first.port <= 32_766);
  t.ok(network.isBound({ address: a.address, port: first.port + 1 }));
  const twin = new LocalMediaEngine({
    clock: new VirtualClock(),
    network: network.host(a.address),
    random: new SeededRandom(101),
  });
  await twin.start();
  t.not((await twin.openLeg({ address: a.address })).port, first.port);
  await twin.stop();
  await b.engine.stop();
});
