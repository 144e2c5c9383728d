import t from 'tap';
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { RtpSource } from '../../src/media/rtp-source.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { octetsAllocated } from './allocation.js';
import { chirp, follow, levelDb } from './signal.js';
import { throughCodec } from './through-codec.js';

const RATE = 8000;
const FRAME = 160;
const TICK_MS = 20;

interface Sent {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payload: Uint8Array;
  readonly arrivalMs: number;
}

const encoder = pcmu.newEncoder({ sampleRate: RATE });
const decoder = pcmu.newDecoder({ sampleRate: RATE });

interface SendOptions {
  readonly signal: Int16Array;
  readonly ptimeMs?: number;
  readonly ssrc?: number;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly fromMs?: number;
  /** Of the packet by its number; undefined: lost. */
  readonly delayMs?: (index: number) => number | undefined;
}

/** Packets of a perfect sender over an imperfect network, in the order they arrive. */
function send(options: SendOptions): Sent[] {
  const { signal, ptimeMs = 20, ssrc = 1, sequence = 65_500, timestamp = 2 ** 32 - 8000 } = options;
  const { fromMs = 0, delayMs = () => 0 } = options;
  const samples = (ptimeMs * RATE) / 1000;
  const sent: Sent[] = [];
  for (let index = 0; (index + 1) * samples <= signal.length; index++) {
    const delay = delayMs(index);
    if (delay === undefined) continue;
    const payload = new Uint8Array(samples);
    encoder.encode(signal.subarray(index * samples, (index + 1) * samples), payload, 0);
    sent.push({
      ssrc,
      sequence: (sequence + index) & 0xffff,
      timestamp: (timestamp + index * samples) >>> 0,
      marker: index === 0,
      payload,
      arrivalMs: fromMs + index * ptimeMs + delay,
    });
  }
  return sent;
}

interface Heard {
  readonly samples: Int16Array;
  readonly buffer: JitterBuffer;
  readonly source: RtpSource;
}

/** Plays what arrived, tick by tick, as a leg does. */
function play(sent: readonly Sent[], { phaseMs = 10, ms = 0 } = {}): Heard {
  const arriving = sent.toSorted((a, b) => a.arrivalMs - b.arrivalMs);
  const lengthMs = ms || (arriving.at(-1)?.arrivalMs ?? 0) + 600;
  const buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
  const source = new RtpSource(RATE);
  const frame = new Int16Array(FRAME);
  const ticks = Math.floor(lengthMs / TICK_MS);
  const samples = new Int16Array(ticks * FRAME);
  const packet = new RtpPacket();
  let next = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const nowMs = phaseMs + tick * TICK_MS;
    while (next < arriving.length && arriving[next]!.arrivalMs <= nowMs) {
      const { payload, arrivalMs, ...header } = arriving[next++]!;
      Object.assign(packet, header, { data: payload, payloadOffset: 0 });
      packet.payloadLength = payload.length;
      const verdict = source.accept(packet, arrivalMs);
      if (verdict === 'refused') continue;
      if (verdict === 'restarted') buffer.reset();
      buffer.put(source.extendedSequence, packet, decoder, arrivalMs);
    }
    buffer.get(frame, nowMs);
    samples.set(frame, tick * FRAME);
  }
  return { samples, buffer, source };
}

/** Concealed before a stream that ends counts as ended: 200 ms. */
const FRAMES_AFTER_END = 10;
const tenSeconds = chirp({ samples: 10 * RATE, sampleRate: RATE });
const expected = throughCodec(pcmu, tenSeconds);
const whole = { exact: expected.length, missing: 0, extra: 0 };

t.test(
  'an even stream is played exactly, 20 to 40 ms after it arrived, at every phase',
  async t => {
    for (let phaseMs = 0; phaseMs < TICK_MS; phaseMs += 2.5) {
      const { samples, buffer } = play(send({ signal: tenSeconds }), { phaseMs });
      const passage = follow(samples, expected);
      t.match(passage, whole);
      const delayMs = (passage.start * 1000) / RATE + phaseMs;
      t.ok(delayMs >= 20 && delayMs < 40, `${delayMs} ms`);
      t.ok(Math.abs(buffer.waitMs - delayMs) < 0.1);
    }
  },
);

t.test('packets of 10, 30, 40 and 60 ms are played exactly', async t => {
  for (const ptimeMs of [10, 30, 40, 60]) {
    const { samples } = play(send({ signal: tenSeconds, ptimeMs }));
    const length = 10_000 - (10_000 % ptimeMs);
    t.match(
      follow(samples, expected.subarray(0, (length * RATE) / 1000)),
      { exact: (length * RATE) / 1000, missing: 0, extra: 0 },
      `${ptimeMs} ms`,
    );
  }
});

t.test('jitter, reordering and duplicates within the depth cost nothing', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed);
    // The first packet sets the clock: it comes as late as any, or earlier ones would come too soon.
    const delayMs = (index: number) => (index === 0 ? 0 : random.unit() * 19);
    const sent = send({ signal: tenSeconds, delayMs });
    const doubled = sent.flatMap(one =>
      random.unit() < 0.2 ? [one, { ...one, arrivalMs: one.arrivalMs + random.unit() * 5 }] : [one],
    );
    const { samples, buffer, source } = play(doubled, { phaseMs: random.unit() * TICK_MS });
    t.match(follow(samples, expected), whole, `seed ${seed}`);
    t.equal(buffer.duplicates + buffer.late, doubled.length - sent.length);
    t.equal(buffer.concealedFrames, FRAMES_AFTER_END);
    t.equal(source.lost + buffer.duplicates + buffer.late, 0);
  }
});

t.test('a lost packet costs its own time and no more', async t => {
  const sent = send({ signal: tenSeconds, delayMs: index => (index % 50 === 30 ? undefined : 0) });
  const { samples, buffer, source } = play(sent);
  const passage = follow(samples, expected);
  t.match(passage, { missing: 10 * FRAME, extra: 10 * FRAME });
  t.equal(buffer.concealedFrames, 10 + FRAMES_AFTER_END);
  t.equal(source.lost, 10);
});

t.test('random loss: what is heard is the signal in its place, or concealment', async t => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new SeededRandom(seed);
    let lost = 0;
    const delayMs = (index: number) => {
      if (index > 0 && index < 499 && random.unit() < 0.1) {
        lost++;
        return undefined;
      }
      return random.unit() * 15;
    };
    const { samples } = play(send({ signal: tenSeconds, delayMs }));
    const passage = follow(samples, expected);
    t.equal(passage.extra, passage.missing, `seed ${seed}: all in its place`);
    // Concealment may hit the very sample by chance.
    t.ok(Math.abs(passage.missing - lost * FRAME) <= lost, `seed ${seed}: ${passage.missing}`);
  }
});

t.test('a network that stands still for 150 ms costs delay, never samples', async t => {
  const stall = (index: number) =>
    index >= 100 && index < 108 ? 150 - (index - 100) * 20 + 10 : 0;
  const { samples, buffer } = play(send({ signal: tenSeconds, delayMs: stall }));
  const passage = follow(samples, expected);
  t.match(passage, { exact: expected.length, missing: 0 });
  t.equal(passage.extra % FRAME, 0);
  t.ok(buffer.targetMs > 100, `the need was learnt: ${buffer.targetMs} ms`);
  t.ok(buffer.targetMs <= 200);
});

t.test('delay that is no longer needed goes at silence, a frame at a time', async t => {
  const seconds = 60;
  const talk = chirp({ samples: seconds * RATE, sampleRate: RATE });
  // Each second half silent.
  for (let i = 0; i < talk.length; i++) if (i % RATE > RATE / 2) talk[i] = 0;
  const stall = (index: number) => (index >= 100 && index < 106 ? 120 - (index - 100) * 20 : 0);
  const { buffer } = play(send({ signal: talk, delayMs: stall }), { ms: 9000 });
  const grown = buffer.waitMs;
  t.ok(grown > 100, `${grown} ms after the stall`);
  const later = play(send({ signal: talk, delayMs: stall }), { ms: seconds * 1000 });
  t.ok(later.buffer.waitMs < grown - 30, `${later.buffer.waitMs} ms a minute later`);
  t.ok(later.buffer.waitMs >= 20);
  t.equal(later.buffer.late, 0);
});

t.test('a sender whose clock is slower or faster is followed', async t => {
  const talk = chirp({ samples: 120 * RATE, sampleRate: RATE });
  for (let i = 0; i < talk.length; i++) if (i % RATE > RATE / 2) talk[i] = 0;
  for (const perMille of [-1, 1]) {
    const { buffer } = play(
      send({ signal: talk, delayMs: index => (index * 20 * perMille) / 1000 + 120 }),
      { ms: 120_000 },
    );
    t.ok(buffer.waitMs > 0 && buffer.waitMs < 90, `${perMille}‰: ${buffer.waitMs} ms`);
    t.equal(buffer.concealedFrames, 0, `${perMille}‰: in the pauses, unheard`);
  }
});

t.test('after a link was down for five seconds the voice is back at once', async t => {
  const down = (index: number) => (index >= 100 && index < 350 ? undefined : 0);
  const { samples, buffer } = play(send({ signal: tenSeconds, delayMs: down }));
  const after = follow(samples, expected.subarray(350 * FRAME));
  t.match(after, { exact: 150 * FRAME, missing: 0, extra: 0 });
  const arrivedAt = (350 * FRAME) / FRAME;
  t.ok(after.start <= (arrivedAt + 2) * FRAME);
  t.ok(buffer.concealedFrames < 25, 'silence, not concealment, once the stream has stopped');
});

t.test('timestamps that leap, either way, do not silence the stream', async t => {
  for (const leap of [1_000_000, -1_000_000, 2 ** 31]) {
    const sent = send({ signal: tenSeconds }).map((one, index) =>
      index < 200 ? one : { ...one, timestamp: (one.timestamp + leap) >>> 0 },
    );
    t.match(follow(play(sent).samples, expected), whole, `by ${leap}`);
  }
});

t.test(
  'sequence numbers that leap belong to a restarted sender: the second packet is believed',
  async t => {
    const sent = send({ signal: tenSeconds }).map((one, index) =>
      index < 200 ? one : { ...one, sequence: (one.sequence + 20_000) & 0xffff },
    );
    const { samples, source } = play(sent);
    t.equal(source.refused, 1);
    t.match(follow(samples, expected.subarray(201 * FRAME)), { missing: 0, extra: 0 });
  },
);

t.test('another source is heard once the old one is silent', async t => {
  const half = tenSeconds.length / 2;
  const old = send({ signal: tenSeconds.subarray(0, half), ssrc: 1 });
  const next = send({ signal: tenSeconds.subarray(half), ssrc: 2, sequence: 7, fromMs: 5000 });
  const { samples } = play([...old, ...next]);
  const passage = follow(samples, expected.subarray(half + 6 * FRAME));
  t.match(passage, { missing: 0, extra: 0 }, 'all but the first 120 ms');
  t.match(follow(samples, expected.subarray(0, half)), { exact: half }, 'the old one to its end');
});

t.test('a flood of foreign sources, one or many, does not disturb', async t => {
  const random = new SeededRandom(5);
  const sent = send({ signal: tenSeconds });
  const flood = (foreign: (i: number) => { ssrc: number; sequence: number }): Sent[] =>
    Array.from({ length: 20_000 }, (_, i) => ({
      ...sent[0]!,
      ...foreign(i),
      arrivalMs: 1 + i / 2,
    }));
  for (const packets of [
    flood(i => ({ ssrc: 99, sequence: i & 0xffff })),
    flood(() => ({ ssrc: random.uint32(), sequence: random.uint32() & 0xffff })),
  ]) {
    const { samples, source } = play([...sent, ...packets]);
    t.match(follow(samples, expected), whole);
    t.ok(source.refused >= 19_500, 'until the stream ended');
  }
});

t.test('silence suppression: the pauses are as long as they were', async t => {
  const sent = send({ signal: tenSeconds, delayMs: i => (i % 100 >= 80 ? undefined : 0) }).map(
    // The sequence number does not count what was never sent, RFC 3551 §4.1.
    (one, index) => ({ ...one, sequence: (65_500 + index) & 0xffff, marker: index % 80 === 0 }),
  );
  const { samples, source } = play(sent);
  t.equal(source.lost, 0);
  for (let talk = 0; talk < 5; talk++) {
    const from = talk * 100 * FRAME;
    const passage = follow(samples, expected.subarray(from, from + 80 * FRAME));
    t.match(passage, { exact: 80 * FRAME, missing: 0, extra: 0 });
    t.ok(Math.abs(passage.start - from - 2 * FRAME) <= FRAME);
  }
});

t.test('concealment fades to silence within 60 ms', async t => {
  const steady = Int16Array.from({ length: 50 * FRAME }, (_, i) => 10_000 * Math.sin(i / 3));
  const { samples } = play(send({ signal: steady }));
  const { start } = follow(samples, throughCodec(pcmu, steady));
  const end = start + steady.length;
  const levels = [0, 1, 2, 3].map(i =>
    levelDb(samples.subarray(end + i * FRAME, end + (i + 1) * FRAME)),
  );
  t.ok(levels[0]! > levels[1]! && levels[1]! > levels[2]! && levels[0]! > -20, levels.join());
  t.equal(levels[3], Number.NEGATIVE_INFINITY);
});

t.test('a talker far ahead of the listener is cut to the depth that is allowed', async t => {
  const burst = send({ signal: tenSeconds, delayMs: index => (index < 40 ? -index * 20 : -800) });
  const { buffer, samples } = play(burst, { ms: 9500 });
  t.ok(buffer.waitMs < 300, `${buffer.waitMs} ms`);
  t.ok(follow(samples, expected).exact > 400 * FRAME);
});

t.test('put and get do not allocate', async t => {
  const buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
  const packet = new RtpPacket();
  packet.data = new Uint8Array(FRAME).fill(0x55);
  packet.payloadLength = FRAME;
  const frame = new Int16Array(FRAME);
  let i = 0;
  const octets = octetsAllocated(() => {
    i++;
    packet.timestamp = (i * FRAME) >>> 0;
    buffer.put(i, packet, decoder, i * TICK_MS);
    buffer.get(frame, i * TICK_MS + 5);
  });
  t.ok(octets < 64, `${octets} octets a frame: boxed numbers at most`);
});
