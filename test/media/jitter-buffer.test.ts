import t from 'tap';
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { octetsAllocated } from './allocation.js';
import { chirp, follow, levelDb, type Passage } from './signal.js';
import { decoder, FRAME, play, RATE, type Sent, send, TICK_MS } from './streams.js';
import { throughCodec } from './through-codec.js';

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
      t.ok(Math.abs(buffer.statistics.waitMs - delayMs) < 0.1);
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
    t.equal(buffer.statistics.duplicates + buffer.statistics.late, doubled.length - sent.length);
    t.equal(buffer.statistics.concealedFrames, FRAMES_AFTER_END);
    t.equal(source.lost + buffer.statistics.duplicates + buffer.statistics.late, 0);
  }
});

/** Cross-fade from made-up sound into a packet that came after all: 5 ms. */
const JOIN = 40;

/** Whether so many frames, and joins after them, are missing; concealment may hit the very sample by chance. */
function isLost({ missing }: Passage, frames: number): boolean {
  return missing <= frames * (FRAME + JOIN) && missing > 0.97 * frames * FRAME;
}

t.test('a lost packet costs its own time and no more', async t => {
  const sent = send({ signal: tenSeconds, delayMs: index => (index % 50 === 30 ? undefined : 0) });
  const { samples, buffer, source } = play(sent);
  const passage = follow(samples, expected);
  t.equal(passage.extra, passage.missing, 'all in its place');
  t.ok(isLost(passage, 10), `${passage.missing} samples`);
  t.equal(buffer.statistics.concealedFrames, 10 + FRAMES_AFTER_END);
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
      return index === 0 ? 0 : random.unit() * 15;
    };
    const { samples } = play(send({ signal: tenSeconds, delayMs }));
    const passage = follow(samples, expected);
    t.equal(passage.extra, passage.missing, `seed ${seed}: all in its place`);
    t.ok(isLost(passage, lost), `seed ${seed}: ${passage.missing}`);
  }
});

/** At `fromMs` nothing arrives for a while, then everything at once. */
function stall(fromMs: number, forMs: number): (index: number) => number {
  return index => {
    const sentMs = index * 20;
    return sentMs >= fromMs && sentMs < fromMs + forMs ? fromMs + forMs - sentMs : 0;
  };
}

t.test('a network that stands still for 160 ms costs delay, never samples', async t => {
  const talk = tenSeconds.subarray(0, 3 * RATE);
  const { samples, buffer } = play(send({ signal: talk, delayMs: stall(2000, 160) }), { ms: 3000 });
  const passage = follow(samples, expected.subarray(0, 2.8 * RATE));
  t.ok(passage.missing <= JOIN, `${passage.missing} samples: the join`);
  t.ok((passage.extra - passage.missing) % FRAME === 0);
  const { targetMs, depthMs, underruns } = buffer.statistics;
  t.ok(targetMs > 160 && targetMs <= 200, `the need was learnt: ${targetMs} ms`);
  t.ok(depthMs >= 160 && depthMs < targetMs + FRAME / 8, `${depthMs} ms`);
  t.equal(underruns, 1);
});

t.test(
  'five seconds after a burst of 100 ms the delay is at its floor, amid speech too',
  async t => {
    const pauses = Int16Array.from(tenSeconds, (x, i) => (i % RATE > RATE / 2 ? 0 : x));
    for (const [name, signal] of Object.entries({ tenSeconds, pauses })) {
      for (let phaseMs = 1; phaseMs < TICK_MS; phaseMs += 3) {
        const random = new SeededRandom(phaseMs);
        const delays = {
          stall: stall(2000, 100),
          'a second of jitter': (i: number) => (i >= 50 && i < 100 ? random.unit() * 100 : 0),
        };
        for (const [burst, delayMs] of Object.entries(delays)) {
          const grown = play(send({ signal, delayMs }), { phaseMs, ms: 2200 }).buffer.statistics;
          t.ok(grown.depthMs > 80, `${grown.depthMs} ms after ${burst}, ${name}`);
          const { depthMs, targetMs, late } = play(send({ signal, delayMs }), { phaseMs, ms: 7000 })
            .buffer.statistics;
          t.ok(depthMs < 40, `${depthMs} ms five seconds after ${burst}, ${name}`);
          t.ok(targetMs < 40);
          if (burst === 'stall') t.equal(late, 0);
        }
      }
    }
  },
);

t.test('bursts that come again and again are provided for', async t => {
  const talk = chirp({ samples: 60 * RATE, sampleRate: RATE });
  const delayMs = (index: number) => stall(2000, 100)(index % 150);
  const { underruns } = play(send({ signal: talk, delayMs })).buffer.statistics;
  t.ok(underruns <= 8, `${underruns} underruns in 20 bursts`);
});

t.test('a sender whose clock is slower or faster is followed', async t => {
  const talk = chirp({ samples: 120 * RATE, sampleRate: RATE });
  for (let i = 0; i < talk.length; i++) if (i % RATE > RATE / 2) talk[i] = 0;
  for (const perMille of [-1, 1]) {
    const { buffer } = play(
      send({ signal: talk, delayMs: index => (index * 20 * perMille) / 1000 + 120 }),
      { ms: 120_000 },
    );
    t.ok(
      buffer.statistics.waitMs > 0 && buffer.statistics.waitMs < 90,
      `${perMille}‰: ${buffer.statistics.waitMs} ms`,
    );
    t.equal(buffer.statistics.concealedFrames, 0, `${perMille}‰: in the pauses, unheard`);
  }
});

t.test('after a link was down for five seconds the voice is back at once', async t => {
  const down = (index: number) => (index >= 100 && index < 350 ? undefined : 0);
  const { samples, buffer } = play(send({ signal: tenSeconds, delayMs: down }));
  const after = follow(samples, expected.subarray(350 * FRAME));
  t.match(after, { exact: 150 * FRAME, missing: 0, extra: 0 });
  const arrivedAt = (350 * FRAME) / FRAME;
  t.ok(after.start <= (arrivedAt + 2) * FRAME);
  t.ok(
    buffer.statistics.concealedFrames < 25,
    'silence, not concealment, once the stream has stopped',
  );
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
  const { depthMs, overruns } = play(burst, { ms: 1000 }).buffer.statistics;
  t.ok(depthMs <= 300, `${depthMs} ms at once`);
  t.ok(overruns > 20);
  const { buffer, samples } = play(burst);
  t.ok(buffer.statistics.waitMs < 40, `${buffer.statistics.waitMs} ms in the end`);
  t.match(follow(samples, expected.subarray(6 * RATE)), { missing: 0, extra: 0 });
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
    packet.arrivalMs = i * TICK_MS;
    buffer.put(i, packet, decoder);
    buffer.get(frame, i * TICK_MS + 5);
  });
  t.ok(octets < 64, `${octets} octets a frame: boxed numbers at most`);
});
