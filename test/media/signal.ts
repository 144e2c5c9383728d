/**
 * Signals and their analysis: level and frequency of what was heard, and a chirp from which each
 * sample's place can be told. Samples are 16-bit, as frames and WAV files hold them.
 */

/** Half the power of a full-scale square wave: 0 dB here is a full-scale sine. */
const FULL_SCALE_SINE_POWER = 32767 ** 2 / 2;
/** Frames of a chirp are looked up by this many samples. */
const KEY_SAMPLES = 16;

/** Level against a full-scale sine, in dB; -Infinity for silence. */
export function levelDb(samples: ArrayLike<number>): number {
  let power = 0;
  for (let i = 0; i < samples.length; i++) power += samples[i]! ** 2;
  return 10 * Math.log10(power / samples.length / FULL_SCALE_SINE_POWER);
}

/** Level of one frequency against a full-scale sine, in dB (Goertzel, Hann window). */
export function levelAtDb(samples: ArrayLike<number>, hz: number, sampleRate: number): number {
  const step = (2 * Math.PI * hz) / sampleRate;
  let real = 0;
  let imaginary = 0;
  let weight = 0;
  for (let i = 0; i < samples.length; i++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
    real += samples[i]! * window * Math.cos(step * i);
    imaginary += samples[i]! * window * Math.sin(step * i);
    weight += window;
  }
  return 20 * Math.log10((2 * Math.hypot(real, imaginary)) / weight / 32767);
}

/** Frequency of a lone sine in Hz, from its first to its last rising zero crossing. */
export function frequencyHz(samples: ArrayLike<number>, sampleRate: number): number {
  let crossings = -1;
  let first = 0;
  let last = 0;
  for (let i = 1; i < samples.length; i++) {
    const before = samples[i - 1]!;
    const after = samples[i]!;
    if (before >= 0 || after < 0) continue;
    last = i - after / (after - before);
    if (++crossings === 0) first = last;
  }
  return crossings < 1 ? 0 : (crossings * sampleRate) / (last - first);
}

export function sine(
  hz: number,
  samples: number,
  sampleRate: number,
  amplitude = 10_000,
): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hz * i) / sampleRate)),
  );
}

export interface ChirpOptions {
  readonly samples: number;
  /** In Hz. */
  readonly sampleRate: number;
  readonly amplitude?: number;
}

/** A linear chirp from 300 to 3400 Hz: no two stretches of it are alike. */
export function chirp({ samples, sampleRate, amplitude = 16_000 }: ChirpOptions): Int16Array {
  const fromHz = 300;
  const slope = (3400 - fromHz) / samples;
  return Int16Array.from({ length: samples }, (_, i) => {
    const cycles = (fromHz * i + (slope * i * i) / 2) / sampleRate;
    return Math.round(amplitude * Math.sin(2 * Math.PI * cycles));
  });
}

/** What became of a signal on its way. */
export interface Passage {
  /** Where in `heard` it began; -1 if it was not found. */
  readonly start: number;
  /** Samples heard exactly, in order, from the first. */
  readonly exact: number;
  /** Samples of the signal that were never heard. */
  readonly missing: number;
  /** Samples heard between the signal's first and last that are not its next: repeated or made up. */
  readonly extra: number;
}

/**
 * Follows `expected` (e.g. a chirp after `decode(encode(x))`) through `heard`: where it leaves off,
 * it is sought again further on.
 */
export function follow(heard: Int16Array, expected: Int16Array): Passage {
  const start = find(heard, expected, 0, 0);
  if (start < 0) return { start, exact: 0, missing: expected.length, extra: 0 };
  let exact = 0;
  let missing = 0;
  let extra = 0;
  let at = start;
  let next = 0;
  while (next < expected.length && at < heard.length) {
    if (heard[at] === expected[next]) {
      exact++;
      at++;
      next++;
      continue;
    }
    const found = resume(heard, expected, at, next);
    if (!found) break;
    extra += found.at - at;
    missing += found.next - next;
    at = found.at;
    next = found.next;
  }
  return { start, exact, missing: missing + expected.length - next, extra };
}

/** The nearest place at which the signal goes on. */
function resume(heard: Int16Array, expected: Int16Array, at: number, next: number) {
  const keys = new Map<string, number>();
  for (let i = next; i + KEY_SAMPLES <= expected.length; i++) {
    const key = keyOf(expected, i);
    if (!keys.has(key)) keys.set(key, i);
  }
  for (let i = at; i + KEY_SAMPLES <= heard.length; i++) {
    const found = keys.get(keyOf(heard, i));
    if (found !== undefined) return { at: i, next: found };
  }
  return undefined;
}

function keyOf(samples: Int16Array, at: number): string {
  return samples.subarray(at, at + KEY_SAMPLES).join();
}

function find(heard: Int16Array, expected: Int16Array, from: number, next: number): number {
  // Past the first samples, which may be silence like what was heard before.
  const key = Math.min(KEY_SAMPLES * 4, expected.length - next);
  for (let at = from; at + key <= heard.length; at++) {
    let i = 0;
    while (i < key && heard[at + i] === expected[next + i]) i++;
    if (i === key) return at;
  }
  return -1;
}
