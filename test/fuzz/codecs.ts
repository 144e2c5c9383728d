/**
 * Random and broken payloads for every decoder, then frames by the hundred thousand that must not make
 * the garbage collector run.
 * Run by `make fuzz`: [PAYLOADS=100000] [FRAMES=100000] [CODEC=g722] [PAYLOAD_SEED=…] node dist/test/fuzz/codecs.js [--json]
 */
import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import type { Random } from '../../src/core/random.js';
import type { Codec } from '../../src/media/codecs/codec.js';
import { SeededRandom } from '../../src/simulation/seeded-random.js';
import { collectionsDuring } from '../harness/collections.js';
import { exactly, type Figure, plain } from '../harness/figures.js';
import { progress, runProgram } from '../harness/program.js';
import { type CodecVariant, everyCodec } from '../media/every-codec.js';
import { speechLike } from '../media/signal.js';

const PAYLOADS = Number(process.env.PAYLOADS ?? 100_000);
const FRAMES = Number(process.env.FRAMES ?? 100_000);
/** One alone, by the beginning of its name; all by default. */
const CODEC = process.env.CODEC ?? '';
const SEED = Number(process.env.PAYLOAD_SEED ?? randomInt(2 ** 32));
const MAX_OCTETS = 1500;
/** Where in its buffer a payload lies: what is before and after it is not its own. */
const OFFSET = 12;
const MARK = 12_345;
const WARM_UP_MS = 2000;

await runProgram({ withinSeconds: 1800 }, async () => {
  progress(`fuzz: ${PAYLOADS} payloads for each decoder; repeat with PAYLOAD_SEED=${SEED}`);
  const figures: Figure[] = [plain('seed', SEED, '')];
  for (const variant of await everyCodec()) {
    if (!variant.name.toLowerCase().startsWith(CODEC.toLowerCase())) continue;
    figures.push(exactly(PAYLOADS, `${variant.name}: payloads`, decodeNoise(variant), ''));
    // What a codec allocates has nothing to do with the rate.
    if (variant.sampleRate !== variant.codec.sampleRates[0]) continue;
    const collections = await collectionsOf(variant);
    figures.push(exactly(0, `${variant.name}: collections in ${FRAMES} frames`, collections, ''));
  }
  return figures;
});

/** @returns payloads that were decoded, concealed and recovered from without harm */
function decodeNoise({ name, codec, sampleRate }: CodecVariant): number {
  const random = new SeededRandom(SEED);
  const decoder = codec.newDecoder({ sampleRate });
  const frame = sampleRate / 50;
  const sound = soundPayloads(codec, sampleRate);
  const data = new Uint8Array(OFFSET + MAX_OCTETS);
  // 120 ms, or two samples for each octet; one more to see that nothing is written beyond.
  const room = Math.max((sampleRate / 1000) * 120, MAX_OCTETS * 2);
  const heard = new Int16Array(room + 1);
  heard[room] = MARK;
  let done = 0;
  for (let i = 0; i < PAYLOADS; i++) {
    const octets = breakPayload(random, sound[i % sound.length]!, data);
    const promised = decoder.samplesIn(data, OFFSET, octets);
    const samples = decoder.decode(data, OFFSET, octets, heard.subarray(0, room), 0);
    assert.ok(
      samples === promised || samples === 0,
      `${name}, payload ${i}: ${samples} samples where ${promised} were said`,
    );
    assert.ok(Number.isInteger(promised) && promised <= room, `${name}, payload ${i}: ${promised}`);
    if (i % 4 === 0) decoder.recover?.(data, OFFSET, octets, heard, 0, frame);
    if (i % 4 === 1) decoder.conceal?.(heard, 0, random.bytes(1)[0]! + 1);
    assert.equal(heard[room], MARK, `${name}, payload ${i}: written beyond the end`);
    done++;
  }
  decoder.close?.();
  return done;
}

/** One second of speech. */
function soundPayloads(codec: Codec, sampleRate: number): Uint8Array[] {
  const encoder = codec.newEncoder({ sampleRate, fmtp: 'useinbandfec=1' });
  for (let i = 0; i < 4; i++) encoder.adapt?.({ lossFraction: 0.2, load: 0.5 });
  const frame = sampleRate / 50;
  const speech = speechLike(sampleRate, sampleRate);
  const out = new Uint8Array(codec.maxPayloadOctets);
  const payloads = Array.from({ length: 50 }, (_, i) =>
    out.slice(0, encoder.encode(speech.subarray(i * frame, (i + 1) * frame), out, 0)),
  );
  encoder.close?.();
  return payloads;
}

/** Noise, or a sound payload with some octets changed or its end cut off. Returns its octets. */
function breakPayload(random: Random, sound: Uint8Array, data: Uint8Array): number {
  const [kind = 0, where = 0, value = 0, more = 0] = random.bytes(4);
  if (kind < 128) {
    const octets = kind < 16 ? where * 5 : where;
    data.set(random.bytes(octets), OFFSET);
    return octets;
  }
  const octets = sound.length;
  data.set(sound, OFFSET);
  data[OFFSET + (where % octets)] = value;
  if (kind < 192) data[OFFSET + (more % octets)]! ^= 1 << (kind & 7);
  return kind < 224 ? octets : more % (octets + 1);
}

async function collectionsOf({ codec, sampleRate }: CodecVariant): Promise<number> {
  const encoder = codec.newEncoder({ sampleRate, fmtp: 'useinbandfec=1' });
  const decoder = codec.newDecoder({ sampleRate });
  const frame = sampleRate / 50;
  const speech = speechLike(sampleRate, sampleRate);
  const frames = Array.from({ length: 50 }, (_, i) => speech.subarray(i * frame, (i + 1) * frame));
  const data = new Uint8Array(codec.maxPayloadOctets);
  const heard = new Int16Array(frame);
  const run = (count: number) => {
    for (let i = 0; i < count; i++) {
      const octets = encoder.encode(frames[i % 50]!, data, 0);
      decoder.samplesIn(data, 0, octets);
      decoder.decode(data, 0, octets, heard, 0);
      if (i % 50 === 0) decoder.conceal?.(heard, 0, frame);
    }
  };
  // The compiler is done by then: it allocates too.
  for (const until = performance.now() + WARM_UP_MS; performance.now() < until; ) run(100);
  const collections = await collectionsDuring(() => run(FRAMES));
  encoder.close?.();
  decoder.close?.();
  return collections;
}
