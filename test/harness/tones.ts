/** What a recording of lone tones holds, told in order: who was heard, and when nobody was. */
import { frequencyHz, levelDb } from '../media/signal.js';
import { median } from './figures.js';
import { SAMPLE_RATE } from './sound.js';

/** Long enough to tell a frequency within 1 %, short against what is told apart. */
const WINDOWS_PER_SECOND = 10;
const WINDOW = SAMPLE_RATE / WINDOWS_PER_SECOND;
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
export function accountOf(
  samples: Int16Array,
  tones: readonly number[],
  sampleRate = SAMPLE_RATE,
): string {
  const runs: { what: string; windows: number }[] = [];
  for (const part of parts(samples, sampleRate / WINDOWS_PER_SECOND)) {
    const tone = toneIn(part, tones, sampleRate);
    const what = tone === undefined ? 'other' : tone === 0 ? 'silence' : `${tone} Hz`;
    const last = runs.at(-1);
    if (last?.what === what) last.windows++;
    else runs.push({ what, windows: 1 });
  }
  const seconds = (windows: number) => (windows / WINDOWS_PER_SECOND).toFixed(1);
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
export function pitchHz(samples: Int16Array, sampleRate = SAMPLE_RATE): number {
  const each = parts(samples, sampleRate / 4).map(part => frequencyHz(part, sampleRate));
  return each.length === 0 ? 0 : median(each);
}

/**
 * Of a lone tone, against a full-scale sine: the median of tenths of a second; and the share of them, 0 to 1, that
 * are as loud as that, within 1 dB.
 */
export function steadyLevel(
  samples: Int16Array,
  sampleRate: number,
): { levelDb: number; share: number } {
  const each = parts(samples, sampleRate / WINDOWS_PER_SECOND).map(levelDb);
  const level = median(each);
  const steady = each.filter(one => Math.abs(one - level) <= 1).length;
  return { levelDb: level, share: steady / each.length };
}

function parts(samples: Int16Array, step: number): Int16Array[] {
  return Array.from({ length: Math.floor(samples.length / step) }, (_, i) =>
    samples.subarray(i * step, (i + 1) * step),
  );
}

/** 0 is silence, undefined something else. */
function toneIn(
  samples: Int16Array,
  tones: readonly number[],
  sampleRate = SAMPLE_RATE,
): number | undefined {
  if (levelDb(samples) < SILENCE_DB) return 0;
  const hz = frequencyHz(samples, sampleRate);
  return tones.find(tone => Math.abs(tone - hz) < TOLERANCE_HZ);
}
