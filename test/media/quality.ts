/** How speech sounds after a bad network: through the jitter buffer, and with plain repetition of frames. */
import type { Codec } from '../../src/media/codecs/codec.js';
import { JitterBuffer } from '../../src/media/jitter-buffer.js';
import type { JitterStatistics } from '../../src/media/jitter-statistics.js';
import { RtpPacket } from '../../src/media/rtp.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { SpectralDistance } from './spectral-distance.js';

const FRAME_MS = 20;
/** Each packet's delay varies by this always, in ms; */
const JITTER_MS = 10;
/** and for half a second in ten by this. */
const BURST_MS = 100;
const BURST_PACKETS = 25;
const BURST_EVERY_PACKETS = 500;
const REORDERED = 0.02;
const DUPLICATED = 0.02;

export interface Quality {
  /** Over the frames that hold something of a packet which the network lost. */
  readonly affected: Distances;
  /** Over all frames: what jitter and adaptation cost as well. Repetition knows no jitter. */
  readonly all: Distances;
  readonly statistics: JitterStatistics;
}

/** Mean log-spectral distances to what is heard over a perfect network, in dB. */
export interface Distances {
  /** Of 32 ms, each 10 ms. */
  readonly frames: number;
  readonly ours: number;
  readonly repetition: number;
}

interface Coded {
  readonly payloads: readonly Uint8Array[];
  /** As it is heard over a perfect network. */
  readonly clean: Int16Array;
}

export function measureQuality(
  codec: Codec,
  sampleRate: number,
  speech: Int16Array,
  loss: number,
  seed: number,
): Quality {
  const random = new SeededRandom(seed);
  const { payloads, clean } = code(codec, sampleRate, speech, loss);
  const lost = payloads.map((_, i) => i > 0 && random.unit() < loss);
  const repeated = repeat(codec, sampleRate, payloads, lost);
  const { heard, places, statistics } = play(codec, sampleRate, payloads, lost, random);

  const distance = new SpectralDistance(sampleRate);
  const packetSamples = (sampleRate * FRAME_MS) / 1000;
  const affected: Sums = [0, 0, 0];
  const all: Sums = [0, 0, 0];
  const last = clean.length - distance.frameSamples - packetSamples;
  for (let at = 0; at <= last; at += packetSamples / 2) {
    const ours = distance.between(clean, at, heard, places(at));
    const theirs = distance.between(clean, at, repeated, at);
    const first = Math.floor(at / packetSamples);
    const end = Math.ceil((at + distance.frameSamples) / packetSamples);
    const isAffected = lost.slice(first, end).includes(true);
    add(all, ours, theirs);
    if (isAffected) add(affected, ours, theirs);
  }
  return { affected: mean(affected), all: mean(all), statistics };
}

type Sums = [frames: number, ours: number, repetition: number];

function add(sums: Sums, ours: number, repetition: number): void {
  sums[0]++;
  sums[1] += ours;
  sums[2] += repetition;
}

function mean([frames, ours, repetition]: Sums): Distances {
  return { frames, ours: ours / frames, repetition: repetition / frames };
}

function code(codec: Codec, sampleRate: number, speech: Int16Array, loss: number): Coded {
  const options = { sampleRate, fmtp: 'useinbandfec=1' };
  const encoder = codec.newEncoder(options);
  encoder.adapt?.({ lossFraction: loss, load: 0 });
  const decoder = codec.newDecoder(options);
  const samples = (sampleRate * FRAME_MS) / 1000;
  const buffer = new Uint8Array(codec.maxPayloadOctets);
  const clean = new Int16Array(speech.length);
  const payloads: Uint8Array[] = [];
  for (let at = 0; at + samples <= speech.length; at += samples) {
    const octets = encoder.encode(speech.subarray(at, at + samples), buffer, 0);
    payloads.push(buffer.slice(0, octets));
    decoder.decode(buffer, 0, octets, clean, at);
  }
  encoder.close?.();
  decoder.close?.();
  return { payloads, clean };
}

/** A receiver that every packet reaches in time, and that says the last frame again for one that is lost. */
function repeat(
  codec: Codec,
  sampleRate: number,
  payloads: readonly Uint8Array[],
  lost: readonly boolean[],
): Int16Array {
  const decoder = codec.newDecoder({ sampleRate });
  const samples = (sampleRate * FRAME_MS) / 1000;
  const heard = new Int16Array(payloads.length * samples);
  for (const [i, payload] of payloads.entries()) {
    const at = i * samples;
    if (!lost[i]) decoder.decode(payload, 0, payload.length, heard, at);
    else if (i > 0) heard.copyWithin(at, at - samples, at);
  }
  decoder.close?.();
  return heard;
}

interface Played {
  readonly heard: Int16Array;
  /** Where in it a sample of the speech lies. */
  readonly places: (sample: number) => number;
  readonly statistics: JitterStatistics;
}

/** The jitter buffer behind a network with jitter, bursts of it, reordering and duplicates besides. */
function play(
  codec: Codec,
  sampleRate: number,
  payloads: readonly Uint8Array[],
  lost: readonly boolean[],
  random: SeededRandom,
): Played {
  const { clockRate } = codec;
  const frameSamples = (sampleRate * FRAME_MS) / 1000;
  const frameUnits = (clockRate * FRAME_MS) / 1000;
  const arrivals: { index: number; arrivalMs: number }[] = [];
  for (let index = 0; index < payloads.length; index++) {
    if (lost[index]) continue;
    const inBurst = index % BURST_EVERY_PACKETS >= BURST_EVERY_PACKETS - BURST_PACKETS;
    const jitter = random.unit() * (inBurst ? BURST_MS : JITTER_MS);
    const detour = random.unit() < REORDERED ? 1.5 * FRAME_MS : 0;
    const arrivalMs = index * FRAME_MS + jitter + detour;
    arrivals.push({ index, arrivalMs });
    if (random.unit() < DUPLICATED) arrivals.push({ index, arrivalMs: arrivalMs + 1 });
  }
  arrivals.sort((a, b) => a.arrivalMs - b.arrivalMs);

  const buffer = new JitterBuffer({ sampleRate, clockRate, frameSamples });
  const decoder = codec.newDecoder({ sampleRate, fmtp: 'useinbandfec=1' });
  const packet = new RtpPacket();
  const frame = new Int16Array(frameSamples);
  const ticks = payloads.length + 50;
  const heard = new Int16Array(ticks * frameSamples);
  const positions = new Float64Array(ticks + 1);
  let next = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const nowMs = tick * FRAME_MS + 5;
    for (; next < arrivals.length && arrivals[next]!.arrivalMs <= nowMs; next++) {
      const { index, arrivalMs } = arrivals[next]!;
      packet.data = payloads[index]!;
      packet.payloadLength = packet.data.length;
      packet.timestamp = index * frameUnits;
      packet.arrivalMs = arrivalMs;
      buffer.put(index, packet, decoder);
    }
    positions[tick] = buffer.position;
    buffer.get(frame, nowMs);
    heard.set(frame, tick * frameSamples);
  }
  decoder.close?.();
  const perSample = clockRate / sampleRate;
  let tick = ticks - 1;
  const places = (sample: number): number => {
    // The last time: what was made up while a packet was late is said again by the packet.
    while (tick > 0 && positions[tick]! > sample * perSample) tick--;
    while (tick + 1 < ticks && positions[tick + 1]! <= sample * perSample) tick++;
    return tick * frameSamples + Math.round(sample - positions[tick]! / perSample);
  };
  return { heard, places, statistics: { ...buffer.statistics } };
}
