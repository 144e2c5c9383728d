/** What a recording of lone tones holds, told in order: who was heard, and when nobody was. */
import { frequencyHz, levelDb } from '../media/signal.js';
import { median } from './figures.js';
import { SAMPLE_RATE } from './sound.js';

/** Long enough to tell a frequency within 1 %, short against what is told apart. */
const WINDOW = SAMPLE_RATE / 10;
/** Shorter ones are a change from one to the next. */
const SHORTEST_WINDOWS = 4;
/** One more than are lost where windows begin elsewhere, and some. */
const END_WINDOWS = SHORTEST_WINDOWS + 3;
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

/** The tone that the last 0.7 s hold all through: long enough for `tonesHeard`. 0 is silence, undefined neither. */
export function toneAtEnd(samples: Int16Array, tones: readonly number[]): number | undefined {
  const end = samples.subarray(-END_WINDOWS * WINDOW);
  if (end.length < END_WINDOWS * WINDOW) return undefined;
  const [first, ...others] = Array.from({ length: END_WINDOWS }, (_, i) =>
    toneIn(end.subarray(i * WINDOW, (i + 1) * WINDOW), tones),
  );
  return others.every(tone => tone === first) ? first : undefined;
}

/** The recording in short, for whoever looks for what went wrong: `1.3 s 440 Hz, 0.2 s silence, …`. */
export function accountOf(samples: Int16Array, tones: readonly number[]): string {
  const runs: { what: string; windows: number }[] = [];
  for (let at = 0; at + WINDOW <= samples.length; at += WINDOW) {
    const tone = toneIn(samples.subarray(at, at + WINDOW), tones);
    const what = tone === undefined ? 'other' : tone === 0 ? 'silence' : `${tone} Hz`;
    const last = runs.at(-1);
    if (last?.what === what) last.windows++;
    else runs.push({ what, windows: 1 });
  }
  const seconds = (windows: number) => ((windows * WINDOW) / SAMPLE_RATE).toFixed(1);
  return runs.map(({ what, windows }) => `${seconds(windows)} s ${what}`).join(', ') || 'nothing';
}

/** Of sound at any rate: two seconds, half a second after it began; fewer where there are fewer. */
export function steadyPart(samples: Int16Array, sampleRate: number): Int16Array {
  const step = sampleRate / 50;
  let at = 0;
  while (at < samples.length && !(levelDb(samples.subarray(at, at + step)) >= SILENCE_DB))
    at += step;
  return samples.subarray(at + sampleRate / 2, at + (sampleRate * 5) / 2);
}

/** Of a lone tone: the median of quarters of a second, so that one with a gap in it says nothing. */
export function pitchHz(samples: Int16Array): number {
  const step = SAMPLE_RATE / 4;
  const each = Array.from({ length: Math.floor(samples.length / step) }, (_, i) =>
    frequencyHz(samples.subarray(i * step, (i + 1) * step), SAMPLE_RATE),
  );
  return each.length === 0 ? 0 : median(each);
}

/** 0 is silence, undefined something else. */
function toneIn(samples: Int16Array, tones: readonly number[]): number | undefined {
  if (levelDb(samples) < SILENCE_DB) return 0;
  const hz = frequencyHz(samples, SAMPLE_RATE);
  return tones.find(tone => Math.abs(tone - hz) < TOLERANCE_HZ);
}
