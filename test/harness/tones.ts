/** What a recording of lone tones holds, told in order: who was heard, and when nobody was. */
import { frequencyHz, levelDb } from '../media/signal.js';
import { SAMPLE_RATE } from './sound.js';

/** Long enough to tell a frequency within 1 %, short against what is told apart. */
const WINDOW = SAMPLE_RATE / 10;
/** Shorter ones are a change from one to the next. */
const SHORTEST_WINDOWS = 4;
const SILENCE_DB = -50;
const TOLERANCE_HZ = 8;

/**
 * E.g. `[440, 0, 440]`: a tone, silence, the tone again; each for 0.4 s at least. What is neither (a gap, the
 * change from one to the next) is passed over.
 */
export function tonesHeard(samples: Int16Array, tones: readonly number[]): number[] {
  const heard: { tone: number; windows: number }[] = [];
  for (let at = 0; at + WINDOW <= samples.length; at += WINDOW) {
    const tone = toneIn(samples.subarray(at, at + WINDOW), tones);
    if (tone === undefined) continue;
    const last = heard.at(-1);
    if (last?.tone === tone) last.windows++;
    else heard.push({ tone, windows: 1 });
  }
  const told: number[] = [];
  for (const { tone, windows } of heard) {
    if (windows >= SHORTEST_WINDOWS && told.at(-1) !== tone) told.push(tone);
  }
  return told;
}

/** 0 is silence, undefined something else. */
function toneIn(samples: Int16Array, tones: readonly number[]): number | undefined {
  if (levelDb(samples) < SILENCE_DB) return 0;
  const hz = frequencyHz(samples, SAMPLE_RATE);
  return tones.find(tone => Math.abs(tone - hz) < TOLERANCE_HZ);
}
