import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { g722 } from '../../src/media/codecs/g722-codec.js';
import { octetsAllocated } from './allocation.js';
import { chirp, frequencyHz, levelDb, sine, speechLike } from './signal.js';
import { throughCodec } from './through-codec.js';

const VECTORS = join(process.cwd(), '../shared/vectors/itu-g722');
const RATE = 16_000;
/** Of the 24 taps of each filter: encoder and decoder together delay by 22 samples. */
const DELAY = 22;

function sha256(data: Uint8Array | Int16Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** 16-bit little-endian words. */
function words(file: string): Int16Array {
  const data = readFileSync(join(VECTORS, file));
  return Int16Array.from({ length: data.length / 2 }, (_, i) => data.readInt16LE(i * 2));
}

/** @param frame samples a frame, even */
function encode(samples: Int16Array, frame = 320): Uint8Array {
  const encoder = g722.newEncoder({ sampleRate: RATE });
  const codes = new Uint8Array(samples.length / 2);
  for (let at = 0; at < samples.length; at += frame) {
    encoder.encode(samples.subarray(at, at + frame), codes, at / 2);
  }
  return codes;
}

function decode(codes: Uint8Array, payload = 160): Int16Array {
  const decoder = g722.newDecoder({ sampleRate: RATE });
  const samples = new Int16Array(codes.length * 2);
  for (let from = 0; from < codes.length; from += payload) {
    decoder.decode(codes, from, Math.min(payload, codes.length - from), samples, from * 2);
  }
  return samples;
}

/** Full-scale noise and sweeps, the same on every machine. */
function hardSignal(): Int16Array {
  let seed = 1;
  return Int16Array.from({ length: 64_000 }, (_, i) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    const noise = (seed >> 16) & 0xffff;
    const loudness = (i >> 9) & 15;
    return ((noise << 16) >> 16) >> loudness;
  });
}

const skip = existsSync(VECTORS) ? false : `needs the ITU-T vectors in ${VECTORS}`;

t.test('G.722 is bit-exact to the ITU-T test sequences', { skip }, async t => {
  const codes = Uint8Array.from(words('codspw.cod'));
  t.equal(sha256(encode(words('inpsp.bin'))), sha256(codes), 'encoder');
  t.equal(sha256(decode(codes)), sha256(words('outsp1.bin')), 'decoder, mode 1');
});

t.test('G.722 of noise at every level is what it was when it matched them', async t => {
  const codes = encode(hardSignal());
  t.equal(sha256(codes), '886248b96995e2eeaafcb55e8cf57a31443f2dd03eb0f8b62e98c3d940c896df');
  t.equal(
    sha256(decode(codes)),
    '14ec3825db4e37e24ed4c28a7b7bf1e2374d9ee3132a3b2c05df1d8ea4b30a7b',
  );
  const everyCode = Uint8Array.from({ length: 65_536 }, (_, i) => i ^ (i >> 8));
  t.equal(
    sha256(decode(everyCode)),
    '2596c7b88271d3c29a272d051de793dbda7ab6a3a24b865e25c5cde48cb09fe4',
  );
});

t.test('how long the frames are makes no difference', async t => {
  const signal = hardSignal();
  const codes = encode(signal);
  t.equal(sha256(encode(signal, 160)), sha256(codes), '10 ms');
  t.equal(sha256(encode(signal, 1280)), sha256(codes), '80 ms');
  const samples = decode(codes);
  for (const octets of [1, 7, 80, 640]) {
    t.equal(sha256(decode(codes, octets)), sha256(samples), `payloads of ${octets} octets`);
  }
});

t.test('a tone keeps its level and frequency in either band', async t => {
  for (const hz of [200, 1000, 3000, 5000, 6800]) {
    const tone = sine(hz, RATE, RATE);
    const heard = throughCodec(g722, tone).subarray(RATE / 10);
    t.ok(Math.abs(levelDb(heard) - levelDb(tone)) < 0.5, `${hz} Hz: ${levelDb(heard)} dB`);
    t.ok(Math.abs(frequencyHz(heard, RATE) - hz) < 1, `${frequencyHz(heard, RATE)} Hz`);
  }
});

t.test('a chirp is followed, 22 samples later', async t => {
  const signal = chirp({ samples: 32_000, sampleRate: RATE });
  const heard = throughCodec(g722, signal);
  const error = Int16Array.from(
    { length: signal.length - DELAY },
    (_, i) => heard[i + DELAY]! - signal[i]!,
  );
  t.ok(levelDb(signal) - levelDb(error) > 20, `${levelDb(signal) - levelDb(error)} dB apart`);
});

t.test('shown what was lost, a decoder decodes the next packet nearer to the original', async t => {
  const signal = speechLike(RATE * 4, RATE);
  const codes = encode(signal);
  const whole = decode(codes);
  const errorDb = (follows: boolean) => {
    const decoder = g722.newDecoder({ sampleRate: RATE });
    const heard = new Int16Array(whole);
    const errors: number[] = [];
    for (let from = 0; from + 160 < codes.length; from += 160) {
      const at = from * 2;
      // The fifth of each ten is lost; what is shown for it is what it was.
      if (from % 1600 === 640) {
        if (follows) decoder.follow?.(whole, at, 320);
        continue;
      }
      decoder.decode(codes, from, 160, heard, at);
      if (from % 1600 !== 800) continue;
      for (let i = at; i < at + 320; i++) errors.push(heard[i]! - whole[i]!);
    }
    return levelDb(errors);
  };
  t.ok(errorDb(true) < errorDb(false) - 3, `${errorDb(true)} and ${errorDb(false)} dB`);
});

t.test('a frame costs no memory', async t => {
  const encoder = g722.newEncoder({ sampleRate: RATE });
  const decoder = g722.newDecoder({ sampleRate: RATE });
  const frame = sine(1000, 320, RATE);
  const payload = new Uint8Array(160);
  const perFrame = octetsAllocated(() => {
    encoder.encode(frame, payload, 0);
    decoder.decode(payload, 0, 160, frame, 0);
  }, 2000);
  t.ok(perFrame < 8, `${perFrame} octets`);
});

t.test('an encoder goes on where another is: who listens to it hears no seam', async t => {
  const signal = hardSignal();
  const half = signal.length / 2;
  const first = g722.newEncoder({ sampleRate: RATE });
  const second = g722.newEncoder({ sampleRate: RATE });
  const codes = new Uint8Array(signal.length / 2);
  first.encode(signal.subarray(0, half), codes, 0);
  second.encode(signal.subarray(0, 320), new Uint8Array(160), 0);
  second.follow?.(first);
  second.encode(signal.subarray(half), codes, half / 2);
  t.equal(sha256(codes), sha256(encode(signal)));
});
