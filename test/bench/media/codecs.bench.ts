/** What each codec costs for a frame of 20 ms: `node dist/test/bench/media/codecs.bench.js [--json]`. */
import { atMost, type Figure, plain } from '../../harness/figures.js';
import { runProgram } from '../../harness/program.js';
import { type CodecVariant, everyCodec } from '../../media/every-codec.js';
import { speechLike } from '../../media/signal.js';

const SECONDS = 4;
/** The least of some rounds: what else the machine does shows in the others. */
const ROUNDS = 7;
const FRAMES = SECONDS * 50;
/** µs to encode and decode a frame, at 16 kHz where there is a choice; goals for a desktop machine. */
const GOALS: Readonly<Record<string, readonly [encode: number, decode: number]>> = {
  PCMU: [1, 1],
  PCMA: [1, 1],
  G722: [25, 15],
  // By WebAssembly at 16 kHz, which takes longest; the figures beside each other tell what the system's library saves.
  opus: [500, 60],
};

function measure({ name, codec, sampleRate }: CodecVariant): Figure[] {
  const samples = sampleRate / 50;
  const speech = speechLike(SECONDS * sampleRate, sampleRate);
  const frames = Array.from({ length: FRAMES }, (_, i) =>
    speech.subarray(i * samples, (i + 1) * samples),
  );
  const payloads = frames.map(() => new Uint8Array(codec.maxPayloadOctets));
  const lengths = new Uint16Array(FRAMES);
  const heard = new Int16Array(samples);
  const options = { sampleRate, fmtp: 'useinbandfec=1' };
  const encoder = codec.newEncoder(options);
  const decoder = codec.newDecoder(options);
  // As much is coded in a round of the cheap codecs as of the others.
  const repeats = codec.name.startsWith('PCM') ? 20 : 1;
  const encodeMs = leastTime(repeats, i => {
    lengths[i] = encoder.encode(frames[i]!, payloads[i]!, 0);
  });
  const decodeMs = leastTime(repeats, i => {
    decoder.decode(payloads[i]!, 0, lengths[i]!, heard, 0);
  });
  encoder.close?.();
  decoder.close?.();
  const [encodeGoal, decodeGoal] = GOALS[codec.name] ?? [];
  const octets = lengths.reduce((sum, length) => sum + length, 0);
  return [
    figure(encodeGoal, `${name}: encode a frame`, encodeMs),
    figure(decodeGoal, `${name}: decode a frame`, decodeMs),
    plain(`${name}: speech`, (octets * 8) / SECONDS / 1000, 'kbit/s'),
  ];
}

/** ms for one frame. */
function leastTime(repeats: number, run: (frame: number) => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (let i = 0; i < FRAMES; i++) run(i);
    }
    least = Math.min(least, (performance.now() - began) / repeats / FRAMES);
  }
  return least;
}

function figure(goal: number | undefined, name: string, ms: number): Figure {
  return goal === undefined ? plain(name, ms * 1000, 'µs') : atMost(goal, name, ms * 1000, 'µs');
}

await runProgram({ withinSeconds: 600 }, async () => (await everyCodec()).flatMap(measure));
