import t from 'tap';
import type { Decoder } from '../../src/media/codecs/codec.js';
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { octetsAllocated } from './allocation.js';
import { everyCodec } from './every-codec.js';
import { measureQuality } from './quality.js';
import { chirp, follow, levelDb, speechLike } from './signal.js';
import { spoken } from './spoken.js';
import { decoder, FRAME, RATE, TICK_MS } from './streams.js';

const HOUR_TICKS = (3600 * 1000) / TICK_MS;

/** 16-bit linear samples as they are, and what was asked of it. */
class Linear implements Decoder {
  readonly decoded: number[] = [];
  onDecoded: (id: number) => void = () => undefined;
  concealed = 0;
  recovered = 0;

  samplesIn(_data: Uint8Array, _from: number, octets: number): number {
    return octets >> 1;
  }

  decode(data: Uint8Array, from: number, octets: number, out: Int16Array, at: number): number {
    const view = new DataView(data.buffer, data.byteOffset + from, octets);
    for (let i = 0; i < octets >> 1; i++) out[at + i] = view.getInt16(2 * i);
    this.decoded.push(view.getInt16(0));
    this.onDecoded(view.getInt16(0));
    return octets >> 1;
  }
}

/** Says 1000 for what it conceals and 2000 for what it recovers. */
class Concealing extends Linear {
  conceal(out: Int16Array, at: number, samples: number): void {
    this.concealed += samples;
    out.fill(1000, at, at + samples);
  }

  recover(
    _data: Uint8Array,
    _from: number,
    _octets: number,
    out: Int16Array,
    at: number,
    samples: number,
  ): boolean {
    this.recovered += samples;
    out.fill(2000, at, at + samples);
    return true;
  }
}

interface Stream {
  readonly buffer: JitterBuffer;
  readonly sampleRate?: number;
  readonly clockRate?: number;
  readonly decoder: Decoder;
}

function put(
  { buffer, decoder: of, sampleRate = RATE, clockRate = RATE }: Stream,
  sequence: number,
  samples: ArrayLike<number>,
  fromSample: number,
  arrivalMs: number,
  header: { marker?: boolean; level?: number } = {},
): void {
  const packet = new RtpPacket();
  packet.data = new Uint8Array(samples.length * 2);
  const view = new DataView(packet.data.buffer);
  for (let i = 0; i < samples.length; i++) view.setInt16(2 * i, samples[i]!);
  packet.payloadLength = packet.data.length;
  packet.timestamp = Math.round((fromSample * clockRate) / sampleRate) >>> 0;
  packet.marker = header.marker ?? false;
  packet.arrivalMs = arrivalMs;
  buffer.put(sequence, packet, of, header.level);
}

function newStream(of: Decoder, sampleRate = RATE, clockRate = RATE): Stream {
  const frameSamples = (sampleRate * TICK_MS) / 1000;
  const buffer = new JitterBuffer({ sampleRate, clockRate, frameSamples });
  return { buffer, sampleRate, clockRate, decoder: of };
}

for (const ppm of [-200, 200]) {
  for (const jitterMs of [0, 8]) {
    t.test(`an hour with a clock off by ${ppm} ppm, jitter ${jitterMs} ms`, async t => {
      const random = new SeededRandom(1);
      const buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
      const speech = speechLike(10 * RATE, RATE);
      const packets = Array.from({ length: speech.length / FRAME }, (_, i) => {
        const packet = new RtpPacket();
        packet.data = new Uint8Array(FRAME);
        packet.payloadLength = pcmu
          .newEncoder({ sampleRate: RATE })
          .encode(speech.subarray(i * FRAME, (i + 1) * FRAME), packet.data, 0);
        return packet;
      });
      const frame = new Int16Array(FRAME);
      const sentMs = (i: number) => i * TICK_MS * (1 + ppm / 1e6);
      let sent = 0;
      let arrivalMs = 0;
      let worst = 0;
      for (let tick = 0; tick < HOUR_TICKS; tick++) {
        const nowMs = tick * TICK_MS + 7;
        while (arrivalMs <= nowMs) {
          const packet = packets[sent % packets.length]!;
          packet.timestamp = (sent * FRAME) >>> 0;
          packet.arrivalMs = arrivalMs;
          buffer.put(sent, packet, decoder);
          sent++;
          arrivalMs = Math.max(arrivalMs, sentMs(sent) + random.unit() * jitterMs);
        }
        buffer.get(frame, nowMs);
        if (tick < 100) continue;
        const { depthMs, targetMs } = buffer.statistics;
        worst = Math.max(worst, Math.abs(depthMs - targetMs));
      }
      t.ok(worst <= (jitterMs === 0 ? 20 : 25), `within ${worst} ms of the target`);
      const { underruns, overruns, late, concealedFrames } = buffer.statistics;
      t.match({ underruns, overruns, late, concealedFrames }, { underruns: 0, overruns: 0 });
      t.equal(late + concealedFrames, 0);
      const { stretchedMs, compressedMs } = buffer.statistics;
      // 200 ppm of an hour are 720 ms.
      t.ok(
        Math.abs(stretchedMs - compressedMs - ppm * 3.6) < 30,
        `${stretchedMs - compressedMs} ms`,
      );
      t.ok(stretchedMs + compressedMs < 2000, `${stretchedMs} and ${compressedMs} ms`);
    });
  }
}

t.test(
  'whatever arrives, a frame goes out whole, delay is bounded, packets are accounted for',
  async t => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed);
      const one = (...of: readonly number[]) => of[Math.floor(random.unit() * of.length)]!;
      const linear = random.unit() < 0.3 ? new Concealing() : new Linear();
      const stream = newStream(linear, one(8000, 16_000), one(8000, 48_000));
      const { buffer, sampleRate = RATE } = stream;
      const frame = new Int16Array((sampleRate * TICK_MS) / 1000);
      const skips = random.unit() < 0.5;
      let sequence = 1000;
      let sample = Math.floor(random.unit() * 2 ** 30);
      let sentMs = 0;
      let puts = 0;
      let ptimeMs = 20;
      const underway: { arrivalMs: number; put: () => void }[] = [];
      const id = () => (sequence % 30_000) - 15_000;
      const drift = 1 + (random.unit() - 0.5) / 500;
      let wrong = '';
      const says = (what: string) => {
        wrong ||= what;
      };
      const arrivals = new Map<number, number>();
      linear.onDecoded = heard => {
        const waitMs = tickMs - arrivals.get(heard)!;
        // The longest allowed, a packet, two ticks, and a pause that the timestamps invent.
        if (!skips && waitMs > 300 + 60 + 2 * TICK_MS + 200)
          says(`a packet waited for ${waitMs} ms`);
      };
      let tickMs = 0;
      for (let tick = 0; tick < 3000; tick++) {
        const nowMs = tick * TICK_MS + random.unit() * (random.unit() < 0.02 ? 15 : 0.1);
        tickMs = nowMs;
        for (; sentMs <= nowMs; sentMs += ptimeMs * drift) {
          const event = random.unit();
          if (event < 0.01) ptimeMs = one(10, 20, 30, 40, 60);
          else if (event < 0.015) sample = Math.floor(random.unit() * 2 ** 30);
          else if (event < 0.02) sample += one(50, 150, 400, 2000) * (sampleRate / 1000);
          else if (event < 0.022) sequence += one(1, 5, 70, 2500);
          const count = (ptimeMs * sampleRate) / 1000;
          const from = sample;
          const number = sequence;
          const samples = new Int16Array(count).fill(id());
          sample += count;
          sequence++;
          if (random.unit() < 0.05) continue;
          const jitter = random.unit() * (tick % 500 < 50 ? 150 : 15);
          const header = { marker: random.unit() < 0.02 };
          const of = random.unit() < 0.01 ? { ...stream, decoder: undefined as never } : stream;
          const copies = random.unit() < 0.05 ? 2 : 1;
          for (let copy = 0; copy < copies; copy++) {
            const arrivalMs = sentMs + jitter + copy * 3;
            if (copy === 0) arrivals.set(samples[0]!, arrivalMs);
            underway.push({
              arrivalMs,
              put: () => put(of, number, samples, from, arrivalMs, header),
            });
          }
        }
        underway.sort((a, b) => a.arrivalMs - b.arrivalMs);
        while (underway.length > 0 && underway[0]!.arrivalMs <= nowMs) {
          underway.shift()!.put();
          puts++;
        }
        if (random.unit() < 0.001) buffer.reset();
        if (skips && tick % 100 < 50) {
          buffer.peek(nowMs);
          buffer.skip(nowMs);
          continue;
        }
        frame.fill(12_345);
        buffer.get(frame, nowMs);
        if (frame.includes(12_345)) says(`a hole in the frame of tick ${tick}`);
        const { targetMs } = buffer.statistics;
        if (targetMs < 20 || targetMs > 260) says(`a target of ${targetMs} ms`);
      }
      for (let tick = 3000; tick < 3200; tick++) buffer.get(frame, tick * TICK_MS);
      const { played, late, duplicates, broken, overruns, abandoned } = buffer.statistics;
      const counted = played + late + duplicates + broken + overruns + abandoned;
      if (counted !== puts) says(`${counted} of ${puts} packets accounted for`);
      if (!skips && new Set(linear.decoded).size < linear.decoded.length)
        says('a packet played twice');
      t.equal(wrong, '', `seed ${seed}`);
    }
  },
);

t.test('the RTP clock need not be that of the samples', async t => {
  for (const [sampleRate, clockRate] of [
    [16_000, 8000],
    [16_000, 48_000],
    [48_000, 48_000],
    [8000, 48_000],
  ] as const) {
    const stream = newStream(new Linear(), sampleRate, clockRate);
    const frameSamples = (sampleRate * TICK_MS) / 1000;
    const signal = chirp({ samples: sampleRate * 2, sampleRate });
    const heard = new Int16Array(signal.length + sampleRate);
    const frame = new Int16Array(frameSamples);
    // Packets of 10 ms; one is lost.
    const half = frameSamples / 2;
    for (let at = 0; at < heard.length; at += half) {
      const index = at / half;
      const samples = signal.subarray(at, at + half);
      if (samples.length > 0 && index !== 100) put(stream, index, samples, at, index * 10);
      if (index % 2 === 0) continue;
      stream.buffer.get(frame, index * 10 + 5);
      heard.set(frame, at - half);
    }
    const passage = follow(heard, signal);
    t.ok(passage.start >= 0 && passage.start <= 2 * frameSamples);
    t.equal(passage.missing, passage.extra, `${sampleRate} of ${clockRate}: in its place`);
    t.ok(passage.missing > 0.9 * half && passage.missing <= half);
  }
});

t.test("a codec's own concealment and what packets repeat come first", async t => {
  const concealing = new Concealing();
  const stream = newStream(concealing);
  const frame = new Int16Array(FRAME);
  const said: number[] = [];
  for (let tick = 0; tick < 40; tick++) {
    const lost = tick === 10 || (tick >= 20 && tick <= 21);
    if (!lost) put(stream, tick, new Int16Array(FRAME).fill(5), tick * FRAME, tick * TICK_MS);
    stream.buffer.get(frame, tick * TICK_MS + 5);
    said.push(frame[0]!);
  }
  t.equal(said[11], 2000, 'the lost packet, from the next');
  t.same(said.slice(21, 24), [1000, 2000, 5], 'of two, the second');
  t.equal(concealing.recovered, 2 * FRAME);
  t.equal(stream.buffer.statistics.recoveredMs, 40);
  t.equal(stream.buffer.statistics.concealedMs, 60);
});

t.test('a pause that the sender announces is silent, and moves the delay', async t => {
  const linear = new Linear();
  const stream = newStream(linear);
  const { buffer } = stream;
  const frame = new Int16Array(FRAME);
  const noise = { ...stream, decoder: undefined as never };
  const voice = new Int16Array(FRAME).fill(3000);
  let sequence = 0;
  const levels: number[] = [];
  for (let tick = 0; tick < 40; tick++) {
    const at = tick * FRAME;
    if (tick < 10 || tick >= 16) put(stream, sequence++, voice, at, tick * TICK_MS);
    // Comfort noise, RFC 3389: its packets have sequence numbers like any other.
    if (tick === 10) put(noise, sequence++, voice.subarray(0, 1), at, tick * TICK_MS);
    buffer.get(frame, tick * TICK_MS + 5);
    levels.push(levelDb(frame));
  }
  t.equal(levels.filter(level => level === Number.NEGATIVE_INFINITY).length, 1 + 6);
  t.equal(buffer.statistics.concealedMs, 0);
  t.equal(buffer.statistics.underruns, 0);
});

t.test('in a pause that a codec announces, its decoder makes the noise', async t => {
  const stream = newStream(new Concealing());
  const { buffer } = stream;
  const frame = new Int16Array(FRAME);
  const voice = new Int16Array(FRAME).fill(5);
  const said: number[] = [];
  let sequence = 0;
  for (let tick = 0; tick < 60; tick++) {
    const at = tick * FRAME;
    // Opus: a packet of two octets, and another each 400 ms.
    const isVoice = tick < 10 || tick >= 50;
    if (isVoice) put(stream, sequence++, voice, at, tick * TICK_MS);
    else if (tick % 20 === 10) put(stream, sequence++, [7], at, tick * TICK_MS);
    buffer.get(frame, tick * TICK_MS + 5);
    said.push(frame[FRAME - 1]!);
  }
  t.same(new Set(said.slice(1, 10)), new Set([5]));
  t.same(new Set(said.slice(12, 50)), new Set([1000]));
  t.same(new Set(said.slice(52)), new Set([5]));
  t.match(buffer.statistics, { concealedMs: 0, underruns: 0, late: 0, played: 21 });
});

t.test(
  'who is passed unheard keeps its place, and is heard again with settled decoders',
  async t => {
    const linear = new Linear();
    const stream = newStream(linear);
    const { buffer } = stream;
    const frame = new Int16Array(FRAME);
    let at = -1;
    for (let tick = 0; tick < 200; tick++) {
      const samples = new Int16Array(FRAME).fill(tick + 1);
      put(stream, tick, samples, tick * FRAME, tick * TICK_MS, { level: tick % 128 });
      const nowMs = tick * TICK_MS + 5;
      const level = buffer.peek(nowMs);
      if (tick < 50 || tick >= 150) {
        buffer.get(frame, nowMs);
        if (frame[0] === 0) continue;
        t.equal(level, -((frame[0]! - 1) % 128) || 0, 'the level of what is heard');
        t.ok(frame.every(sample => sample === frame[0]));
        if (at >= 0) t.equal(frame[0], at + 1, `tick ${tick}`);
        at = frame[0]!;
      } else {
        t.equal(level, -(at % 128) || 0);
        buffer.skip(nowMs);
        at++;
      }
    }
    const unheard = linear.decoded.filter(id => id > 50 && id < 145);
    t.same(unheard, [], 'nothing of it decoded');
    t.equal(new Set(linear.decoded).size, linear.decoded.length);
    t.equal(
      linear.decoded.indexOf(at - 49) - linear.decoded.indexOf(at - 52),
      3,
      'after three others',
    );
  },
);

t.test('a machine that stood still has learnt nothing of the network', async t => {
  const signal = chirp({ samples: 6 * RATE, sampleRate: RATE });
  const frames = signal.length / FRAME;
  for (const socketFirst of [true, false]) {
    const stream = newStream(new Linear());
    const heard = new Int16Array(signal.length);
    const frame = new Int16Array(FRAME);
    let sent = 0;
    const receive = (nowMs: number) => {
      for (; sent < frames && sent * TICK_MS <= nowMs; sent++) {
        const at = sent * FRAME;
        // Nothing is read from 2000 to 2160 ms: it seems to arrive when it is read.
        const isHeldUp = sent * TICK_MS > 2000 && sent * TICK_MS < 2160;
        const arrivalMs = isHeldUp ? 2160 : sent * TICK_MS;
        put(stream, sent, signal.subarray(at, at + FRAME), at, arrivalMs);
      }
    };
    let nowMs = 5;
    for (let tick = 0; tick < frames; tick++) {
      if (nowMs > 2000 && nowMs < 2160) nowMs = 2160;
      if (socketFirst) receive(nowMs);
      stream.buffer.get(frame, nowMs);
      if (!socketFirst) receive(nowMs);
      heard.set(frame, tick * FRAME);
      // Missed ticks are made up one each 10 ms.
      const dueMs = (tick + 1) * TICK_MS + 5;
      nowMs = Math.max(dueMs, nowMs + 10);
    }
    const { stretchedMs, compressedMs, concealedMs, targetMs } = stream.buffer.statistics;
    t.match(
      { stretchedMs, compressedMs, targetMs },
      { stretchedMs: 0, compressedMs: 0, targetMs: 20 },
    );
    t.ok(concealedMs <= (socketFirst ? 0 : TICK_MS), `${concealedMs} ms`);
    t.ok(follow(heard, signal).exact > signal.length - 3 * FRAME);
  }
});

t.test('delay is won and lost unheard too', async t => {
  const stream = newStream(new Linear());
  const { buffer } = stream;
  let sequence = 0;
  for (let tick = 0; tick < 500; tick++) {
    // Nothing for 100 ms, then all of it.
    while (sequence * TICK_MS <= tick * TICK_MS && !(tick >= 50 && tick < 55)) {
      put(stream, sequence, new Int16Array(FRAME), sequence * FRAME, tick * TICK_MS);
      sequence++;
    }
    buffer.skip(tick * TICK_MS + 5);
    if (tick === 60) t.ok(buffer.statistics.depthMs > 90, `${buffer.statistics.depthMs} ms`);
  }
  t.ok(buffer.statistics.depthMs < 35, `${buffer.statistics.depthMs} ms`);
});

t.test('speech over a bad network is nearer to the original than with repeated frames', async t => {
  const seconds = 12;
  // In dB. The whole minute, every library and rate: `make bench`.
  const least: Readonly<Record<string, number>> = { PCMU: 1, G722: 0.8, opus: 1 };
  for (const { name, codec, sampleRate } of await everyCodec()) {
    const goal = least[codec.name];
    if (goal === undefined || sampleRate !== codec.sampleRates[0]) continue;
    const speech = await spoken(seconds, sampleRate);
    if (!speech) {
      t.comment('left out: espeak-ng is not installed, nobody to speak');
      return;
    }
    for (const loss of [0.05, 0.2]) {
      const { affected, statistics } = measureQuality(codec, sampleRate, speech, loss, 1);
      const better = affected.repetition - affected.ours;
      t.ok(affected.frames > 50);
      t.ok(better >= goal, `${name}, ${loss * 100}% lost: ${better.toFixed(2)} dB`);
      t.equal(statistics.overruns, 0);
    }
  }
});

t.test('to adapt, to conceal, to skip and to begin again take no memory', async t => {
  const buffer = new JitterBuffer({ sampleRate: RATE, clockRate: RATE, frameSamples: FRAME });
  const packet = new RtpPacket();
  packet.data = new Uint8Array(FRAME);
  const speech = speechLike(RATE, RATE);
  const frame = new Int16Array(FRAME);
  const encoder = pcmu.newEncoder({ sampleRate: RATE });
  packet.payloadLength = FRAME;
  let tick = 0;
  const octets = octetsAllocated(() => {
    tick++;
    const nowMs = tick * TICK_MS;
    const i = tick % 50;
    encoder.encode(speech.subarray(i * FRAME, (i + 1) * FRAME), packet.data, 0);
    packet.timestamp = (tick * FRAME) >>> 0;
    packet.arrivalMs = nowMs + (tick % 90 < 3 ? 60 : 0);
    if (tick % 11 > 0) buffer.put(tick, packet, decoder);
    if (tick % 70 < 10) buffer.skip(nowMs + 5);
    else buffer.get(frame, nowMs + 5);
  }, 40_000);
  // `subarray` makes an object of about 100.
  t.ok(octets < 256, `${octets} octets a tick`);
});
