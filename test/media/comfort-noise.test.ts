import t from 'tap';
import { comfortNoise } from '../../src/media/codecs/comfort-noise.js';
import { pcmu } from '../../src/media/codecs/g711-codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { levelDb, sine } from './signal.js';

/** Of full scale sines, which `levelDb` counts from, against the overload point of RFC 3389. */
const SINE_DBOV = -3.01;
const dBov = (samples: Int16Array) => levelDb(samples) + SINE_DBOV;

function noiseOf(payload: Uint8Array, sampleRate = 8000, seconds = 2): Int16Array {
  const decoder = comfortNoise.newDecoder({ sampleRate });
  const out = new Int16Array(sampleRate * seconds);
  const first = decoder.decode(payload, 0, payload.length, out, 0);
  decoder.conceal?.(out, first, out.length - first);
  return out;
}

/** dB by which neighbouring samples differ less than those of white noise: the lower its spectrum lies, the more. */
function lowness(samples: Int16Array): number {
  const steps = Int16Array.from({ length: samples.length - 1 }, (_, i) =>
    Math.max(-32_768, Math.min(32_767, samples[i + 1]! - samples[i]!)),
  );
  return levelDb(samples) + 3.01 - levelDb(steps);
}

t.test('the noise is as loud as its payload says', async t => {
  for (const sampleRate of comfortNoise.sampleRates) {
    for (const level of [10, 30, 50, 70]) {
      const found = dBov(noiseOf(Uint8Array.of(level), sampleRate));
      t.ok(Math.abs(found + level) < 0.5, `${found} dBov where -${level} was said`);
      const coloured = dBov(noiseOf(Uint8Array.of(level, 30, 200, 100), sampleRate));
      t.ok(Math.abs(coloured + level) < 1, `${coloured} dBov with a spectrum`);
    }
    t.equal(
      noiseOf(Uint8Array.of(127), sampleRate).every(sample => Math.abs(sample) <= 1),
      true,
    );
  }
});

t.test('noise that was described sounds like what it was: level and spectrum', async t => {
  const encoder = comfortNoise.newEncoder({ sampleRate: 8000 });
  const payload = new Uint8Array(comfortNoise.maxPayloadOctets);
  for (const first of [60, 100, 127, 180]) {
    const room = noiseOf(Uint8Array.of(45, first));
    // Of a second, since 20 ms of noise are not all alike.
    const octets = encoder.encode(room.subarray(0, 8000), payload, 0);
    const again = noiseOf(payload.subarray(0, octets));
    t.ok(Math.abs(dBov(again) - dBov(room)) < 1, `${dBov(again)} dBov of ${dBov(room)}`);
    const [was, is] = [lowness(room), lowness(again)];
    t.ok(Math.abs(was - is) < 1, `colour ${is} dB of ${was}`);
  }
  t.ok(lowness(noiseOf(Uint8Array.of(45, 60))) > lowness(noiseOf(Uint8Array.of(45, 180))) + 4);
});

t.test('silence and tones are described too', async t => {
  const encoder = comfortNoise.newEncoder({ sampleRate: 8000 });
  const payload = new Uint8Array(comfortNoise.maxPayloadOctets);
  encoder.encode(new Int16Array(160), payload, 0);
  t.equal(payload[0], 127);
  encoder.encode(sine(440, 160, 8000, 32_767), payload, 0);
  t.equal(payload[0], 3, 'a full-scale sine');
  t.ok(noiseOf(payload).every(Number.isFinite));
});

t.test('payloads that are odd are taken as far as they go', async t => {
  const decoder = comfortNoise.newDecoder({ sampleRate: 8000 });
  const out = new Int16Array(160);
  t.equal(decoder.decode(new Uint8Array(0), 0, 0, out, 0), 0);
  t.equal(decoder.samplesIn(new Uint8Array(0), 0, 0), 0);
  t.equal(decoder.decode(new Uint8Array(300).fill(255), 0, 300, out, 0), 160);
  const loud = Math.abs(dBov(noiseOf(Uint8Array.of(0x80 | 40))) + 40);
  t.ok(loud < 0.5, 'the upper bit is not part of the level');
});

t.test('between words the noise goes on, as long as the pause lasts', async t => {
  const buffer = new JitterBuffer({ sampleRate: 8000, clockRate: 8000, frameSamples: 160 });
  const speech = pcmu.newDecoder({ sampleRate: 8000 });
  const noise = comfortNoise.newDecoder({ sampleRate: 8000 });
  const tone = sine(500, 160, 8000);
  const word = new Uint8Array(160);
  pcmu.newEncoder({ sampleRate: 8000 }).encode(tone, word, 0);
  const packet = new RtpPacket();
  let sequence = 0;
  const put = (payload: Uint8Array, decoder: typeof speech, tick: number, marker: boolean) => {
    packet.data = payload;
    packet.payloadOffset = 0;
    packet.payloadLength = payload.length;
    packet.timestamp = tick * 160;
    packet.sequence = sequence;
    packet.marker = marker;
    packet.arrivalMs = tick * 20;
    buffer.put(sequence++, packet, decoder);
  };
  const levels: number[] = [];
  const frame = new Int16Array(160);
  for (let tick = 0; tick < 300; tick++) {
    if (tick < 50 || tick >= 250) put(word, speech, tick, tick === 250);
    // With a spectrum, longer than the packets that say by their length that there is a pause.
    else if (tick === 50) put(Uint8Array.of(40, 100, 120, 127), noise, tick, false);
    buffer.get(frame, tick * 20);
    levels.push(dBov(frame));
  }
  const average = (from: number, to: number) =>
    levels.slice(from, to).reduce((sum, level) => sum + level, 0) / (to - from);
  t.ok(Math.abs(average(70, 245) + 40) < 2, `${average(70, 245)} dBov in the pause`);
  t.ok(Math.abs(average(260, 300) - dBov(tone)) < 0.5, 'the next word');
  t.equal(buffer.statistics.underruns, 0);
  t.equal(buffer.statistics.concealedFrames, 0);
});
