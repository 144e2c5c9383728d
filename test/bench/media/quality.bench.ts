/**
 * How a minute of speech survives loss, reordering, duplicates and bursts of jitter:
 * `node dist/test/bench/media/quality.bench.js [--json]`. The network is seeded. Needs espeak-ng.
 */
import { comfortNoise } from '../../../src/media/codecs/comfort-noise.js';
import { atLeast, type Figure, plain, printFigures } from '../../harness/figures.js';
import { everyCodec } from '../../media/every-codec.js';
import { measureQuality } from '../../media/quality.js';
import { spoken } from '../../media/spoken.js';

const SECONDS = 60;
const LOSSES = [0.05, 0.2];
const SEED = 1;
const GOAL_DB = 1;

const figures: Figure[] = [];
for (const { name, codec, sampleRate } of await everyCodec()) {
  // Comfort noise says nothing of what is spoken.
  if (sampleRate > 16_000 || codec === comfortNoise) continue;
  const speech = await spoken(SECONDS, sampleRate);
  if (!speech) {
    console.error('Left out: espeak-ng is not installed (on Debian: sudo apt install espeak-ng).');
    break;
  }
  for (const loss of LOSSES) {
    const { affected, all, statistics } = measureQuality(codec, sampleRate, speech, loss, SEED);
    const what = `${name}, ${loss * 100}% lost`;
    figures.push(
      plain(`${what}: log-spectral distance where something is lost`, affected.ours, 'dB'),
      plain(`${what}: with plain repetition of frames`, affected.repetition, 'dB'),
      atLeast(GOAL_DB, `${what}: better by`, affected.repetition - affected.ours, 'dB'),
      plain(`${what}: over all frames`, all.ours, 'dB'),
      plain(`${what}: over all frames, repetition`, all.repetition, 'dB'),
      plain(`${what}: came too late`, statistics.late, 'packets'),
    );
  }
}
printFigures(figures);
if (figures.some(({ met }) => met === false)) process.exitCode = 1;
