import t from 'tap';
import type { Codec } from '../../src/media/codecs/codec.js';
import { readOpusParameters } from '../../src/media/codecs/opus/fmtp.js';
import { CONTROL, type OpusLibrary } from '../../src/media/codecs/opus/library.js';
import { nativeOpus } from '../../src/media/codecs/opus/native-library.js';
import { hasRedundancy, packetUnits } from '../../src/media/codecs/opus/packet.js';
import { loadWasmOpus } from '../../src/media/codecs/opus/wasm-library.js';
import { opusCodec } from '../../src/media/codecs/opus-codec.js';
import { nativeProblem } from '../../src/native/index.js';
import { octetsAllocated } from './allocation.js';
import {
  chirp,
  delaySamples,
  frequencyHz,
  levelDb,
  signalToNoiseDb,
  sine,
  speechLike,
} from './signal.js';
import { throughCodec } from './through-codec.js';

const RATE = 16_000;
const FRAME = 320;
const FEC = 'useinbandfec=1';

/** The packets of a signal; empty ones need not be sent. */
function packetsOf(codec: Codec, signal: Int16Array, fmtp: string, lossFraction = 0): Uint8Array[] {
  const encoder = codec.newEncoder({ sampleRate: RATE, fmtp });
  for (let i = 0; i < 4; i++) encoder.adapt?.({ lossFraction, load: 0.5 });
  const out = new Uint8Array(codec.maxPayloadOctets);
  const packets: Uint8Array[] = [];
  for (let at = 0; at + FRAME <= signal.length; at += FRAME) {
    packets.push(out.slice(0, encoder.encode(signal.subarray(at, at + FRAME), out, 0)));
  }
  encoder.close?.();
  return packets;
}

/** What is heard where every `period`th packet is lost. */
function heardOf(codec: Codec, packets: readonly Uint8Array[], period: number, recovers: boolean) {
  const decoder = codec.newDecoder({ sampleRate: RATE });
  const heard = new Int16Array(packets.length * FRAME);
  let recovered = 0;
  for (const [i, packet] of packets.entries()) {
    const at = i * FRAME;
    if (i % period !== period - 1) {
      decoder.decode(packet, 0, packet.length, heard, at);
      continue;
    }
    const next = packets[i + 1];
    if (recovers && next && decoder.recover?.(next, 0, next.length, heard, at, FRAME)) recovered++;
    else decoder.conceal?.(heard, at, FRAME);
  }
  decoder.close?.();
  return { heard, recovered };
}

function testLibrary(name: string, load: () => Promise<OpusLibrary>) {
  t.test(`Opus by ${name}`, async t => {
    const codec = opusCodec(load);
    t.throws(() => codec.newEncoder({ sampleRate: RATE }), { code: 'CODEC_UNAVAILABLE' });
    await codec.load?.();

    t.test('a tone keeps its level and frequency at every rate', async t => {
      for (const sampleRate of codec.sampleRates) {
        const tone = sine(1000, sampleRate, sampleRate);
        const heard = throughCodec(codec, tone, sampleRate).subarray(sampleRate / 5);
        const change = levelDb(heard) - levelDb(tone);
        t.ok(Math.abs(change) < 0.5, `${sampleRate} Hz: ${change} dB`);
        t.ok(Math.abs(frequencyHz(heard, sampleRate) - 1000) < 2, `${sampleRate} Hz: frequency`);
      }
    });

    t.test('a chirp is followed, a few milliseconds later', async t => {
      const signal = chirp({ samples: RATE, sampleRate: RATE });
      const heard = throughCodec(codec, signal);
      const delay = delaySamples(signal, heard, 400);
      t.ok(delay > 0 && delay <= 0.012 * RATE, `${(delay * 1000) / RATE} ms`);
      const snr = signalToNoiseDb(signal.subarray(0, signal.length - delay), heard.subarray(delay));
      t.ok(snr > 5, `${snr} dB`);
    });

    t.test('frames of 10 to 60 ms give one packet each, which tells its length', async t => {
      const decoder = codec.newDecoder({ sampleRate: RATE });
      const out = new Uint8Array(codec.maxPayloadOctets);
      const heard = new Int16Array(FRAME * 6);
      for (const ms of [10, 20, 40, 60]) {
        const encoder = codec.newEncoder({ sampleRate: RATE });
        const frame = sine(500, (RATE / 1000) * ms, RATE);
        const octets = encoder.encode(frame, out, 5);
        t.ok(octets > 2, `${octets} octets`);
        t.equal(decoder.samplesIn(out, 5, octets), frame.length);
        t.equal(decoder.decode(out, 5, octets, heard, 7), frame.length);
        encoder.close?.();
      }
      decoder.close?.();
    });

    t.test('what one packet in five lost can be heard from the one after it', async t => {
      const packets = packetsOf(codec, speechLike(RATE * 6, RATE), FEC, 0.2);
      const { heard: whole } = heardOf(codec, packets, Number.POSITIVE_INFINITY, false);
      const { heard: concealed } = heardOf(codec, packets, 5, false);
      const { heard: repaired, recovered } = heardOf(codec, packets, 5, true);
      const lost = Math.floor(packets.length / 5);
      t.ok(recovered > lost / 2, `${recovered} of ${lost} recovered`);
      const [without, with_] = [concealed, repaired].map(heard => signalToNoiseDb(whole, heard));
      t.ok(with_! > without! + 3, `${with_} dB with FEC, ${without} dB without`);
    });

    t.test('who did not ask for FEC gets none', async t => {
      const packets = packetsOf(codec, speechLike(RATE * 2, RATE), '', 0.2);
      t.equal(heardOf(codec, packets, 5, true).recovered, 0);
    });

    t.test('silence is not sent to who asked for that, and is heard as silence', async t => {
      const silence = new Int16Array(RATE * 2);
      const sent = packetsOf(codec, silence, 'usedtx=1').filter(packet => packet.length > 0);
      t.ok(sent.length > 0 && sent.length < 30, `${sent.length} of 100 packets sent`);
      t.equal(packetsOf(codec, silence, '').filter(packet => packet.length > 0).length, 100);
      const speech = packetsOf(codec, speechLike(RATE, RATE).subarray(0, 3200), 'usedtx=1');
      t.ok(speech.every(packet => packet.length > 0));
    });

    t.test('a lost packet goes on like the one before, and fades', async t => {
      // In the middle of a syllable.
      const packets = packetsOf(codec, speechLike(RATE, RATE).subarray(0, 42 * FRAME), '');
      const decoder = codec.newDecoder({ sampleRate: RATE });
      const heard = new Int16Array(FRAME);
      for (const packet of packets) decoder.decode(packet, 0, packet.length, heard, 0);
      const before = levelDb(heard);
      // Any number of samples, not only whole units of 2.5 ms.
      const made = new Int16Array(RATE);
      decoder.conceal?.(made, 0, 100);
      decoder.conceal?.(made, 100, 1);
      decoder.conceal?.(made, 101, 219);
      t.ok(Math.abs(levelDb(made.subarray(0, FRAME)) - before) < 3, 'the first 20 ms');
      t.equal(made[FRAME], 0, 'no sample more than asked for');
      decoder.conceal?.(made, FRAME, RATE - FRAME);
      t.ok(levelDb(made.subarray(-FRAME)) < before - 30, 'after a second');
      decoder.close?.();
    });

    t.test('broken payloads give nothing, or bounded samples, and never throw', async t => {
      const decoder = codec.newDecoder({ sampleRate: RATE });
      const heard = new Int16Array(1920);
      const data = new Uint8Array(400);
      let seed = 7;
      for (let i = 0; i < 5000; i++) {
        for (let j = 0; j < data.length; j++) {
          seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
          data[j] = seed >>> 24;
        }
        const octets = seed % 100;
        const promised = decoder.samplesIn(data, 3, octets);
        const samples = decoder.decode(data, 3, octets, heard, 0);
        if (samples !== 0 && samples !== promised) t.fail(`${samples} samples, said ${promised}`);
        decoder.recover?.(data, 3, octets, heard, 0, FRAME);
      }
      t.equal(decoder.decode(data, 0, 0, heard, 0), 0, 'no octets at all');
      t.equal(decoder.samplesIn(data, 0, 0), 0);
      const packet = packetsOf(codec, sine(300, FRAME, RATE), '')[0]!;
      t.equal(decoder.decode(packet, 0, packet.length, heard, heard.length - 10), 0, 'no room');
      decoder.close?.();
    });

    t.test('a frame costs no memory, and neither does a stream that was closed', async t => {
      const encoder = codec.newEncoder({ sampleRate: RATE, fmtp: FEC });
      const decoder = codec.newDecoder({ sampleRate: RATE });
      const frame = sine(1000, FRAME, RATE);
      const payload = new Uint8Array(codec.maxPayloadOctets);
      const heard = new Int16Array(FRAME);
      const perFrame = octetsAllocated(() => {
        const octets = encoder.encode(frame, payload, 0);
        decoder.samplesIn(payload, 0, octets);
        decoder.decode(payload, 0, octets, heard, 0);
      }, 500);
      t.ok(perFrame < 8, `${perFrame} octets`);
      encoder.close?.();
      decoder.close?.();

      const stream = () => {
        codec.newEncoder({ sampleRate: RATE }).close?.();
        codec.newDecoder({ sampleRate: RATE }).close?.();
      };
      for (let i = 0; i < 50; i++) stream();
      const before = process.memoryUsage().rss;
      // Kept, these would take more than 60 MB.
      for (let i = 0; i < 1500; i++) stream();
      t.ok(process.memoryUsage().rss - before < 2 ** 25, 'resident memory');
    });
  });
}

testLibrary('WebAssembly', loadWasmOpus);
const system = nativeOpus();
if (system) testLibrary("the system's library", async () => system);
else t.comment(`the system's libopus was not tried: ${nativeProblem() ?? 'there is none'}`);

t.test('a library that does not load is a coded error, and is asked again', async t => {
  let asked = 0;
  const codec = opusCodec(async () => {
    if (asked++ === 0) throw new Error('no such package');
    return loadWasmOpus();
  });
  await t.rejects(codec.load?.() ?? Promise.resolve(), {
    code: 'CODEC_UNAVAILABLE',
    message: /no such package/,
  });
  await codec.load?.();
  codec.newDecoder({ sampleRate: RATE }).close?.();
});

/** Tells what an encoder asks of libopus. */
function recordingLibrary() {
  const settings = new Map<number, number>();
  const library: OpusLibrary = {
    version: 'of this test',
    newEncoder: () => ({
      control: (request, value) => void settings.set(request, value),
      encode: () => -1,
      close: () => undefined,
    }),
    newDecoder: () => ({ decode: () => -1, close: () => undefined }),
  };
  return { settings, codec: opusCodec(async () => library) };
}

const wishes: readonly [fmtp: string, sampleRate: number, settings: Record<string, number>][] = [
  ['', 16_000, { bitrate: 24_000, maxBandwidth: 1105, vbr: 1, inbandFec: 0, dtx: 0 }],
  ['', 8000, { bitrate: 16_000 }],
  ['', 48_000, { bitrate: 32_000 }],
  ['maxplaybackrate=8000', 48_000, { bitrate: 16_000, maxBandwidth: 1101 }],
  ['maxplaybackrate=16000; stereo=0;useinbandfec=1', 16_000, { maxBandwidth: 1103, inbandFec: 1 }],
  ['maxplaybackrate=24000', 48_000, { maxBandwidth: 1104, bitrate: 32_000 }],
  ['maxaveragebitrate=12000;cbr=1;usedtx=1', 16_000, { bitrate: 12_000, vbr: 0, dtx: 1 }],
  ['maxaveragebitrate=96000', 16_000, { bitrate: 24_000 }],
  ['MaxAverageBitrate = 20000 ; UseInbandFec = 1', 16_000, { bitrate: 20_000, inbandFec: 1 }],
  ['maxaveragebitrate=5;maxplaybackrate=1e9;cbr=yes;;=;x', 16_000, { bitrate: 24_000, vbr: 1 }],
];
for (const [fmtp, sampleRate, expected] of wishes) {
  t.test(`a receiver at ${sampleRate} Hz that asks for "${fmtp}" gets that`, async t => {
    const { settings, codec } = recordingLibrary();
    await codec.load?.();
    codec.newEncoder({ sampleRate, fmtp });
    for (const [name, value] of Object.entries(expected)) {
      t.equal(settings.get(CONTROL[name as keyof typeof CONTROL]), value, name);
    }
  });
}

t.test('the bitrate follows the loss, the effort the time there is', async t => {
  const { settings, codec } = recordingLibrary();
  await codec.load?.();
  const encoder = codec.newEncoder({ sampleRate: RATE, fmtp: FEC });
  const adapt = (lossFraction: number, load: number, times: number) => {
    for (let i = 0; i < times; i++) encoder.adapt?.({ lossFraction, load });
  };
  t.equal(settings.get(CONTROL.complexity), 5);
  adapt(0.05, 0.5, 6);
  t.equal(settings.get(CONTROL.packetLossPercent), 5);
  t.equal(settings.get(CONTROL.bitrate), 24_000, 'some loss is what FEC is for');
  adapt(0.4, 0.95, 20);
  t.equal(settings.get(CONTROL.bitrate), 19_200, 'four fifths, at the least');
  t.equal(settings.get(CONTROL.packetLossPercent), 40);
  t.equal(settings.get(CONTROL.complexity), 0);
  adapt(0, 0.1, 20);
  t.equal(settings.get(CONTROL.bitrate), 24_000);
  t.equal(settings.get(CONTROL.packetLossPercent), 0);
  t.equal(settings.get(CONTROL.complexity), 8);
  t.equal(encoder.encode(new Int16Array(FRAME), new Uint8Array(100), 0), 0, 'a failed frame');
});

t.test('parameters out of range count as absent', async t => {
  t.same(readOpusParameters(), readOpusParameters('maxplaybackrate=7999;maxaveragebitrate=510001'));
});

const packets: readonly [octets: number[], units: number, redundancy: boolean][] = [
  [[], 0, false],
  [[0x08], 8, false], // SILK 20 ms, an empty frame
  [[0x08, 0b0100_0000], 8, true],
  [[0x08, 0b1000_0000], 8, false],
  [[0x18, 0b0001_0000], 24, true], // 60 ms: three flags of activity before
  [[0x18, 0b0100_0000], 24, false],
  [[0x0c, 0b0001_0000], 8, true], // stereo: of the side channel
  [[0x88, 0b0100_0000], 2, false], // CELT has none
  [[0x09, 0x40, 0x00], 16, true], // two frames of one length
  [[0x0a, 1, 0x40, 0x00], 16, true], // of two lengths
  [[0x0a, 0, 0x40, 0x00], 16, false], // the first is empty
  [[0x0b, 0xc2, 255, 3, 1, 0x40, 0x00], 16, true], // padding, lengths
  [[0x0b, 0x02, 0x40, 0x00], 16, true],
  [[0x0b, 0x00, 0x40], 0, false],
  [[0x0b], 0, false],
  [[0x0b, 0x3f, 0x40], 0, true], // 1.26 s: too long
];
t.test('a packet tells its length and whether it repeats the one before', async t => {
  for (const [octets, units, redundancy] of packets) {
    const data = Uint8Array.of(9, ...octets);
    const name = octets.map(octet => octet.toString(16)).join(' ');
    t.equal(packetUnits(data, 1, octets.length), units, `length of ${name}`);
    t.equal(hasRedundancy(data, 1, octets.length), redundancy, `redundancy of ${name}`);
  }
});
